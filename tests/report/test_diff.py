"""Two runs compared: what became of each claim on each model, by records that the judge made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from tests.support.report_records import (
    BRANCHES,
    EMPTY,
    MODELS,
    RECOVERED,
    SLICED,
    doses,
    make_claim,
    measured,
    not_run,
    provenance,
    run,
    successes,
    values,
)
from vsg_core.judge.arms import Dose
from vsg_core.judge.intervals import rate_interval
from vsg_core.judge.rules import Rule, difference, rate
from vsg_core.judge.trials import Trial
from vsg_core.records.files import read_records, read_run, write_archive, write_record
from vsg_core.records.record import ModelReference, NotRun, Record
from vsg_core.report.diff import compare_runs, diff_text


def empty(count: int, model: int | ModelReference = 0, **claim_fields: Any) -> Record:
    """EMPTY (a rate above 50 %) with `count` successes in 40."""
    return measured(EMPTY, model, successes(count), SLICED, **claim_fields)


def in_dtype(record: Record, dtype: str) -> Record:
    return record.model_copy(update={"evidence": record.evidence.model_copy(update={"dtype": dtype})})


def judged_by(rule: Rule) -> dict[str, Any]:
    return {"rule": rule, "rules_digest": replace(EMPTY, rule=rule).rules_digest}


UNABLE = not_run(EMPTY, 0, NotRun(cause="not applicable", reason="it cannot copy"))
ABSENT = not_run(EMPTY, 0, NotRun(cause="weights", reason="weights unavailable"))
BROKEN = not_run(EMPTY, 0, NotRun(cause="error", reason="ZeroDivisionError"))
OTHER_WEIGHTS = MODELS[0].model_copy(update={"sha256": "ff"})


@pytest.mark.parametrize(
    ("a", "b", "change", "note"),
    [
        (empty(38), empty(38), "identical", ""),
        (empty(38), empty(2), "flipped", "trials that differ: 36 of 40"),
        (empty(38), empty(20), "flipped", "trials that differ: 18 of 40"),
        (empty(28), empty(39), "moved", "trials that differ: 11 of 40"),
        (empty(39), empty(28), "moved", "trials that differ: 11 of 40"),
        (empty(33), empty(39), "similar", "trials that differ: 6 of 40"),
        (empty(38), empty(38, seed=1), "similar", "seed 0 in A, 1 in B"),
        (empty(38), empty(38, statement="Otherwise"), "identical", "in B the claim reads: Otherwise"),
        (empty(38), empty(38, rule_text="in other words"), "identical", ""),
        (empty(38), empty(2, **judged_by(rate(above=0.6))), "not comparable",
         "the rule's limit: above 50 % in A, above 60 % in B"),
        (empty(38), empty(2, OTHER_WEIGHTS), "not comparable", "different weights: 0c0ffee00c0f in A, ff in B"),
        (empty(38), in_dtype(empty(38), "float32"), "not comparable",
         "different dtype: bfloat16 in A, float32 in B"),
        (empty(38), None, "gone", ""),
        (empty(38), ABSENT, "gone", "weights unavailable"),
        (None, empty(38), "new", ""),
        (ABSENT, empty(38), "new", "weights unavailable"),
        (empty(38), BROKEN, "broken", "error: ZeroDivisionError"),
        (BROKEN, empty(38), "new", "error: ZeroDivisionError"),
        (empty(38), UNABLE, "flipped", ""),
        (UNABLE, UNABLE, "not run", ""),
        (ABSENT, None, "not run", ""),
        (None, UNABLE, "not run", ""),
    ],
)  # fmt: skip
def test_what_became_of_a_claim(a: Record | None, b: Record | None, change: str, note: str) -> None:
    (pair,) = compare_runs([a] if a else [], [b] if b else []).pairs
    assert pair.change == change
    assert "; ".join(pair.notes) == note


def test_weights_that_nothing_identifies_compare_with_nothing() -> None:
    unknown = empty(38, MODELS[0].model_copy(update={"sha256": None}))
    (pair,) = compare_runs([unknown], [unknown]).pairs
    assert (pair.change, pair.notes) == ("not comparable", ["nothing identifies the weights"])


def branches(control: float, named: int, rule: Rule | None = None) -> Record:
    """BRANCHES with the same trials of its own, and a rule of its own for the control."""
    arms = {"permuted weights": values(control, 0.02), "names the top token": successes(named)}
    claim = BRANCHES
    if rule:
        changed = (
            replace(arm, rule=rule) if arm.name == "permuted weights" else arm for arm in BRANCHES.arms
        )
        claim = replace(BRANCHES, arms=tuple(changed))
    return measured(claim, 0, values(0.01, 0.2), arms)


def test_an_arm_that_moved_and_a_control_that_failed_are_reported() -> None:
    """The claim's own numbers are the same in both."""
    (pair,) = compare_runs([branches(-0.01, 38)], [branches(0.05, 38)]).pairs
    assert pair.change == "moved"
    assert list(pair.notes) == [
        "arm 'permuted weights' moved",
        "control 'permuted weights': its rule held in A, failed in B",
        "trials that differ: 0 of 40, 40 of other arms",
    ]


