"""The page on a phone, on paper and by axe's rules, also when models produce what they should not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chromium import PHONE, WIDE, browser, opened, visible
from tests.report_records import large, write_everything
from tests.test_report_hostile import write_hostile
from vsg_core.report import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_everything(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("which", ["report", "hostile"])
def test_a_phone_needs_no_sideways_scrolling(
    chromium: Browser, report: Path, hostile: Path, which: str
) -> None:
    with opened(chromium, report if which == "report" else hostile, viewport=PHONE) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_paper_has_no_buttons_and_no_dark(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not visible(page, "button")
        assert not page.locator("form.view").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")


def violations(page: Page) -> list[str]:
    """What axe says is wrong, with something of every kind open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate(
        """() => {
            for (const kind of ["details.examples", "details.every", "details.as-numbers", "details.model"])
                for (const details of [...document.querySelectorAll(kind)].slice(0, 3)) details.open = true;
        }"""
    )
    found = axe.run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:200]}"
        for violation in found.response["violations"]
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", PHONE)], ids=["wide", "phone"])
def test_axe_finds_nothing(chromium: Browser, report: Path, scheme: str, viewport: dict[str, int]) -> None:
    with opened(chromium, report, viewport=viewport, color_scheme=scheme) as page:
        assert violations(page) == []


def test_axe_finds_nothing_in_a_hostile_page_and_nothing_ran(chromium: Browser, hostile: Path) -> None:
    with opened(chromium, hostile) as page:
        assert page.title().startswith("Claim report: ")
        assert violations(page) == []


def test_a_large_page_answers_at_once(chromium: Browser, tmp_path: Path) -> None:
    """50 claims on 4 models: what is typed shows within half a second."""
    with opened(chromium, write_report(large(50), tmp_path)) as page:
        took = page.evaluate(
            """() => {
                const start = performance.now();
                const field = document.getElementById("view-text");
                field.value = "claim_number_7_of";
                field.dispatchEvent(new Event("input", {bubbles: true}));
                document.body.getBoundingClientRect();
                return performance.now() - start;
            }"""
        )
        assert len(visible(page, "#matrix tr.row")) == 1
        assert took < 500
