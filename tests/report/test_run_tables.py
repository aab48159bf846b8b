"""What a run leaves for other programs: claims as CSV, a summary in Markdown, and the schemas of its JSON."""

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
from tests.support.report_records import MODELS, run
from vsg_core.errors import VsgError
from vsg_core.records.files import RECORD_SCHEMA, read_records
from vsg_core.records.schemas import MEANINGS, SCHEMAS
from vsg_core.report import write_report
from vsg_core.report.text.claim_table import COLUMNS, ClaimTable
from vsg_core.report.text.summary import markdown_summary, write_neighbours

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "reports" / "example"


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], dict[str, str]]:
    found = csv.DictReader(io.StringIO(ClaimTable(run()).csv()), strict=True)
    return {(row["claim"], row["model"]): row for row in found}


def test_the_csv_has_the_numbers_of_the_records(rows: dict[tuple[str, str], dict[str, str]]) -> None:
    assert len(rows) == len(run())
    for record in run():
        row = rows[record["claim"], record["model"]["name"]]
        low, high = record["interval"] or (None, None)
        for name, value in {
            "estimate": record["estimate"],
            "interval_low": low,
            "interval_high": high,
        }.items():
            assert (float(row[name]) if row[name] else None) == value
        assert row["n"] == ("" if record["n"] is None else str(record["n"]))
        assert (row["verdict"], row["reason"]) == (record["verdict"], record["reason"])
        assert row["recorded"] == (record["recorded"] or {}).get("verdict", "")


def test_pandas_reads_the_csv_as_it_stands() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(io.StringIO(ClaimTable(run()).csv()))
    assert list(table.columns) == list(COLUMNS)
    assert {str(table[name].dtype) for name in ("estimate", "interval_low", "interval_high")} == {"float64"}
    ran = table[table.verdict != "not run"]
    assert ran[["estimate", "interval_low", "interval_high", "n"]].notna().all(axis=None)
    assert table[table.verdict == "not run"].estimate.isna().all()


def test_whatever_was_written_the_csv_has_one_row_a_record(tmp_path: Path) -> None:
    """With line ends, quotes, control characters and lone surrogates in every text."""
    records = [
        record | {"reason": 'a,"b"\n;\x1b\ud800', "statement": "'=1\r\n"} for record in hostile_records()
    ]
    write_neighbours(records, tmp_path)
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


def test_every_field_is_explained() -> None:
    assert set(MEANINGS) == set(RECORD_SCHEMA["properties"])


@pytest.mark.parametrize("records", [run(), read_records(EXAMPLE / "records")], ids=["invented", "example"])
def test_what_a_run_writes_is_as_the_schemas_say(records: list[dict[str, Any]], tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS["record"]())
    for record in records:
        validator.validate(json.loads(json.dumps(record)))
    write_report(records, tmp_path)
    rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMAS["claims"]()).validate(rows)
    assert len(rows) == len(records)


@pytest.mark.parametrize(
    "damage",
    [
        {"estimate": None},
        {"interval": None},
        {"n": None},
        {"trials": []},
        {"verdict": "not run"},
        {"verdict": "true"},
        {"schema": 2},
        {"outcome": "fine"},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(damage: dict[str, Any]) -> None:
    record = json.loads(json.dumps(run()[0]))
    validator = jsonschema.Draft202012Validator(SCHEMAS["record"]())
    assert validator.is_valid(record)
    assert not validator.is_valid(record | damage)


def rendered(markdown: str) -> Element:
    """As GitHub shows it: tables, and HTML let through."""
    return read(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def test_the_summary_tells_changes_then_verdicts_then_what_was_not_run() -> None:
    page = rendered(markdown_summary(run()))
    (title,) = page.all("h2")
    assert title.text == "4 claims on 4 models: 6 hold, 3 refuted, 2 inconclusive, 4 not run"
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
        cell.text for table in rendered(markdown_summary(run())).all("table") for cell in table.all("td")
    ]
    names = {record["statement"] for record in run()}
    assert len([text for text in cells if text not in names]) == len(names) * len(MODELS)
    assert "holds 82 % [67 %, 93 %] (changed)" in cells
    assert "inconclusive 0.048 [0.016, 0.081] (weakened; control permuted weights failed)" in cells
    assert cells.count("") == 1, "a claim that was not asked of a model"


def test_a_claim_over_several_models_has_its_column() -> None:
    across = run()[0] | {"model": {"name": "across-models"}}
    page = rendered(markdown_summary([across, run()[1]]))
    (table,) = page.all("table")
    assert [head.text for head in table.all("th")] == ["claim", str(MODELS[1]["name"]), "across-models"]
    assert table.all("td")[2].text == "refuted 0 % [0 %, 9 %]"


def test_nothing_in_a_summary_is_taken_for_markup() -> None:
    """Statements, names and reasons with HTML, Markdown and hidden characters in them."""
    text = "a | b <img src=x> `tick` ``two`` *bold* [link](http://x) @someone ![i](x) &amp; ~~s~~ \\ \x1b\u202e\ud800"
    cut = {"statement": text, "question": text}
    broken = {**run()[3], "reason": text}
    records = [{**run()[0], **cut}, {**broken, **cut, "model": {"name": text}}]
    summary = markdown_summary(records)
    summary.encode("utf-8")
    page = rendered(summary)
    assert {element.tag for element in page.all()} <= {
        "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "ul", "li", "code",
    }  # fmt: skip
    shown = re.sub(r"\s+", " ", text).replace("\x1b\u202e\ud800", "\\x1b\\u202e\\ud800")
    assert page.all("tr")[1].all("td")[0].text == shown
    assert page.all("li")[0].all("code")[-1].text == shown


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VsgError, match=r"^cannot write .*summary\.md: .*$"):
        write_neighbours(run(), tmp_path / "file")
