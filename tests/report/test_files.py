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
    measured,
    not_run,
    over_all_models,
    recorded,
    run,
    successes,
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
        "claim", "model", "status", "verdict", "estimate", "interval", "n", "share", "p_value", "survives_holm",
        "recorded", "outcome", "reason", "reproduced", "weights_form",
        "confirmed_verdict", "confirmed_estimate", "confirmed_interval", "confirmed_n",
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


@pytest.mark.parametrize("width", [60, 80, 96])
def test_the_terminal_shows_changes_then_verdicts_then_what_was_not_run(width: int) -> None:
    text = terminal_summary(report_of(run()), width)
    assert max(len(line) for line in text.splitlines() if "pytest" not in line) <= width
    order = [
        text.index(part)
        for part in ("broken:", "changed:", "weakened:", "Does the instruction", "not run:\n")
    ]
    assert order == sorted(order)
    assert " ".join(text.split()).startswith(
        "4 claims on 3 models: 6 hold, 3 refuted, 2 inconclusive, 3 not run, 1 broken; 2 new"
    )
    assert "was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]" in " ".join(text.split())
    assert "to get them: vsg models fetch gemma-3-270m" in text


ROW = "  chat_embeddings_give_empty_output           "


@pytest.mark.parametrize(
    ("width", "models", "shown"),
    [
        (200, 4, f"{ROW}A  -                                B  x 0 % [0 %, 9 %] *               C !o 82 %"),
        (80, 4, """
  chat_embeddings_give_empty_output
      A  -                                B  x 0 % [0 %, 9 %] *
      C !o 82 % [67 %, 93 %] *            D  ? 48 % [32 %, 64 %]
"""),
        (96, 1, f"{ROW}x 0 % [0 %, 9 %] *  needs above 50 %\n"),
        (76, 1, """
  next_distribution_is_nearer_to_the_mixture
                                             o 0.110 [0.079, 0.140] (90 %) *
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
    assert "agreement_grows_with_size\n      E  o 90 % [76 %, 97 %] *  needs above 50 %\n" in text, (
        "no line of empty cells"
    )


@pytest.mark.parametrize(("width", "models"), [(60, 4), (80, 4), (80, 1), (120, 4)])
def test_the_terminal_shows_the_bound_of_every_claim_and_the_cause_of_every_inconclusive_verdict(
    width: int, models: int
) -> None:
    """A bound inside the interval, the control that failed, or how many cases are still open."""
    open_cases = measured(SAME_LOGITS, 2, successes(100, 100))
    shown = [run()[i] for i in (2, 5, 9, 13)] + [open_cases]
    if models == 1:
        shown = [record.model_copy(update={"model": MODELS[0]}) for record in shown if record is not shown[1]]
    text = " ".join(terminal_summary(report_of(shown), width).split())
    for part in (
        "needs above 50 %", "50 % is inside the interval", "needs no counterexample",
        "up to 3 % are left open, more than 1 %", "needs above 0 ", "needs above +10 points",
        "undecided control “permuted weights” 0.023 [0.011, 0.036], needs below 0.02",
    ):  # fmt: skip
        assert part in text


def test_the_terminal_shows_what_values_are_in() -> None:
    """Behind the estimate, in the bound, and where a control failed."""
    record = run()[9]
    claim = record.claim.model_copy(update={"value_unit": "bits"})
    text = " ".join(terminal_summary(report_of([record.model_copy(update={"claim": claim})]), 120).split())
    assert "0.048 bits [0.016, 0.081] (65 %) needs above 0 bits" in text
    assert "“permuted weights” 0.023 bits [0.011, 0.036], needs below 0.02 bits" in text


def test_the_legend_names_every_mark_and_every_letter_that_was_printed() -> None:
    moved = run()[0].model_copy(update={"recorded": recorded("refuted", 0.2, 0.1, 0.3)})
    text = terminal_summary(report_of([moved, *run()[1:]]), 96, {"h": "holds", "s": "not run"})
    legend = (
        "o holds x refuted ? inconclusive - not run # broken ! changed or weakened ~ moved * survives Holm"
    )
    legend += " (%) share of trials on the claim's side"
    assert f"{legend} while it ran: h holds s not run" in " ".join(text.split())
    one = terminal_summary(report_of([run()[4]]), 96)
    assert one.endswith("\n\no holds  * survives Holm"), "what does not appear is not named"


def test_the_terminal_says_what_moved() -> None:
    """A verdict that stays while its estimate leaves the recorded interval."""
    moved = run()[0].model_copy(update={"recorded": recorded("refuted", 0.2, 0.1, 0.3)})
    assert moved.moved
    text = terminal_summary(report_of([moved]), 96)
    assert "      20 % [10 %, 30 %] recorded, now 0 % [0 %, 9 %]" in text
    assert "~x 0 % [0 %, 9 %]" in text
    inside = moved.model_copy(update={"recorded": recorded("refuted", 0.04, 0.0, 0.3)})
    assert "moved" not in terminal_summary(report_of([inside]), 96)


def test_the_terminal_shows_each_reason_once() -> None:
    reason = NotRun(cause="weights", reason="weights unavailable")
    text = terminal_summary(report_of(not_run(claim, 3, reason) for claim in (EMPTY, SAME_LOGITS)))
    assert text.count("weights unavailable") == 1
    assert "all 2 claims on gemma-3-270m" in text