@pytest.mark.parametrize(
    ("rule", "note"),
    [
        (rate(above=0.6), "the rule's limit: above 50 % in A, above 60 % in B"),
        (rate(below=0.5), "the rule's limit: above 50 % in A, below 50 % in B"),
        (rate(above=0.5, trials=60), "the rule's fewest trials: 40 in A, 60 in B"),
        (rate(above=0.5, alpha=0.01), "the rule's alpha: 0.05 in A, 0.01 in B"),
        (rate(above=0.5, over="sliced by the prompt length"),
         "the rule's comparison: none in A, “sliced by the prompt length” in B"),
        (difference(above=0.1), "the rule's kind: rate in A, difference in B; "
                                "the rule's limit: above 50 % in A, above 0.1 in B"),
    ],
)  # fmt: skip
def test_the_fields_in_which_a_rule_differs_are_named(rule: Rule, note: str) -> None:
    (pair,) = compare_runs([empty(38)], [empty(38, **judged_by(rule))]).pairs
    assert (pair.change, "; ".join(pair.notes)) == ("not comparable", note)


def test_a_control_with_a_different_rule_is_named() -> None:
    a, b = branches(-0.01, 38), branches(-0.01, 38, difference(below=0.05))
    (pair,) = compare_runs([a], [b]).pairs
    assert pair.notes == ["control “permuted weights”, its rule's limit: below 0.02 in A, below 0.05 in B"]


def test_a_control_that_only_one_run_has_is_named() -> None:
    without = make_claim(EMPTY.id, EMPTY.statement, EMPTY.question, EMPTY.rule)
    controlled = make_claim(
        EMPTY.id, EMPTY.statement, EMPTY.question, EMPTY.rule, controls={"noise {}": rate(below=0.2)}
    )
    a = measured(without, 0, successes(38))
    b = measured(controlled, 0, successes(38), {"noise {}": successes(2)})
    (pair,) = compare_runs([a], [b]).pairs
    assert pair.notes == ["control “noise {}” in B only: below 20 %"]


def test_a_control_that_was_not_measured_differs_by_its_digest_alone() -> None:
    """A record whose positive control failed has no other arm."""
    a, b = branches(-0.01, 5), branches(-0.01, 38, difference(below=0.05))
    assert (a.verdict, b.verdict) == ("not run", "inconclusive")
    (pair,) = compare_runs([a], [b]).pairs
    assert (pair.change, pair.notes) == ("not comparable", ["the rule of a control differs"])


def test_a_description_is_not_evidence() -> None:
    """The sentences and doses of arms, which records of schema 1 lack."""
    record = branches(-0.01, 38)
    dose = Dose(value=2.0, unit="std", curve="noise at … std")
    arms = tuple(
        arm.model_copy(update={"sentence": "Described.", "dose": dose}) for arm in record.evidence.arms
    )
    evidence = record.evidence.model_copy(update={"arms": arms, "reason": "in other words"})
    (pair,) = compare_runs([record], [record.model_copy(update={"evidence": evidence})]).pairs
    assert (pair.change, list(pair.notes)) == ("identical", [])


def test_old_records_and_new_ones_of_the_same_trials_are_identical(tmp_path: Path) -> None:
    """The archive was written when records had schema 1, from the trials of `run()` and `doses()`.

    Rates over an arm of the same prompts had the interval of independent arms then. Another processor may round the
    last bit of an interval otherwise, and bytes are compared: such a pair is similar, too.
    """
    old, new = read_records(Path(__file__).parent / "data" / "schema-1.zip"), [*run(), *doses()]
    for record in new:
        write_record(record, tmp_path / "records")
    diff = compare_runs(old, read_run(tmp_path))
    judged = [record for record in new if record.verdict != "not run"]
    paired = [record for record in judged if " pairs, rule: " in record.reason]
    similar = [pair.record for pair in diff.of("similar")]
    assert {record.claim.rule.over for record in paired} == {"permuted weights"}
    before = {(record.model.name, record.claim.id): record.evidence for record in old}
    rounded = [record for record in similar if record.claim.rule.over is None]
    for record in rounded:
        known = before[record.model.name, record.claim.id]
        assert record.evidence.interval == pytest.approx(known.interval, rel=1e-12)
    assert len(similar) == len(paired) + len(rounded)
    assert diff.counts["identical"] == len(judged) - len(similar) == 13 - len(similar)
    assert not [pair.notes for pair in diff.of("identical") if pair.notes]
    assert {pair.change for pair in diff.pairs} == {"identical", "similar", "not run", "broken"}


