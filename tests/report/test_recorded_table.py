"""Recorded verdicts as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ledgers import freeze_of, register, shrunk, unrun
from tests.support.second_engine import RATE, real
from vsg_core.judge.claims import load_claims
from vsg_core.records.ledger import Line
from vsg_core.records.record import Record
from vsg_core.report.text.recorded_table import HOLM, recorded_table
from vsg_core.report.view.status import EXPLORATORY, PILOT, Harness

MEANING = Harness(1, 1, 0).meaning
NOTE = f"The verdicts are {EXPLORATORY} {PILOT} Weights: 4-bit on 1 model, unknown on 1 model."

CLAIMS = '''
"""Do things work?"""
from vsg_core import always, claim, difference, rate

ABOUT = dict(source="a paper", reported="seen", no_control="arithmetic")

@claim("It works", rule=rate(above=0.5), headline=True, **ABOUT)
def test_works(lm): ...

@claim("It works better", rule=difference(above=0), **ABOUT)
def test_better(lm): ...

@claim("It always works", rule=always(), headline=True, **ABOUT)
def test_always(lm): ...

@claim("It cannot fail", rule=always(), headline=True, identity=True, **ABOUT)
def test_identity(lm): ...

@claim("Nor can this", rule=always(), identity=True, **ABOUT)
def test_further_identity(lm): ...

@claim("Nothing is recorded of it", rule=always(), headline=True, **ABOUT)
def test_unrecorded(lm): ...
'''

RECORDED = {
    "large": """
        identity = { verdict = "holds", estimate = 0.0, interval = [0.0, 0.0093], n = 320, SAME }
        further_identity = { verdict = "refuted", estimate = 0.025, interval = [0.001, 0.13], n = 40, SAME }
        works = { verdict = "holds", estimate = 1.0, interval = [0.91, 1.0], n = 40, SAME }
        always = { verdict = "refuted", estimate = 0.025, interval = [0.001, 0.13], n = 40, SAME }
    """,
    "small": """
        works = { verdict = "not run", not_applicable = "no chat format", SAME }
        better = { verdict = "inconclusive", estimate = -0.0288, interval = [-0.0788, 0.0212], n = 60, SAME }
        always = { verdict = "holds", estimate = 0.0, interval = [0.0, 0.0093], n = 320, SAME }
    """,
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of claims, and one of recorded verdicts on two models."""
    claims, recorded = tmp_path / "claims", tmp_path / "recorded"
    claims.mkdir()
    recorded.mkdir()
    (claims / "things.py").write_text(CLAIMS)
    for model, entries in RECORDED.items():
        form = 'form = "Q4_K_M", ' if model == "large" else ""
        same = f'rule = "r", weights = "w", {form}dtype = "float32"'
        (recorded / f"{model}.toml").write_text(entries.replace("SAME", same))
    return claims, recorded


def test_a_question_has_a_table_of_claims_by_models(folders: tuple[Path, Path]) -> None:
    assert recorded_table(*folders).splitlines() == [
        "## Do things work?",
        "",
        "| claim | large (4-bit) | small |",
        "| --- | --- | --- |",
        "| It works | **holds** 100 % [91 %, 100 %] of 40 | *not run*, no chat format |",
        "| It works better |  | **inconclusive** −0.03 [−0.08, 0.02] of 60 |",
        "| It always works | **refuted** 1 of 40 [0.1 %, 13 %] | **holds** none in 320 [0 %, 0.9 %] |",
        "",
        "## The harness: 1 verdict does not hold",
        "",
        f"1 of 2 verdicts of 2 identities hold. {MEANING}",
        "",
        "| claim | large (4-bit) |",
        "| --- | --- |",
        "| Nor can this | **refuted** 1 of 40 [0.1 %, 13 %] |",
        "| It cannot fail | **holds** none in 320 [0 %, 0.9 %] |",
        "",
        NOTE,
    ]


def test_short_cells_have_the_verdict_and_the_estimate(folders: tuple[Path, Path]) -> None:
    assert recorded_table(*folders, headline=True, short=True).splitlines() == [
        "| claim | large (4-bit) | small |",
        "| --- | --- | --- |",
        "| It works | **holds** 100 % | *not run* |",
        "| It always works | **refuted** 1 of 40 | **holds** none in 320 |",
        "",
        f"The harness is sound: 1 of 1 verdict of 1 identity hold. {MEANING}",
        "",
        NOTE,
    ]


