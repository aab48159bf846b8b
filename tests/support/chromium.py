"""A real browser for tests of the report: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 375, "height": 800}


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a headless browser. Without one the test is skipped; in continuous integration it fails."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium here: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, path: Path, fragment: str = "", **options: Any) -> Iterator[Page]:
    """Open the page at `path` in a fresh context, and fail on any error or any request for another file.

    Args:
        options: of the context: viewport, color_scheme, java_script_enabled and so on.
    """
    context = browser.new_context(**{"viewport": WIDE, **options})
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(path.as_uri() + fragment)
    yield page
    context.close()
    assert {url.partition("#")[0] for url in asked} == {path.as_uri()}
    assert not faults


def visible(page: Page, selector: str) -> list[str]:
    """List the texts of the visible elements from top to bottom."""
    shown = "found => found.filter((e) => e.checkVisibility()).map((e) => e.textContent.trim())"
    return page.locator(selector).evaluate_all(shown)
