"""Next to a verdict, whether it survives Holm's correction; next to a mean, the share of trials on the claim's side."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    BOUNDED,
    BRANCHES,
    EMPTY,
    MODELS,
    RECOVERED,
    SAME_LOGITS,
    SLICED,
    identities,
    measured,
    run,
    successes,
)
from vsg_core.records.record import Record
from vsg_core.report import Report, report_of, terminal_summary, write_report
from vsg_core.report.page.render import render
from vsg_core.report.text.claim_table import ClaimTable, csv_text
from vsg_core.report.text.summary import markdown_summary
from vsg_core.report.view.cells import Cell


def with_p(record: Record, p_value: float | None) -> Record:
    return record.model_copy(update={"evidence": record.evidence.model_copy(update={"p_value": p_value})})


def family(*p_values: float | None) -> list[Record]:
    """Findings on one model with these p-values: two that hold, one refuted, and one inconclusive as the fourth."""
    made = [
        measured(RECOVERED, 0, successes(38), {"permuted weights": successes(7)}),
        measured(SAME_LOGITS, 0, successes(300, 300)),
        measured(EMPTY, 0, successes(0), SLICED),
        measured(EMPTY, 0, successes(19), SLICED, id="undecided"),
    ]
    return [with_p(record, p) for record, p in zip(made, p_values, strict=False)]


def survivals(records: list[Record]) -> dict[str, bool | None]:
    return {cell.record.claim.id: cell.survives for cell in report_of(records).cells}


@pytest.mark.parametrize(
    ("p_values", "survive"),
    [
        ((0.001, 0.02, 0.04), (True, True, True)),
        ((0.001, 0.03, 0.04), (True, False, False)),
        ((0.02, 0.02, 0.02), (False, False, False)),
        # One that decides nothing is in the family, and so is one whose p-value is not known.
        ((0.001, 0.02, 0.04, 0.7), (True, False, False, None)),
        ((0.02, 0.02, None), (False, False, None)),
    ],
)
def test_the_family_is_all_findings_with_a_verdict_on_the_model(
    p_values: tuple[float | None, ...], survive: tuple[bool | None, ...]
) -> None:
    records = family(*p_values)
    expected = dict(zip((record.claim.id for record in records), survive, strict=True))
    assert survivals(records) == expected
    elsewhere = [with_p(measured(EMPTY, 1, successes(0), SLICED, id=f"other_{i}"), 0.04) for i in range(9)]
    apart = [with_p(record, 0.04) for record in identities()[:3]]
    everything = report_of([*records, *elsewhere, *apart])
    found = {cell.record.claim.id: cell.survives for cell in everything.cells if cell.model == MODELS[0].name}
    assert found == {**expected, BOUNDED.id: None}, "other models and identities change nothing"


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of([*run(), *identities()])


@pytest.fixture(scope="module")
def page(report: Report) -> Element:
    return read(render(report))


def cell_in(report: Report, claim: str, model: int) -> Cell:
    return next(row for row in report.claims if row.record.claim.id == claim).cells[MODELS[model].name]


def test_the_page_shows_both_in_the_matrix_and_with_the_claim(report: Report, page: Element) -> None:
    cell = cell_in(report, BRANCHES.id, 0)
    values = [trial.value or 0.0 for trial in cell.record.evidence.trials]
    share = f"{100 * sum(value > 0 for value in values) / len(values):.0f} % of trials above 0"
    assert (cell.share, cell.holm) == (share, "survives Holm")
    assert f"{share}; survives Holm" in cell_of(page, BRANCHES.id, MODELS[0].name).text
    line = page.by_id(f"cell--{BRANCHES.id}--{MODELS[0].name}").text
    assert share in line
    assert "holds survives Holm" in line
    assert "does not survive Holm" in cell_of(page, SAME_LOGITS.id, MODELS[2].name).text
    assert "trials" not in cell_of(page, EMPTY.id, MODELS[0].name).text, "a rate is its own share"
    assert "Holm" not in cell_of(page, EMPTY.id, MODELS[2].name).text, "inconclusive"


def test_the_legends_say_what_it_is(report: Report, page: Element) -> None:
    survivors, asked = report.survival
    told = f"{survivors} of {asked} decided verdicts survive Holm: Holm’s correction over all findings"
    assert 0 < survivors < asked
    assert told in page.all("header")[0].text
    assert "whether it survives Holm’s correction over all findings" in page.all("p", "legend")[0].text
    assert told in markdown_summary(report)
    assert told in " ".join(terminal_summary(report).split())
    assert "Holm" not in page.by_id("identities").text


def test_terminal_and_summary_show_both(report: Report) -> None:
    terminal, summary = terminal_summary(report, 120), markdown_summary(report)
    share = re.escape(cell_in(report, BRANCHES.id, 0).share.split(" of ")[0])
    assert re.search(rf"B  o 0\.110 \[0\.079, 0\.140\] \({share}\) \*", terminal)
    legend = "* survives Holm (%) share of trials on the claim's side"
    assert legend in " ".join(terminal.split())
    assert re.search(rf"\*\*holds\*\* 0\.110 \[0\.079, 0\.140\], {share} of trials above 0", summary)
    assert "survives Holm" in summary


def test_json_and_csv_have_the_numbers(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    rows = {
        (row["claim"], row["model"]): row
        for row in json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    }
    table = {
        (row["claim"], row["model"]): row
        for row in csv.DictReader(io.StringIO(csv_text(report)), strict=True)
    }
    for cell in report.cells:
        row, line = (of[cell.record.claim.id, cell.model] for of in (rows, table))
        evidence = cell.record.evidence
        assert (row["share"], row["p_value"]) == (evidence.share, evidence.p_value)
        assert row["survives_holm"] is cell.survives
        assert line["survives_holm"] == ("" if cell.survives is None else str(cell.survives))
        assert (float(line["share"]) if line["share"] else None) == evidence.share
    assert any(row["share"] is not None for row in rows.values())


def test_records_without_p_values_say_nothing_about_holm() -> None:
    old = [
        record.model_copy(
            update={"evidence": record.evidence.model_copy(update={"p_value": None, "share": None})}
        )
        for record in run()
    ]
    report = report_of(old)
    for text in (
        render(report),
        terminal_summary(report),
        markdown_summary(report),
        ClaimTable(old)._repr_html_(),
    ):
        assert "Holm" not in text
