"""Attacking a universal claim: the cases drawn, the trials counted, and the counterexample reported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.support.judging import declare
from vsg_core.errors import WrongUse
from vsg_core.judge.attack import CONTROL_CASES, attack
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import always, rate
from vsg_core.judge.trials import JudgingError, Trial

tokens = st.lists(st.integers(0, 50_000), min_size=1, max_size=12)
Check = Callable[[list[list[int]]], list[Trial]]


def checking(law: Callable[[list[int]], bool], calls: list[int] | None = None) -> Check:
    """Build a check of that law; `calls` collects the size of each batch."""

    def check(cases: list[list[int]]) -> list[Trial]:
        if calls is not None:
            calls.append(len(cases))
        return [Trial(repr(case), success=law(case)) for case in cases]

    return check


def test_a_law_that_holds() -> None:
    calls: list[int] = []
    trials = attack(tokens, checking(lambda case: len(case) <= 12, calls)).trials
    assert len(trials) >= 300
    assert len({trial.prompt for trial in trials}) == len(trials)
    assert sum(calls) == len(trials)
    assert max(calls) == 10
    assert judge(declare(always()), trials).verdict == "holds"


def test_a_counterexample_is_shrunk_to_one_small_case() -> None:
    calls: list[int] = []
    trials = attack(tokens, checking(lambda case: not (len(case) >= 3 and sum(case) > 100), calls)).trials
    *passed, failed = trials
    assert failed.success is False
    assert failed.prompt == "[0, 0, 101]"
    assert all(trial.success for trial in passed)
    assert len(passed) < 10, "the first batch already broke it"
    assert judge(declare(always()), trials).verdict == "refuted"
    assert len(calls) < 300, "shrinking may not cost more passes than an attack"


def test_trials_before_a_rare_counterexample_count() -> None:
    trials = attack(tokens, checking(lambda case: len(case) < 12 or case[-1] <= 49_000), trials=3000).trials
    assert not trials[-1].success
    assert trials[-1].prompt == str([0] * 11 + [49_001])
    assert sum(trial.success is False for trial in trials) == 1
    assert len(trials) > 20


def test_equal_seeds_draw_equal_cases_and_different_seeds_different_ones() -> None:
    def drawn(seed: int) -> Sequence[Trial]:
        return attack(tokens, checking(lambda case: True), trials=50, seed=seed).trials

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_the_draws_do_not_depend_on_imported_modules(tmp_path: Path) -> None:
    """Hypothesis's own backend draws constants from imported source code; with this many, that would be noticed."""
    module = tmp_path / "constants.py"
    module.write_text(f"NUMBERS = {list(range(1000, 31_000, 7))}\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
if sys.argv[1] == "with":
    import constants
from hypothesis import strategies as st
from vsg_core.judge.attack import attack
from vsg_core.judge.trials import Trial
cases = st.lists(st.integers(0, 50_000) | st.floats(0, 1), min_size=1, max_size=12)
for trial in attack(cases, lambda batch: [Trial(repr(case), success=True) for case in batch]).trials:
    print(trial.prompt)
"""
    root = Path(__file__).parents[2]
    without, with_constants = (
        subprocess.run(
            [sys.executable, "-c", code, how], check=True, cwd=root, capture_output=True, text=True
        )
        for how in ("without", "with")
    )
    assert without.stdout.count("\n") >= 300
    assert without.stdout == with_constants.stdout
    assert not without.stderr


def test_draws_do_not_depend_on_earlier_results() -> None:
    """Trials are independent: the cases before the failure are those of an attack that never fails."""
    all_pass = attack(tokens, checking(lambda case: True), trials=200).trials
    fails_late = attack(tokens, checking(lambda case: case != eval(all_pass[150].prompt)), trials=200).trials
    passed = [trial.prompt for trial in fails_late if trial.success]
    assert passed[:150] == [trial.prompt for trial in all_pass[:150]]
    assert fails_late[-1].prompt == all_pass[150].prompt


def test_a_case_drawn_twice_counts_once() -> None:
    trials = attack(
        st.integers(0, 6), lambda cases: [Trial(str(case), success=True) for case in cases]
    ).trials
    assert sorted(trial.prompt for trial in trials) == list("0123456")
    assert judge(declare(always()), trials).verdict == "inconclusive"


def test_batches_of_one() -> None:
    calls: list[int] = []
    trials = attack(tokens, checking(lambda case: sum(case) < 1000, calls), batch=1).trials
    assert set(calls) == {1}
    assert trials[-1].prompt == "[1000]"


def test_a_result_that_depends_on_the_batch_is_still_one_counterexample() -> None:
    """A case is judged once, so that a numerically unstable check cannot confuse the shrinking."""
    trials = attack(
        tokens, lambda cases: [Trial(repr(case), success=len(cases) < 5) for case in cases]
    ).trials
    assert [trial.success for trial in trials].count(False) == 1


def test_an_error_of_the_check_is_raised_unchanged() -> None:
    calls = []

    def check(cases: list[list[int]]) -> list[Trial]:
        calls.append(cases)
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        attack(tokens, check)
    assert len(calls) == 1, "an error is not shrunk, which would cost a forward pass each time"


@pytest.mark.parametrize("answer", [[], [Trial("a", success=True)], [Trial("a", value=1.0)] * 10])
def test_a_check_must_return_one_trial_per_case(answer: list[Trial]) -> None:
    with pytest.raises(JudgingError, match="check must return one per case, with its success"):
        attack(tokens, lambda cases: answer)


def test_wrong_use() -> None:
    with pytest.raises(WrongUse, match="trials=0, batch=10"):
        attack(tokens, checking(lambda case: True), trials=0)
    with pytest.raises(JudgingError, match="no 10 cases can be drawn together"):
        attack(st.nothing() | tokens.filter(lambda case: False), checking(lambda case: True))


def test_a_control_judges_the_first_cases_of_an_attack() -> None:
    """The control has its trials even if the attack ends immediately."""
    seen: list[list[int]] = []

    def check(cases: list[int]) -> list[Trial]:
        seen.append(cases)
        return [Trial(str(case), success=True) for case in cases]

    def broken(cases: list[int]) -> list[Trial]:
        return [Trial(str(case), success=False) for case in cases]

    numbers = st.integers(0, 10**9)
    attack(numbers, check, trials=200, batch=20, seed=3)
    drawn = [str(case) for batch in seen[1:] for case in batch]
    held = attack(numbers, check, controls={"broken": broken}, trials=200, batch=20, seed=3)
    first = [trial.prompt for trial in held.arms["broken"]]
    assert first == drawn[: len(first)]
    assert CONTROL_CASES <= len(first) < CONTROL_CASES + 20
    assert not any(trial.success for trial in held.arms["broken"])
    fails = attack(numbers, broken, controls={"law": check}, trials=200, batch=20, seed=3)
    assert len(fails.trials) == 1
    assert [trial.prompt for trial in fails.arms["law"]] == first


def test_the_judge_accepts_the_result_of_an_attack() -> None:
    """It returns Evidence with the arms under the names that the claim declares."""
    controls = {"sums": checking(lambda case: sum(case) < 0)}
    evidence = attack(tokens, checking(lambda case: True), controls=controls)
    judged = judge(declare(always(), controls={"sums": rate(below=0.1)}), evidence)
    assert judged.verdict == "holds"
    (arm,) = judged.arms
    assert (arm.arm.name, arm.estimate, arm.verdict) == ("sums", 0.0, "holds")
    assert arm.n >= CONTROL_CASES


def test_a_control_needs_two_cases_to_exchange() -> None:
    law = checking(lambda case: True)
    with pytest.raises(WrongUse, match=r"batch=1.* with controls: give 2 or more"):
        attack(tokens, law, controls={"sums": law}, batch=1)
