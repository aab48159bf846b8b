"""Confirmed claims in reports: badges, two marks on one axis, counts, placebos; nothing of them without a ledger."""

from __future__ import annotations

import csv
import io
import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jsonschema
import pytest
from click.testing import CliRunner

from tests.report.test_screens import violations
from tests.support.chromium import WIDE, opened, visible
from tests.support.ledgers import WHEN, freeze_of, placebos, register, shrunk, unrun, unsettled
from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    BRANCHES,
    EMPTY,
    MODELS,
    RECOVERED,
    SAME_LOGITS,
    SLICES,
    identities,
    run,
)
from vsg_core.cli.main import vsg
from vsg_core.errors import VsgError
from vsg_core.records.confirmations import Confirmations, read_confirmations
from vsg_core.records.files import write_record
from vsg_core.records.record import Record
from vsg_core.records.schemas import claims_schema
from vsg_core.report import Report, report_of, terminal_summary, write_report
from vsg_core.report.page.render import render
from vsg_core.report.text.claim_table import csv_text
from vsg_core.report.text.summary import markdown_summary

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NARROW = {"width": 360, "height": 800}
# Of a cell: what is behind it, its box and those of its parts, and its marks; each box with its fill.
CELL = """found => found.map((cell) => {
    const box = (e) => {
        const r = e.getBoundingClientRect();
        return [getComputedStyle(e).fill, r.left, r.top, r.right, r.bottom];
    };
    const parts = [...cell.querySelectorAll(":scope > *, .confirmation > *")]
        .filter((e) => e.checkVisibility() && !e.matches(".confirmation"));
    return {
        behind: getComputedStyle(cell).backgroundColor,
        boxes: [cell, ...parts].map(box),
        marks: [...cell.querySelectorAll(".exploratory circle, .confirming circle")].map(box),
    };
})"""
PLACEBOS = ["holds", "refuted", *18 * ["inconclusive"]]


class Box(NamedTuple):
    """The place of something on the page, in pixels, and the colour that it is filled with."""

    look: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Return whether they share more than a pixel's edge."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > 1 and down > 1


def records() -> list[Record]:
    return [*run(), *identities()]


def of(claim: str) -> list[Record]:
    """The records of a claim that have a verdict."""
    return [record for record in run() if record.claim.id == claim and record.verdict != "not run"]


def write_ledgers(claims: Path) -> Confirmations:
    """One claim confirmed on all its models, one on some, one on none; and a rehearsal."""
    (none, some), (nothing, _, last), every = of(BRANCHES.id)[:2], of(EMPTY.id), of(RECOVERED.id)
    partly = [shrunk(nothing), shrunk(of(EMPTY.id)[1]), unsettled(last)]
    lines = [
        *map(shrunk, every),
        shrunk(every[0], kind="repeat"),
        unsettled(every[0], kind="repeat"),
        *partly,
        unsettled(none),
        unrun(some, "positive control “names the top token” failed"),
        *placebos(every[0], PLACEBOS),
    ]
    register(claims, freeze_of("primary-1", [*every, *of(EMPTY.id), none, some]), lines)
    rehearsal = freeze_of("rehearsal", of(SAME_LOGITS.id), note="Rehearsal of primary-1.")
    register(claims, rehearsal, map(shrunk, of(SAME_LOGITS.id)))
    return read_confirmations([claims])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(records(), confirmations=write_ledgers(tmp_path_factory.mktemp("claims")))


@pytest.fixture(scope="module")
def page(report: Report) -> Element:
    return read(render(report))


