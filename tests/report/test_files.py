"""The files next to the page: its rows as JSON; and the summary in the terminal."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.support.page_reading import read
from tests.support.report_records import (
    EMPTY,
    MODELS,
    SAME_LOGITS,
    not_run,
    over_all_models,
    run,
)
from vsg_core.errors import VsgError
from vsg_core.records.files import write_archive, write_record
from vsg_core.records.record import NotRun
from vsg_core.report import report_of, terminal_summary, write_report
from vsg_core.report.view.origins import command

ORDER = ("broken", "changed", "weakened")


def test_claims_json_has_one_row_per_claim_and_model(tmp_path: Path) -> None:
    path = write_report(report_of(run()), tmp_path)
    rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert path == tmp_path / "claims.html"
    assert {(row["claim"], row["model"]) for row in rows} == {(r.claim.id, r.model.name) for r in run()}
    assert len(rows) == len(run())
    (row,) = [r for r in rows if r["claim"] == EMPTY.id and r["model"] == MODELS[1].name]
    assert set(row) == {
        "claim", "model", "verdict", "estimate", "interval", "n", "recorded", "outcome", "reason", "weights_form",
    }  # fmt: skip
    assert (row["verdict"], row["recorded"], row["outcome"]) == ("holds", "refuted", "changed")
    assert (row["estimate"], row["n"], len(row["interval"])) == (0.825, 40, 2)


def links_to_records(path: Path) -> list[str]:
    page = read(path.read_text(encoding="utf-8"))
    found = [link for p in page.all("p", "all") for link in p.all("a")] + page.all("footer")[0].all("a")
    return [link.attributes["href"] for link in found if link.attributes["href"] != "claims.json"]


def test_the_page_links_to_the_folder_of_records(tmp_path: Path) -> None:
    records = run()
    for record in records:
        write_record(record, tmp_path / "records")
    write_archive(records, tmp_path / "records.zip")
    links = links_to_records(write_report(report_of(records), tmp_path))
    assert len(links) == len(records) + 1
    assert all((tmp_path / link).exists() for link in links)
    assert "records.zip" not in links, "the folder is preferred"


def test_the_page_links_to_the_archive_and_names_the_member_if_there_is_no_folder(tmp_path: Path) -> None:
    records = run()
    write_archive(records, tmp_path / "records.zip")
    path = write_report(report_of(records), tmp_path)
    assert set(links_to_records(path)) == {"records.zip"}
    with zipfile.ZipFile(tmp_path / "records.zip") as archive:
        members = archive.namelist()
    shown = [p.text for p in read(path.read_text(encoding="utf-8")).all("p", "all")]
    assert len(shown) == len(members)
    assert all(any(f"{member} in records.zip" in text for text in shown) for member in members)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VsgError, match=r"^cannot write .*claims\.json: .*$"):
        write_report(report_of(run()), tmp_path / "file")


@pytest.mark.parametrize("width", [80, 96])
def test_the_terminal_shows_changes_then_verdicts_then_what_was_not_run(width: int) -> None:
    text = terminal_summary(report_of(run()), width)
    assert max(len(line) for line in text.splitlines() if "pytest" not in line) <= width
    order = [
        text.index(part)
        for part in ("broken:", "changed:", "weakened:", "Does the instruction", "not run:\n")
    ]
    assert order == sorted(order)
    assert text.startswith("4 claims on 4 models: 6 hold, 3 refuted, 2 inconclusive, 4 not run; 2 new")
    assert "was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]" in text
    assert "to get them: vsg models fetch gemma-3-270m" in text


ROW = "  chat_embeddings_give_empty_output           "


@pytest.mark.parametrize(
    ("width", "models", "shown"),
    [
        (180, 4, f"{ROW}A  -                         B  x 0 % [0 %, 9 %]          C !o 82 % [67 %, 93 %]"),
        (80, 4, """
  chat_embeddings_give_empty_output
      A  -                         B  x 0 % [0 %, 9 %]
      C !o 82 % [67 %, 93 %]       D  ? 48 % [32 %, 64 %]
"""),
        (80, 1, f"{ROW}x 0 % [0 %, 9 %]\n"),
        (69, 1, """
  next_distribution_is_nearer_to_the_mixture
                                             o 0.110 [0.079, 0.140]
"""),
    ],
)  # fmt: skip
def test_the_terminal_shows_whole_names_and_intervals(width: int, models: int, shown: str) -> None:
    """Next to each other if there is room, else below each other, model under model."""
    ran = [model.name for model in MODELS][:models]
    text = terminal_summary(report_of(record for record in run() if record.model.name in ran), width)
    assert shown in text


def test_the_terminal_gives_the_command_that_measures_a_changed_cell_again() -> None:
    """For what changed, weakened or broke; whole, in one line."""
    text = terminal_summary(report_of(run()), 80)
    changed = [record for record in run() if record.outcome in ("changed", "weakened", "broken")]
    assert len(changed) == 3
    assert re.findall(r"^      again: (.*)$", text, re.MULTILINE) == [
        command(record) for record in sorted(changed, key=lambda record: ORDER.index(record.outcome))
    ]


def test_the_terminal_shows_a_claim_over_all_models() -> None:
    text = terminal_summary(report_of([*run(), over_all_models()]), 80)
    assert re.search(r"E  across-models\n", text)
    assert "agreement_grows_with_size\n      E  o 90 % [76 %, 97 %]\n" in text, "no line of empty cells"


def test_the_terminal_shows_each_reason_once() -> None:
    reason = NotRun(cause="weights", reason="weights unavailable")
    text = terminal_summary(report_of(not_run(claim, 3, reason) for claim in (EMPTY, SAME_LOGITS)))
    assert text.count("weights unavailable") == 1
    assert "all 2 claims on gemma-3-270m" in text
