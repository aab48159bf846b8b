"""The power that a freeze asks for, against simulated runs that the judge itself decides."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.support.judging import values
from vsg_core.errors import WrongUse
from vsg_core.judge.measures import judged_verdict, measure
from vsg_core.judge.power import power, smallest_effect, trials_for_power
from vsg_core.judge.rules import Rule, always, cannot, difference, equivalence, mostly, rarely, rate
from vsg_core.judge.trials import Trial

RUNS = 400
# Four standard errors of a simulated share, at most.
SLACK = 4 * np.sqrt(0.25 / RUNS)
# Rules with a number of trials and a spread.
CASES: list[tuple[Rule, int, float | None]] = [
    (mostly(), 150, None),
    (rate(below=0.5), 150, None),
    (rate(above=0.8), 120, None),
    (rate(above=0.1, over="arm"), 300, 0.3),
    (rate(above=0.0, over="arm", matters=0.15), 200, 0.4),
    (rate(below=0.0, over="arm", matters=0.15), 600, 0.5),
    (cannot(over="arm"), 120, 0.2),
    (difference(above=0.0, matters=0.1), 60, 0.3),
    (difference(above=0.2, matters=0.1), 400, 0.3),
    (difference(below=-0.1, matters=0.1), 80, 0.3),
    (equivalence(within=0.1), 60, 0.25),
]


def outcomes(draws: np.random.Generator, truth: float, n: int) -> list[bool]:
    return (draws.random(n) < truth).tolist()


def arm(name: str, successes: list[bool]) -> list[Trial]:
    """Trials on prompts of their own, so that arms are not pairs."""
    return [Trial(f"{name} {i}", success=success) for i, success in enumerate(successes)]


def simulated(rule: Rule, n: int, spread: float | None) -> float:
    """The share of runs in which the judge says that a claim holds which is true by the smallest effect."""
    draws = np.random.default_rng(1)
    matters = smallest_effect(rule)
    assert matters is not None
    truth = rule.limit + (matters if rule.side == "above" else -matters)
    held = 0
    for _ in range(RUNS):
        if rule.kind == "rate" and rule.over and spread is not None:
            trials = arm("own", outcomes(draws, max(spread + truth, 0), n))
            arms = {rule.over: arm("other", outcomes(draws, spread, n))}
        elif rule.kind == "rate":
            trials, arms = arm("own", outcomes(draws, truth, n)), {}
        else:
            centre = 0.0 if rule.kind == "equivalence" else truth
            trials, arms = values(draws.normal(centre, spread or 0.0, n).tolist()), {}
        held += judged_verdict(rule, measure(rule, trials, arms, "its trials")[0]) == "holds"
    return held / RUNS


@pytest.mark.parametrize(("rule", "n", "spread"), CASES, ids=lambda case: getattr(case, "text", str(case)))
def test_it_is_the_share_of_runs_in_which_the_judge_says_holds(
    rule: Rule, n: int, spread: float | None
) -> None:
    assert power(rule, n, spread) == pytest.approx(simulated(rule, n, spread), abs=SLACK)


@pytest.mark.parametrize(
    ("rule", "spread"), [(rule, spread) for rule, _, spread in CASES if rule.kind != "rate"]
)
def test_of_means_it_grows_with_trials_and_falls_with_the_spread(rule: Rule, spread: float) -> None:
    by_trials = [round(power(rule, n, spread), 5) for n in range(40, 2000, 49)]
    assert by_trials == sorted(by_trials)
    by_spread = [power(rule, 100, spread * times) for times in (0.3, 0.5, 1, 2, 4)]
    assert by_spread == sorted(by_spread, reverse=True)


@pytest.mark.parametrize(("rule", "spread"), [(r, s) for r, _, s in CASES if r.kind == "rate"])
def test_of_rates_it_grows_with_trials_but_for_the_steps_of_counts(rule: Rule, spread: float | None) -> None:
    """A count more or less moves the chance, by less than a point near the highest that it reaches."""
    by_trials = [power(rule, n, spread) for n in (120, 240, 480, 960)]
    assert all(more > fewer - 0.01 for fewer, more in pairwise(by_trials))
    assert by_trials[-1] > 0.9


@pytest.mark.parametrize(("rule", "n", "spread"), CASES)
def test_the_trials_that_it_names_reach_it_and_half_of_them_do_not(
    rule: Rule, n: int, spread: float | None
) -> None:
    needed = trials_for_power(rule, spread, 0.9)
    assert power(rule, needed, spread) >= 0.9
    assert needed == rule.trials or power(rule, needed // 2, spread) < 0.9


def test_a_mean_beyond_the_limit_by_what_matters_is_called_negligible_at_most_as_often_as_alpha() -> None:
    assert power(difference(above=0, matters=0.1), 100_000, 1.0) == pytest.approx(0.95, abs=1e-3)


def test_always_holds_once_it_has_enough_trials_without_a_counterexample() -> None:
    assert [power(always(), n) for n in (298, 299)] == [0.0, 1.0]
    assert trials_for_power(always(), None, 0.9) == 299


def test_fewer_trials_than_the_rule_takes_have_no_power() -> None:
    assert power(rarely(trials=100), 99) == 0.0
    assert power(rarely(trials=100), 100) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rule", "spread", "line"),
    [
        (difference(above=0), 1.0, "names no smallest effect"),
        (difference(above=0, matters=1), None, "a standard deviation of None"),
        (difference(above=0, matters=1), 0.0, "a standard deviation of 0.0"),
        (rate(above=0, over="arm"), None, "a rate of None in 'arm'"),
        (rate(above=0, over="arm"), 1.5, "a rate of 1.5 in 'arm'"),
    ],
)
def test_what_it_cannot_be_computed_from_is_refused(rule: Rule, spread: float | None, line: str) -> None:
    with pytest.raises(WrongUse, match=line):
        power(rule, 100, spread)