def test_a_model_without_a_verdict_in_a_table_has_no_column_there(folders: tuple[Path, Path]) -> None:
    (folders[1] / "small.toml").write_text("")
    assert recorded_table(*folders).splitlines()[2] == "| claim | large (4-bit) |"


def test_decided_verdicts_that_fail_holm_are_marked(folders: tuple[Path, Path]) -> None:
    """Over the model's findings with a verdict: 0.03 is below 0.05, but not below 0.05 / 2; identities do not count."""
    recorded = folders[1] / "small.toml"
    same = 'rule = "r", weights = "w"'
    recorded.write_text(
        """
        works = { verdict = "holds", estimate = 0.9, interval = [0.7, 0.98], n = 40, p_value = 0.03, SAME }
        better = {verdict = "holds", estimate = 0.3, interval = [0.1, 0.5], n = 60, p_value = 1e-3, share = 0.71, SAME}
        always = { verdict = "inconclusive", estimate = 0.0, interval = [0.0, 0.3], n = 40, p_value = 0.2, SAME }
        identity = { verdict = "holds", estimate = 0.0, interval = [0.0, 0.01], n = 320, p_value = 0.04, SAME }
    """.replace("SAME", same)
    )
    lines = {
        line.split(" | ")[0][2:]: line.split(" | ")[-1][:-2] for line in recorded_table(*folders).splitlines()
    }
    assert lines["It works"] == "**holds**† 90 % [70 %, 98 %] of 40"
    assert lines["It works better"] == "**holds** 0.30 [0.10, 0.50] of 60; 71 % of trials above 0"
    assert lines["It always works"].startswith("**inconclusive** ")
    assert HOLM in recorded_table(*folders)
    assert "**holds**† 90 %" in recorded_table(*folders, headline=True, short=True)


def registered(folders: tuple[Path, Path], lines: Callable[[Record], Line], *names: str) -> None:
    """Register claims on the model large, each with a line made from a real record under the claim's name."""
    claims = {claim.id: claim for claim in load_claims(folders[0])}
    records = []
    for name in names:
        record = real(RATE)
        claim = record.claim.model_copy(update={"id": name, "rules_digest": claims[name].rules_digest})
        model = record.model.model_copy(update={"name": "large"})
        records.append(record.model_copy(update={"claim": claim, "model": model}))
    register(folders[0], freeze_of("primary-1", records), map(lines, records))


def test_registered_claims_come_first_and_are_marked(folders: tuple[Path, Path]) -> None:
    """Also in the table of headline claims, whether they are headline claims or not."""
    registered(folders, shrunk, "always", "better")
    text = recorded_table(*folders)
    rows = [line for line in text.splitlines() if line.startswith("| It")]
    assert [row.split(" | ")[0] for row in rows[:3]] == [
        "| It works better",
        "| It always works",
        "| It works",
    ]
    assert "**refuted** 1 of 40 [0.1 %, 13 %]; \u2713 **refuted**" in text
    note = text.splitlines()[-1]
    assert note.startswith(
        "2 claims were registered in primary-1 before new prompts were drawn: 2 are confirmed on them. \u2713: "
    )
    assert f"The verdicts of 1 claim are {EXPLORATORY}" in note
    short = recorded_table(*folders, headline=True, short=True)
    assert [line.split(" | ")[0] for line in short.splitlines() if line.startswith("| It")] == [
        "| It works better",
        "| It always works",
        "| It works",
    ]


def test_what_failed_to_confirm_is_marked_too(folders: tuple[Path, Path]) -> None:
    registered(folders, lambda record: unrun(record, "a | b"), "works")
    text = recorded_table(*folders)
    assert "**holds** 100 % [91 %, 100 %] of 40; \u2717 *not run*, a \\| b" in text
    assert "0 are confirmed on them, 1 failed to confirm." in text


def test_without_a_line_the_tables_are_the_same(folders: tuple[Path, Path]) -> None:
    before = recorded_table(*folders)
    register(folders[0], freeze_of("primary-1", [real(RATE)]), [])
    assert recorded_table(*folders) == before
    assert before.endswith(NOTE)
