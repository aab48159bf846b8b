"""The files of a run for other programs: claims as CSV, a summary in Markdown, and the schemas of its JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt

from tests.report.test_hostile import hostile_records
from tests.support.page_reading import Element, read
from tests.support.report_records import BROKEN, MODELS, over_all_models, run
from vsg_core.errors import VsgError
from vsg_core.records.files import read_run, record_text
from vsg_core.records.record import Record
from vsg_core.records.schemas import SCHEMAS, claim_row
from vsg_core.report import terminal_summary
from vsg_core.report.text.claim_table import COLUMNS, OF_LEDGER, OF_REPORT, ClaimTable
from vsg_core.report.text.summary import markdown_summary, write_neighbours
from vsg_core.report.view.rows import report_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "reports" / "example"


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], dict[str, str]]:
    found = csv.DictReader(io.StringIO(ClaimTable(run()).csv()), strict=True)
    return {(row["claim"], row["model"]): row for row in found}


def test_the_csv_has_the_numbers_of_the_records(rows: dict[tuple[str, str], dict[str, str]]) -> None:
    assert len(rows) == len(run())
    for record in run():
        evidence = record.evidence
        row = rows[record.claim.id, record.model.name]
        low, high = evidence.interval or (None, None)
        for name, value in {
            "estimate": evidence.estimate,
            "interval_low": low,
            "interval_high": high,
        }.items():
            assert (float(row[name]) if row[name] else None) == value
        assert row["n"] == ("" if evidence.n is None else str(evidence.n))
        assert (row["verdict"], row["reason"]) == (record.verdict, record.reason)
        assert row["recorded"] == (record.recorded.verdict if record.recorded else "")
        assert row["weights_form"] == record.model.form


def test_pandas_reads_the_csv_as_it_stands() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(io.StringIO(ClaimTable(run()).csv()))
    assert list(table.columns) == [*COLUMNS, *OF_REPORT, *OF_LEDGER]
    assert {str(table[name].dtype) for name in ("estimate", "interval_low", "interval_high")} == {"float64"}
    ran = table[table.verdict != "not run"]
    assert ran[["estimate", "interval_low", "interval_high", "n"]].notna().all(axis=None)
    assert table[table.verdict == "not run"].estimate.isna().all()


def test_the_csv_has_one_row_per_record_of_any_text(tmp_path: Path) -> None:
    """With line ends, quotes, control characters and lone surrogates in every text."""
    text = 'a,"b"\n;\x1b\ud800'
    records = [with_texts(record, text, statement="'=1\r\n") for record in hostile_records()]
    write_neighbours(report_of(records), tmp_path)
    with (tmp_path / "claims.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == len(records)
    assert {row["reason"] for row in rows} == {'a,"b"\n;\\x1b\\ud800'}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_published_as_it_is(name: str) -> None:
    """`vsg schema NAME > docs/schemas/NAME.json` brings the file up to date."""
    schema = SCHEMAS[name]()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8")) == schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described_and_required(name: str) -> None:
    schema = SCHEMAS[name]()
    parts = {"": schema, **schema["$defs"]}
    fields = {
        f"{part}.{key}": field
        for part, of in parts.items()
        for key, field in of.get("properties", {}).items()
    }
    assert not [path for path, field in fields.items() if not field.get("description")]
    # A rule in a claim is written without what has a default.
    optional = {"Rule.over", "Rule.trials", "Rule.alpha"}
    required = {f"{part}.{key}" for part, of in parts.items() for key in of.get("required", ())}
    assert set(fields) - required <= optional


@pytest.mark.parametrize("records", [run(), read_run(EXAMPLE)], ids=["invented", "example"])
def test_what_a_run_writes_is_as_the_schemas_say(records: list[Record]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS["record"]())
    for record in records:
        validator.validate(json.loads(record_text(record)))
    rows = [claim_row(record).model_dump(mode="json") for record in records]
    jsonschema.Draft202012Validator(SCHEMAS["claims"]()).validate(rows)


RUN, NOT_RUN = (json.loads(record_text(run()[i])) for i in (0, 3))
NUMBERS: dict[str, Any] = {"estimate": 0.5, "interval": [0.4, 0.6], "n": 40}


@pytest.mark.parametrize(
    ("record", "part", "damage"),
    [
        (RUN, "evidence", {"estimate": None}),
        (RUN, "evidence", {"interval": None}),
        (RUN, "evidence", {"n": None}),
        (RUN, "evidence", {"trials": []}),
        (RUN, "evidence", {"reason": ""}),
        (RUN, "evidence", {"verdict": "not run"}),
        (RUN, "evidence", {"verdict": "true"}),
        (RUN, "evidence", {"not_run": NOT_RUN["evidence"]["not_run"]}),
        (NOT_RUN, "evidence", {"verdict": "holds"}),
        (NOT_RUN, "evidence", {"not_run": None}),
        *((NOT_RUN, "evidence", {name: value}) for name, value in NUMBERS.items()),
        (RUN, "", {"schema": 1}),
        (RUN, "", {"outcome": "fine"}),
        (RUN, "", {"verdict": "holds"}),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    record: dict[str, Any], part: str, damage: dict[str, Any]
) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS["record"]())
    assert validator.is_valid(record)
    assert not validator.is_valid(record | ({part: record[part] | damage} if part else damage))


@pytest.mark.parametrize("damage", [{name: None} for name in NUMBERS] + [{"verdict": "not run"}])
def test_a_row_that_contradicts_itself_is_refused(damage: dict[str, Any]) -> None:
    row = claim_row(run()[0]).model_dump(mode="json")
    validator = jsonschema.Draft202012Validator(SCHEMAS["claims"]())
    assert validator.is_valid([row])
    assert not validator.is_valid([row | damage])


def with_texts(record: Record, reason: str, **claim_fields: str) -> Record:
    """The record with other texts: its reason, or the reason why it was not run, and fields of its claim."""
    not_run = BROKEN.model_copy(update={"cause": "weights", "reason": reason}) if record.not_run else None
    evidence = record.evidence.model_copy(update={"reason": reason, "not_run": not_run})
    claim = record.claim.model_copy(update=claim_fields)
    return record.model_copy(update={"evidence": evidence, "claim": claim})


def rendered(markdown: str) -> Element:
    """As GitHub shows it: tables, and HTML let through."""
    return read(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def test_the_summary_lists_changes_then_verdicts_then_what_was_not_run() -> None:
    page = rendered(markdown_summary(report_of(run())))
    (title,) = page.all("h2")
    assert title.text == "4 claims on 3 models: 6 hold, 3 refuted, 2 inconclusive, 3 not run, 1 broken"
    heads = [head.text for head in page.all("h3")]
    assert heads == [
        "Changed", "Do concept tokens preserve superpositions?",
        "Does the instruction format fail with embeddings?", "Not run",
    ]  # fmt: skip
    changed = [item.text for item in page.all("ul")[0].all("li")]
    assert [text.partition(":")[0] for text in changed] == ["broken", "changed", "weakened"]
    assert changed[1].endswith("was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]")
    assert "vsg models fetch gemma-3-270m" in page.all("ul")[1].text


def test_the_summary_has_a_cell_for_each_claim_and_model() -> None:
    cells = [
        cell.text
        for table in rendered(markdown_summary(report_of(run()))).all("table")
        for cell in table.all("td")
    ]
    names = {f"{row.record.claim.statement} (needs {row.needs})" for row in report_of(run()).claims}
    assert len([text for text in cells if text not in names]) == len(names) * len(MODELS)
    assert "holds 82 % [67 %, 93 %] (changed; survives Holm)" in cells
    assert (
        "inconclusive 0.048 [0.016, 0.081], 65 % of trials above 0 "
        "(weakened; undecided control “permuted weights” 0.023 [0.011, 0.036], "
        "needs below 0.02)"
    ) in cells
    assert "inconclusive 48 % [32 %, 64 %] (new; 50 % is inside the interval)" in cells
    assert cells.count("") == 1, "a claim that was not asked of a model"


def test_a_claim_over_several_models_has_its_column() -> None:
    across = run()[0].model_copy(update={"model": over_all_models().model})
    page = rendered(markdown_summary(report_of([across, run()[1]])))
    (table,) = page.all("table")
    assert [head.text for head in table.all("th")] == ["claim", f"{MODELS[1].name} (4-bit)", "across-models"]
    assert table.all("td")[2].text == "refuted 0 % [0 %, 9 %] (survives Holm)"


def test_every_name_of_a_quantised_model_has_its_precision() -> None:
    """In the heads of tables, in changes and in what was not run; not inside reasons and commands."""
    report = report_of(run())
    summary = re.sub(r"`[^`]*`", "", markdown_summary(report))
    terminal = "\n".join(
        line for line in terminal_summary(report).splitlines() if not line.startswith(" " * 6)
    )
    for model, shown in zip(MODELS, (" (4-bit)", " (4-bit)", " (8-bit)", ""), strict=True):
        for text in (summary, terminal):
            places = [text[place.end() :] for place in re.finditer(re.escape(model.name), text)]
            assert places
            assert all(rest.startswith(shown) for rest in places)
            assert shown or not any(rest.startswith(" (") for rest in places)


def test_nothing_in_a_summary_is_taken_for_markup() -> None:
    """Statements, names and reasons with HTML, Markdown and hidden characters in them."""
    text = "a | b <img src=x> `tick` ``two`` *bold* [link](http://x) @someone ![i](x) &amp; ~~s~~ \\ \x1b\u202e\ud800"
    named = MODELS[3].model_copy(update={"name": text, "form": text})
    records = [
        with_texts(record, text, statement=text, question=text)
        for record in (run()[0], run()[11].model_copy(update={"model": named}))
    ]
    summary = markdown_summary(report_of(records))
    summary.encode("utf-8")
    page = rendered(summary)
    assert {element.tag for element in page.all()} <= {
        "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "ul", "li", "code",
    }  # fmt: skip
    shown = re.sub(r"\s+", " ", text).replace("\x1b\u202e\ud800", "\\x1b\\u202e\\ud800")
    assert page.all("tr")[1].all("td")[0].text == f"{shown} (needs above 0)"
    assert page.all("li")[0].all("code")[-1].text == shown


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VsgError, match=r"^cannot write .*summary\.md: .*$"):
        write_neighbours(report_of(run()), tmp_path / "file")
