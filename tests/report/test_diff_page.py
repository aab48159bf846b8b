"""The page that compares two runs: every pair where it belongs, and text of others as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.report.test_diff import empty, judged_by
from tests.report.test_hostile import hostile_records
from tests.support.page_reading import Element, read
from tests.support.report_records import BROKEN, MODELS, RECOVERED, measured, run, successes
from vsg_core.errors import VsgError
from vsg_core.judge.rules import rate
from vsg_core.records.record import Record, StoredEvidence
from vsg_core.report.diff import compare_runs, write_diff
from vsg_core.report.diff.page import render

ARMS = {"permuted weights": successes(7)}


def page_of(a: list[Record], b: list[Record], names: tuple[str, str] = ("monday", "tuesday")) -> Element:
    return read(render(compare_runs(a, b), names))


def test_the_title_counts_flips_and_moves_and_each_pair_is_in_its_section() -> None:
    page = page_of(
        [empty(38), measured(RECOVERED, 0, successes(38), ARMS), measured(RECOVERED, 2, successes(3), ARMS)],
        [empty(2), measured(RECOVERED, 0, successes(20), ARMS), measured(RECOVERED, 2, successes(3), ARMS)],
    )
    assert page.all("h1")[0].text == "1 verdict flipped, 1 estimate moved"
    assert "Run A is monday, 3 records. Run B is tuesday, 3 records." in page.text
    (flipped,) = page.by_id("flipped").all("tr")[2:]
    assert [cell.text for cell in flipped.all("td")] == [
        "Run A holds 95 % [83 %, 99.4 %]", "Run B refuted 5 % [0.6 %, 17 %]",
    ]  # fmt: skip
    assert f"{MODELS[0].name} (4-bit)" in flipped.all("th")[0].text
    assert RECOVERED.statement in page.by_id("moved").text
    (same,) = page.all("details")
    assert f"{RECOVERED.statement} on {MODELS[2].name} (8-bit): refuted" in same.text


def test_both_sides_are_drawn_on_one_scale_each_with_its_own_threshold() -> None:
    """5 % and 95 % of 100 lie at 9.5 % and 90.5 % of the width, whose ends stay free; the thresholds at 50 and 68."""
    stricter = empty(2, **judged_by(rate(above=0.7)))
    drawn = page_of([empty(38)], [stricter]).by_id("not-comparable").all("svg", "glance")
    assert [svg.all("circle")[0].attributes["cx"] for svg in drawn] == ["90.5%", "9.5%"]
    assert [svg.all("line", "threshold")[0].attributes["x1"] for svg in drawn] == ["50.0%", "68.0%"]


def test_a_page_of_two_equal_runs_says_that_nothing_differs() -> None:
    page = page_of(run()[:3], run()[:3])
    assert page.all("h1")[0].text == "No verdict flipped, no estimate moved"
    assert not page.all("table")
    assert "made with" not in page.text


def test_the_page_asks_for_nothing_and_shows_hostile_text_as_it_is() -> None:
    records = hostile_records()
    reason = BROKEN.model_copy(update={"reason": "<script>\x1b\u202e\ud800"})
    broken = [
        record.model_copy(
            update={
                "outcome": "broken",
                "evidence": StoredEvidence(verdict="not run", reason="", not_run=reason),
            }
        )
        for record in records
    ]
    text = render(compare_runs(records, broken), ("<b>\ud800", "tuesday"))
    text.encode("utf-8")
    page = read(text)
    assert not [e.tag for e in page.all() if e.tag in ("script", "img", "b!", "iframe", "link", "textarea")]
    assert not re.search(r"\b(?:src|href)=\"(?!#)|url\(|@import", text)
    assert not [name for e in page.all() for name in e.attributes if name.startswith("on")]
    assert "<script>\\x1b\\u202e\\ud800" in page.by_id("broken").text
    assert "Run A is <b>\\ud800" in page.text


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VsgError, match=r"^cannot write .*diff\.html: .*$"):
        write_diff(compare_runs([empty(38)], [empty(2)]), ("a", "b"), tmp_path / "file" / "diff.html")
