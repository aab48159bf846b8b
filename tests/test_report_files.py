"""What a run leaves beside the page: its rows as JSON, and the summary in the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.report_records import EMPTY, MODELS, SAME_LOGITS, not_run_record, over_all_models, provenance, run
from vsg_core.errors import VsgError
from vsg_core.report import terminal_summary, write_report


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
    assert max(map(len, text.splitlines())) <= width
    order = [
        text.index(part)
        for part in ("broken:", "changed:", "weakened:", "Does the instruction", "not run:\n")
    ]
    assert order == sorted(order)
    assert text.startswith("4 claims on 4 models: 6 hold, 3 refuted, 2 inconclusive, 4 not run; 2 new")
    assert "was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]" in text
    assert "to get them: vsg models fetch gemma-3-270m" in text
    assert re.search(r"chat_embeddings_give_empty_output +- +x 0 % +!o 82 %", text)


def test_the_terminal_shows_a_claim_over_all_models() -> None:
    text = terminal_summary([*run(), over_all_models()], 120)
    assert re.search(r"E  across-models\n", text)
    assert re.search(r"agreement_grows_with_size +o 90 %", text)


def test_the_terminal_tells_one_reason_once() -> None:
    records: list[dict[str, Any]] = [
        not_run_record(claim, MODELS[3], "weights unavailable", provenance())
        for claim in (EMPTY, SAME_LOGITS)
    ]
    text = terminal_summary(records)
    assert text.count("weights unavailable") == 1
    assert "all 2 claims on gemma-3-270m" in text