@pytest.fixture(scope="module")
def path(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(report, tmp_path_factory.mktemp("confirmed"))


def badge_in(page: Element, claim: str) -> str:
    """The badge of a claim's row."""
    (row,) = [row for row in page.all("tr", "row") if row.attributes["data-claim"] == f"claim--{claim}"]
    (badge,) = row.all("th")[0].all("span", "badge")
    return badge.text


def test_every_row_has_a_badge(page: Element) -> None:
    assert badge_in(page, RECOVERED.id) == "confirmed"
    assert badge_in(page, EMPTY.id) == "confirmed on 2 of 3 models"
    assert badge_in(page, BRANCHES.id) == "failed to confirm"
    assert badge_in(page, SAME_LOGITS.id) == "exploratory", "a rehearsal gives no badge"
    assert badge_in(page, SLICES.id) == "identity"


def test_a_cell_has_two_marks_and_the_way_between(report: Report, page: Element) -> None:
    cell = cell_of(page, RECOVERED.id, MODELS[0].name)
    (drawing,) = cell.all("svg", "two")
    label = "exploratory +77 points [+59, +87], confirming run +64 points [+57, +71]"
    assert (drawing.attributes["role"], drawing.attributes["aria-label"]) == ("img", label)
    assert drawing.all("title")[0].text == label
    marks = [group.attributes["class"].split()[0] for group in drawing.all("g")]
    assert marks == ["exploratory", "confirming"]
    assert [len(group.all("circle")) for group in drawing.all("g")] == [1, 1]
    assert len(drawing.all("line", "between")) == 1
    assert "confirmed +64 points [+57, +71]" in cell.text
    assert "+77 points to +64 points; 2 repeats, 1 with another verdict" in cell.text


def test_what_failed_says_why(page: Element) -> None:
    inconclusive = cell_of(page, BRANCHES.id, MODELS[0].name)
    assert "failed to confirm inconclusive" in inconclusive.text
    without = cell_of(page, BRANCHES.id, MODELS[1].name)
    assert "failed to confirm not run positive control “names the top token” failed" in without.text
    assert not without.all("svg", "two"), "nothing was measured"


def test_the_first_screen_counts_confirmed_findings_and_exploratory_ones_smaller(page: Element) -> None:
    first, second = page.all("ul", "standings")
    counts = [item.all("p")[0].text for item in first.all("li")]
    assert counts == ["1 confirmed", "1 confirmed on some models", "1 failed to confirm"]
    assert "smaller" in second.attributes["class"]
    header = page.all("header")[0].text
    assert "Confirmed, model by model: 3 hold, 2 refuted, 3 failed." in header
    assert "Exploratory verdicts of all 4 claims" in header
    placebo = "of 20 claims with permuted labels, 1 holds and 1 is refuted; chance alone gives 1."
    assert f"Placebos of primary-1: {placebo}" in header
    assert "Apart from this run, the project has rehearsed how claims are confirmed" in header
    assert f": 1 claim on {MODELS[0].name}, {MODELS[1].name}, {MODELS[2].name}" in header


def test_the_claims_part_shows_the_confirming_run(page: Element) -> None:
    part = page.by_id(f"claim--{RECOVERED.id}")
    lines = part.all("tr", "confirming")
    assert len(lines) == 3
    assert "400" in lines[0].text
    assert "registered in primary-1 on 2026-12-03 at commit 0adeb75" in part.text
    assert "registered" not in page.by_id(f"claim--{SAME_LOGITS.id}").text.replace(
        "registered beforehand", ""
    )


def test_what_has_not_been_run_is_not_confirmed(tmp_path: Path) -> None:
    """Of two claims one was run, on one of its models."""
    every = of(RECOVERED.id)
    register(tmp_path, freeze_of("primary-1", [*every, *of(EMPTY.id)]), [shrunk(every[0])])
    page = read(render(report_of(records(), confirmations=read_confirmations([tmp_path]))))
    assert badge_in(page, RECOVERED.id) == f"confirmed on 1 of {len(every)} models"
    assert badge_in(page, EMPTY.id) == "exploratory"
    header = page.all("header")[0].text
    assert "2 claims were registered in primary-1 before new prompts were drawn" in header
    assert "1 on some models only, 1 has not been run yet" in header


def test_without_a_line_nothing_changes(tmp_path: Path) -> None:
    plain = render(report_of(records()))
    register(tmp_path, freeze_of("primary-1", of(EMPTY.id)), [])
    assert render(report_of(records(), confirmations=read_confirmations([tmp_path]))) == plain
    assert "badge" not in plain
    assert "primary" not in plain


def test_a_rehearsal_alone_is_one_line(tmp_path: Path) -> None:
    freeze = freeze_of("rehearsal", of(EMPTY.id), note="Rehearsal.")
    register(tmp_path, freeze, [*map(shrunk, of(EMPTY.id)), *placebos(of(EMPTY.id)[0], PLACEBOS)])
    report = report_of(records(), confirmations=read_confirmations([tmp_path]))
    plain, page = render(report_of(records())).splitlines(), render(report).splitlines()
    (added,) = set(page) - set(plain)
    assert "Apart from this run, the project has rehearsed how claims are confirmed: 1 claim on" in added
    assert "of 20 claims with permuted labels, 1 holds and 1 is refuted; chance alone gives 1" in added
    assert {cell.status for cell in report.cells} == {"exploratory", "identity"}


def test_the_confirming_record_itself_has_one_mark(tmp_path: Path) -> None:
    """A folder of reports may have the record that the ledger names; then there is no shrinkage to show."""
    record = of(EMPTY.id)[0]
    register(tmp_path, freeze_of("primary-1", [record]), [shrunk(record, time=record.run.started)])
    page = read(render(report_of([record], confirmations=read_confirmations([tmp_path]))))
    (drawing,) = page.all("svg", "two")
    assert len(drawing.all("circle")) == 1
    assert " to " not in cell_of(page, EMPTY.id, MODELS[0].name).text


def test_the_axis_has_room_for_both_marks(tmp_path: Path) -> None:
    record = of(BRANCHES.id)[0]
    register(tmp_path, freeze_of("primary-1", [record]), [shrunk(record, 40.0)])
    (row,) = report_of([record], confirmations=read_confirmations([tmp_path])).findings
    (cell,) = row.cells.values()
    assert cell.confirmed is not None
    assert row.axis.ticks[-1] >= max(cell.confirmed.arm.numbers) > max(cell.arms[0].numbers)


def test_a_model_without_a_record_says_what_was_confirmed(tmp_path: Path) -> None:
    register(tmp_path, freeze_of("primary-1", of(EMPTY.id)), map(shrunk, of(EMPTY.id)))
    kept = [record for record in run() if (record.claim.id, record.model.name) != (EMPTY.id, MODELS[1].name)]
    page = read(render(report_of(kept, confirmations=read_confirmations([tmp_path]))))
    (row,) = [row for row in page.all("tr", "row") if row.attributes["data-claim"] == f"claim--{EMPTY.id}"]
    (empty,) = row.all("td", "none")
    assert "no record; confirmed: holds" in empty.text


def test_json_and_csv_have_the_status_and_the_numbers(report: Report, path: Path) -> None:
    rows = json.loads((path.parent / "claims.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(claims_schema()).validate(rows)
    table = csv.DictReader(io.StringIO(csv_text(report)), strict=True)
    lines = {(line["claim"], line["model"]): line for line in table}
    by_cell = {(row["claim"], row["model"]): row for row in rows}
    confirmed = by_cell[RECOVERED.id, MODELS[0].name]
    assert (confirmed["status"], confirmed["confirmed_verdict"], confirmed["confirmed_n"]) == (
        "confirmed",
        "holds",
        400,
    )
    low, high = confirmed["confirmed_interval"]
    assert low < confirmed["confirmed_estimate"] < high
    line = lines[RECOVERED.id, MODELS[0].name]
    assert (float(line["confirmed_interval_low"]), float(line["confirmed_interval_high"])) == (low, high)
    failed = by_cell[BRANCHES.id, MODELS[1].name]
    assert (failed["status"], failed["confirmed_verdict"]) == ("failed to confirm", "not run")
    assert failed["confirmed_estimate"] is failed["confirmed_interval"] is failed["confirmed_n"] is None
    other = by_cell[SAME_LOGITS.id, MODELS[0].name]
    assert (other["status"], other["confirmed_verdict"]) == ("exploratory", None)
    assert lines[SAME_LOGITS.id, MODELS[0].name]["confirmed_verdict"] == ""


def test_the_command_reads_the_ledger_of_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the current folder, wherever the reports are; a damaged one is one line."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["vsg_core.plugin"]\n')
    registration = register(
        tmp_path / "hypotheses", freeze_of("primary-1", of(EMPTY.id)), map(shrunk, of(EMPTY.id))
    )
    for record in of(EMPTY.id):
        write_record(record, tmp_path / "elsewhere" / "records")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(vsg, ["report", "--reports", "elsewhere"], catch_exceptions=False)
    assert done.exit_code == 0
    rows = json.loads((tmp_path / "elsewhere" / "claims.json").read_text(encoding="utf-8"))
    assert {row["status"] for row in rows} == {"confirmed", "failed to confirm"}
    registration.ledger.write_text("{}\n")
    with pytest.raises(VsgError, match=r"primary-1\.ledger\.jsonl, line 1 is damaged"):
        CliRunner().invoke(vsg, ["report", "--reports", "elsewhere"], catch_exceptions=False)


def test_summary_and_terminal_count_them(report: Report) -> None:
    told = (
        "3 claims were registered in primary-1 before new prompts were drawn: 1 is confirmed on them, "
        "1 on some models only, 1 failed to confirm. The verdicts of 1 claim are exploratory"
    )
    summary, terminal = markdown_summary(report), " ".join(terminal_summary(report).split())
    assert told in summary
    assert told in terminal
    assert "confirmed: holds +64 points" in summary
    assert "confirmed on 2 of 3 models" in terminal
    for text in (summary, terminal):
        assert "chance alone gives 1" in text
    # The terminal is about the run.
    assert "The rehearsal confirms nothing." in summary
    assert "rehears" not in terminal


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "phone"])
def test_marks_and_badges_are_seen(
    chromium: Browser, path: Path, scheme: str, viewport: dict[str, int]
) -> None:
    """Without a script, too; nothing overlaps in a cell, and a phone needs no sideways scrolling."""
    with opened(chromium, path, viewport=viewport, color_scheme=scheme, java_script_enabled=False) as page:
        (cell,) = page.locator(f"td:has(a[href='#cell--{RECOVERED.id}--{MODELS[0].name}'])").evaluate_all(
            CELL
        )
        (_, left, top, right, bottom), *boxes = cell["boxes"]
        hollow, solid = (Box(*box) for box in cell["marks"])
        assert len({hollow.look, solid.look, cell["behind"]}) == 3, "both differ from each other and the cell"
        assert hollow.bottom <= solid.top, "one above the other"
        for mark in (hollow, solid):
            assert mark.right - mark.left >= 7
            assert left <= mark.left
            assert mark.right <= right
            assert top <= mark.top
            assert mark.bottom <= bottom
        parts = [Box(*box) for box in boxes]
        assert len(parts) >= 5
        assert not [(one, other) for one, other in combinations(parts, 2) if one.overlaps(other)]
        assert visible(page, "#matrix th .badge") == [
            "failed to confirm", "confirmed", "exploratory", "confirmed on 2 of 3 models",
        ]  # fmt: skip
        looks = page.locator("#matrix .badge").evaluate_all(
            "found => found.map((e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])"
        )
        assert all(letters != behind for letters, behind in looks)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_page_with_badges(chromium: Browser, path: Path, scheme: str) -> None:
    with opened(chromium, path, viewport=NARROW, color_scheme=scheme) as page:
        assert violations(page) == []


def test_the_day_of_the_ledger_is_not_that_of_a_record() -> None:
    """Or the two marks of the other tests would be one."""
    assert all(record.run.started != WHEN for record in records())