def test_folders_and_archives_are_compared_alike(tmp_path: Path) -> None:
    """A folder of reports, the folder of records in it, and an archive of them."""
    for record in run():
        write_record(record, tmp_path / "records")
    archive = write_archive(run(), tmp_path / "other.zip")
    for place in (tmp_path, tmp_path / "records", archive):
        assert compare_runs(read_run(place), run()).counts["identical"] == 11


@pytest.mark.parametrize("trials", [(40, 40), (40, 400)])
def test_moved_is_rarely_chance(trials: tuple[int, int]) -> None:
    """Two runs with one true rate have intervals that lie apart in fewer than 1 of 100 pairs, for any rate."""
    a, b = (np.array([rate_interval(k, n, 0.05) for k in range(n + 1)]) for n in trials)  # [n + 1, 2]
    apart = (a[:, None, 1] < b[None, :, 0]) | (b[None, :, 1] < a[:, None, 0])  # [n + 1, m + 1]
    chances = [
        float(
            binom.pmf(np.arange(len(a)), trials[0], rate)
            @ apart
            @ binom.pmf(np.arange(len(b)), trials[1], rate)
        )
        for rate in np.linspace(0.01, 0.99, 99)
    ]
    assert 0 < max(chances) < 0.01


def test_pairs_come_in_the_order_of_the_report_and_all_are_counted() -> None:
    records = run()
    diff = compare_runs(records, records[1:])
    assert sum(diff.counts.values()) == len(diff.pairs) == len(records)
    assert [pair.claim for pair in diff.of("gone")] == [records[0].claim.id]
    assert diff.counts["broken"] == 1


def test_what_the_runs_were_made_with_is_reported_where_it_differs() -> None:
    newer = provenance(60 * 24, versions={"torch": "2.14.0", "python": "3.12.4"})
    diff = compare_runs([empty(38)], [measured(EMPTY, 0, successes(38), SLICED, run=newer)])
    assert diff.surroundings == {
        "day": ("2026-03-14", "2026-03-15"),
        "torch": ("2.13.0", "2.14.0"),
        "transformers": ("5.1.0", "unknown"),
    }


@pytest.mark.parametrize("width", [80, 96])
def test_the_text_reports_flips_first_and_fits(width: int) -> None:
    a = [empty(38), measured(RECOVERED, 0, successes(38), {"permuted weights": successes(7)})]
    b = [empty(2), measured(RECOVERED, 0, successes(36), {"permuted weights": successes(7)})]
    text = diff_text(compare_runs(a, b), ("before", "after"), width)
    assert max(map(len, text.splitlines())) <= width
    assert (
        max(map(len, diff_text(compare_runs(run(), run()[5:] + b), ("a", "b"), width).splitlines())) <= width
    )
    assert "2 pairs of claim and model: 1 flipped, 1 similar" in text
    assert "holds 95 % [83 %, 99.4 %] → refuted 5 % [0.6 %, 17 %]" in " ".join(text.split())
    assert text.index("flipped: ") < text.index("similar: ")


def test_the_text_lets_no_control_character_through() -> None:
    trial = Trial("\x1b[31m", success=True)
    error = not_run(EMPTY, 0, NotRun(cause="error", reason="'\x1b[31m\u202e'"))
    broken = error.model_copy(update={"claim": error.claim.model_copy(update={"id": "a\x1bb"})})
    text = diff_text(compare_runs([measured(EMPTY, 0, [trial] * 40, SLICED)], [broken]), ("a\x1b", "b"))
    assert "\x1b" not in text
    assert "\u202e" not in text


def with_code(record: Record, code: str | None) -> Record:
    return record.model_copy(update={"run": record.run.model_copy(update={"code": code})})


def test_two_states_of_the_code_are_told_apart() -> None:
    """Two dirty trees of one commit: the digests of their files. Records without one say nothing of it."""
    one = with_code(empty(38), "0" * 16)
    differing = compare_runs([one], [with_code(empty(38), "1" * 16)])
    assert differing.surroundings == {"code": ("0" * 16, "1" * 16)}
    text = " ".join(diff_text(differing, ("a", "b")).split())
    assert (
        f"the code differed: vsg_core, hypotheses or fixtures are not the same files ({'0' * 16} in A" in text
    )
    assert not compare_runs([one], [one]).surroundings
    assert not compare_runs([one], [with_code(empty(38), None)]).surroundings


def test_what_a_partial_run_lacks_is_one_line() -> None:
    """Up to three pairs are listed; the counts are the same either way."""
    claims = [replace(EMPTY, id=f"claim_{number}") for number in range(5)]
    whole = [measured(claim, 0, successes(38), SLICED) for claim in claims]
    partial = compare_runs(whole, whole[:1])
    lines = diff_text(partial, ("a", "b")).splitlines()
    assert lines.count(f"B has no record of 4 pairs, on {whole[0].model.name}") == 1
    assert not any("claim_" in line for line in lines)
    assert partial.counts["gone"] == 4
    assert (
        sum("claim_" in line for line in diff_text(compare_runs(whole, whole[2:]), ("a", "b")).splitlines())
        == 2
    )
