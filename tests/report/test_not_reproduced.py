"""Verdicts that another run did not reproduce: marked on the page, in the summary, in JSON and CSV, and in a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.page_reading import read
from tests.support.report_records import EMPTY, MODELS, SLICED, measured, provenance, run, successes
from vsg_core import ClaimTable
from vsg_core.records.files import read_reports, write_record
from vsg_core.records.history import read_repeats
from vsg_core.records.merging import merge
from vsg_core.report import report_of, write_report
from vsg_core.report.text.summary import write_neighbours

OTHER = provenance(-60 * 24, commit="f" * 40, device="cuda:0 (\x1b[31mred)", dirty=True)
TEXT = "refuted 8 % [2 %, 20 %] of 40 on 2026-03-13, commit fffffff+, device cuda:0"
CELL = (EMPTY.id, MODELS[1].name)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Merge a run over all claims with two earlier runs, one of which differs from it, and write the report."""
    folder = tmp_path_factory.mktemp("pool")
    for record in run():
        write_record(record, folder / "mine" / "records")
    for name, record in {
        "theirs": measured(EMPTY, 1, successes(3), SLICED, run=OTHER),
        "again": measured(EMPTY, 0, successes(1), SLICED, run=OTHER),
    }.items():
        write_record(record, folder / name)
    merge([folder / name for name in ("mine", "theirs", "again")], folder / "pool")
    records = read_reports(folder / "pool")
    report = report_of(records, read_repeats(folder / "pool", records))
    write_report(report, folder / "pool")
    write_neighbours(report, folder / "pool")
    return folder / "pool"


def test_the_page_shows_it_first_in_the_matrix_and_with_the_claim(pool: Path) -> None:
    text = (pool / "claims.html").read_text(encoding="utf-8")
    page = read(text)
    assert "1 verdict was not reproduced by another run" in page.all("div", "changes")[1].text
    assert "\x1b" not in text
    tagged = [tag for tag in page.all("span", "tag") if "not-reproduced" in tag.attributes["class"].split()]
    assert len(tagged) == 3
    assert sum(TEXT in remark.text for remark in page.all("tr", "remark")) == 1


def test_the_summary_has_a_section_for_it(pool: Path) -> None:
    summary = (pool / "summary.md").read_text(encoding="utf-8")
    section = summary.split("### Not reproduced\n\n")[1].split("\n\n")[0]
    assert section.startswith(f"- {EMPTY.statement}, on ")
    assert "**holds** 82 % [67 %, 93 %]; another run: refuted 8 %" in section
    assert section.count("\n") == 0
    assert summary.count("not reproduced") == 1, "in the cell, where it is a note"


def test_json_csv_and_table_have_a_field_for_it(pool: Path) -> None:
    rows = json.loads((pool / "claims.json").read_text(encoding="utf-8"))
    found = {(row["claim"], row["model"]): row["reproduced"] for row in rows}
    assert found.pop(CELL) is False
    assert found.pop((EMPTY.id, MODELS[0].name)) is True
    assert set(found.values()) == {None}
    with (pool / "claims.csv").open(encoding="utf-8", newline="") as file:
        table = {(row["claim"], row["model"]): row["reproduced"] for row in csv.DictReader(file)}
    assert (table[CELL], set(table.values())) == ("False", {"False", "True", ""})
    assert {
        (row["claim"], row["model"]) for row in ClaimTable.read(pool).rows if row["reproduced"] is False
    } == {CELL}


def test_a_report_without_history_has_none(tmp_path: Path) -> None:
    write_report(report_of(run()), tmp_path)
    assert {row["reproduced"] for row in json.loads((tmp_path / "claims.json").read_text())} == {None}
    assert "not reproduced" not in (tmp_path / "claims.html").read_text(encoding="utf-8")
