"""The page on a phone, on paper and by axe's rules, also when models produce what they should not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.report.test_diff import empty, judged_by
from tests.report.test_hostile import hostile_records, write_hostile
from tests.support.chromium import PHONE, WIDE, opened, visible
from tests.support.report_records import large, provenance, run
from tools.example import EXAMPLE
from vsg_core.judge.rules import rate
from vsg_core.records.record import NotRun, Record, StoredEvidence
from vsg_core.report import report_of, write_report
from vsg_core.report.diff import compare_runs, write_diff

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def diff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs compared, with a pair of each kind."""
    a = [*run(), empty(38, id="flips"), empty(39, id="moves"), empty(33, id="varies")]
    b = [*run()[2:], empty(2, id="flips"), empty(28, id="moves"), empty(39, id="varies")]
    b += [empty(38, id="appears"), empty(38, run=provenance(commit="f" * 40))]
    a += [empty(38, **judged_by(rate(above=0.4)))]
    compared = compare_runs(a, b)
    assert all(compared.counts.values())
    return write_diff(compared, ("monday", "tuesday"), tmp_path_factory.mktemp("diff") / "diff.html")


def failed(record: Record) -> StoredEvidence:
    """The record of a claim that ends in an error with its own statement as the message."""
    not_run = NotRun(cause="error", reason=record.claim.statement)
    return StoredEvidence(verdict="not run", reason="", not_run=not_run)


@pytest.fixture(scope="module")
def hostile_diff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs compared whose every text is hostile."""
    a = hostile_records()
    b = [record.model_copy(update={"outcome": "broken", "evidence": failed(record)}) for record in a[1:]]
    compared = compare_runs(a, b)
    return write_diff(compared, ("<b>\u202e", "x" * 300), tmp_path_factory.mktemp("diff") / "diff.html")


@pytest.mark.parametrize("which", ["report", "hostile", "diff", "hostile_diff"])
def test_a_phone_needs_no_sideways_scrolling(
    chromium: Browser, which: str, request: pytest.FixtureRequest
) -> None:
    with opened(chromium, request.getfixturevalue(which), viewport=PHONE) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("viewport", [{"width": 360, "height": 800}, WIDE])
def test_the_example_needs_no_sideways_scrolling(chromium: Browser, viewport: dict[str, int]) -> None:
    """Every claim there is, with the longest units and what only a screen reader gets."""
    with opened(chromium, EXAMPLE / "claims.html", viewport=viewport) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_paper_has_no_buttons_and_no_dark(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not visible(page, "button")
        assert not page.locator("form.view").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")


def violations(page: Page) -> list[str]:
    """The faults that axe reports, with one element of every kind open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate(
        """() => {
            for (const kind of ["examples", "every", "as-numbers", "model", "same"])
                for (const details of [...document.querySelectorAll(`details.${kind}`)].slice(0, 3))
                    details.open = true;
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


@pytest.mark.parametrize("which", ["report", "diff"])
@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", PHONE)], ids=["wide", "phone"])
def test_axe_finds_nothing(
    chromium: Browser, which: str, scheme: str, viewport: dict[str, int], request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(which)
    with opened(chromium, path, viewport=viewport, color_scheme=scheme) as page:
        assert violations(page) == []


@pytest.mark.parametrize(
    ("which", "title"), [("hostile", "Claim report: "), ("hostile_diff", "Two runs compared: ")]
)
def test_axe_finds_nothing_in_a_hostile_page_and_nothing_ran(
    chromium: Browser, which: str, title: str, request: pytest.FixtureRequest
) -> None:
    with opened(chromium, request.getfixturevalue(which)) as page:
        assert page.title().startswith(title)
        assert violations(page) == []


def test_a_large_page_answers_at_once(chromium: Browser, tmp_path: Path) -> None:
    """50 claims on 4 models: what is typed shows within half a second."""
    with opened(chromium, write_report(report_of(large(50)), tmp_path)) as page:
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
