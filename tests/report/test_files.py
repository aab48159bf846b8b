"""What a run leaves beside the page: its rows as JSON, and the summary in the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.report_records import (
    EMPTY,
    MODELS,
    SAME_LOGITS,
    not_run_record,
    over_all_models,
    provenance,
    run,
)
from vsg_core.errors import VsgError
from vsg_core.report import terminal_summary, write_report
from vsg_core.report.view.origins import command

ORDER = ("broken", "changed", "weakened")


def test_claims_json_has_one_row_a_claim_and_model(tmp_path: Path) -> None:
    path = write_report(run(), tmp_path)
    rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert path == tmp_path / "claims.html"
    assert {(row["claim"], row["model"]) for row in rows} == {(r["claim"], r["model"]["name"]) for r in run()}
    assert len(rows) == len(run())
    (row,) = [r for r in rows if r["claim"] == EMPTY.id and r["model"] == MODELS[1]["name"]]
    assert list(row) == [
        "claim", "model", "verdict", "estimate", "interval", "n", "recorded", "outcome", "reason",
    ]  # fmt: skip
    assert (row["verdict"], row["recorded"], row["outcome"]) == ("holds", "refuted", "changed")
    assert (row["estimate"], row["n"], len(row["interval"])) == (0.825, 40, 2)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VsgError, match=r"^cannot write .*claims\.json: .*$"):
        write_report(run(), tmp_path / "file")


@pytest.mark.parametrize("width", [80, 96])
def test_the_terminal_shows_changes_then_verdicts_then_what_was_not_run(width: int) -> None:
    text = terminal_summary(run(), width)
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
        (180, 4, f"{ROW}A  -                           B  x 0 % [0 %, 9 %]            C !o 82 % [67 %, 93 %]"),
        (80, 4, """
  chat_embeddings_give_empty_output
      A  -                           B  x 0 % [0 %, 9 %]
      C !o 82 % [67 %, 93 %]         D  ? 48 % [32 %, 64 %]
"""),
        (80, 1, f"{ROW}x 0 % [0 %, 9 %]\n"),
        (71, 1, """
  next_distribution_is_nearer_to_the_mixture
                                             o 0.110 [0.079, 0.140]
"""),
    ],
)  # fmt: skip
def test_the_terminal_shows_whole_names_and_intervals(width: int, models: int, shown: str) -> None:
    """Beside each other where there is room, else below each other, model under model."""
    ran = [model["name"] for model in MODELS][:models]
    text = terminal_summary([record for record in run() if record["model"]["name"] in ran], width)
    assert shown in text


def test_the_terminal_gives_the_command_that_measures_a_changed_cell_again() -> None:
    """For what changed, weakened or broke; whole, in one line."""
    text = terminal_summary(run(), 80)
    changed = [record for record in run() if record["outcome"] in ("changed", "weakened", "broken")]
    assert len(changed) == 3
    assert re.findall(r"^      again: (.*)$", text, re.MULTILINE) == [
        command(record) for record in sorted(changed, key=lambda record: ORDER.index(record["outcome"]))
    ]


def test_the_terminal_shows_a_claim_over_all_models() -> None:
    text = terminal_summary([*run(), over_all_models()], 80)
    assert re.search(r"E  across-models\n", text)
    assert "agreement_grows_with_size\n      E  o 90 % [76 %, 97 %]\n" in text, "no line of empty cells"


def test_the_terminal_tells_one_reason_once() -> None:
    records: list[dict[str, Any]] = [
        not_run_record(claim, MODELS[3], "weights unavailable", provenance())
        for claim in (EMPTY, SAME_LOGITS)
    ]
    text = terminal_summary(records)
    assert text.count("weights unavailable") == 1
    assert "all 2 claims on gemma-3-270m" in text
