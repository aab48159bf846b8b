"""The replication of a verdict by a second engine: pairs of trials, margins, and how often the result is wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from vsg_core.judge.intervals import difference_of_differences_interval
from vsg_core.judge.replication import RATE_MARGIN, PairedDifference, paired_difference, replication
from vsg_core.judge.rules import Rule, always, difference, equivalence, rate
from vsg_core.judge.trials import Evidence, JudgingError, Trial
from vsg_core.vocabulary import Verdict

SMALL = PairedDifference(0.0, (-0.05, 0.05), (-0.04, 0.04), 100, 0.1)
LARGE = PairedDifference(0.3, (0.2, 0.4), (0.22, 0.38), 100, 0.1)
OPEN = PairedDifference(0.1, (0.0, 0.2), (0.02, 0.18), 100, 0.1)


def successes(flags: Sequence[bool]) -> Evidence:
    return Evidence([Trial(f"prompt {i}", success=flag) for i, flag in enumerate(flags)])


def values(numbers: Sequence[float]) -> Evidence:
    return Evidence([Trial(f"prompt {i}", value=number) for i, number in enumerate(numbers)])


@pytest.mark.parametrize(
    ("first", "second", "found", "result"),
    [
        ("holds", "holds", SMALL, "replicated"),
        ("negligible", "negligible", SMALL, "replicated"),
        ("holds", "holds", OPEN, "undecided"),
        ("holds", "holds", LARGE, "not replicated"),
        ("holds", "holds", None, "undecided"),
        ("holds", "refuted", SMALL, "not replicated"),
        ("negligible", "refuted", None, "not replicated"),
        ("inconclusive", "holds", SMALL, "undecided"),
        ("inconclusive", "inconclusive", SMALL, "undecided"),
        ("inconclusive", "inconclusive", LARGE, "not replicated"),
        ("holds", "not run", OPEN, "undecided"),
    ],
)
def test_the_result_follows_from_both_verdicts_and_the_difference(
    first: Verdict, second: Verdict, found: PairedDifference | None, result: str
) -> None:
    assert replication(first, second, found) == result


@pytest.mark.parametrize("successful", [0, 20, 40])
def test_forty_pairs_that_agree_are_within_the_margin_of_a_rate(successful: int) -> None:
    evidence = successes([i < successful for i in range(40)])
    found = paired_difference(rate(above=0.5), evidence, evidence)
    assert found.estimate == 0
    assert found.is_small
    assert max(map(abs, found.narrow)) <= 0.065


def test_a_difference_is_the_second_engine_minus_the_first() -> None:
    few, many = successes([i < 20 for i in range(100)]), successes([i < 70 for i in range(100)])
    found = paired_difference(rate(above=0.1), few, many)
    assert found.estimate == pytest.approx(0.5)
    assert found.matters
    assert paired_difference(always(), many, few).estimate == pytest.approx(0.5), "of counterexamples"


def test_pairing_narrows_the_interval() -> None:
    draws = random.Random(0)
    first = [draws.gauss(0, 1) for _ in range(100)]
    near = [number + draws.gauss(0, 0.01) for number in first]
    found = paired_difference(difference(above=0), values(first), values(near))
    assert found.interval[1] - found.interval[0] < 0.01
    assert found.is_small


def test_the_same_digits_leave_no_doubt() -> None:
    evidence = values([float(i) for i in range(50)])
    found = paired_difference(difference(above=0), evidence, evidence)
    assert (found.estimate, found.interval, found.is_small) == (0, (0, 0), True)


@pytest.mark.parametrize(
    ("rule", "margin"),
    [
        (difference(above=0, matters=0.05), 0.05),
        (equivalence(within=0.3), 0.3),
        (difference(above=0), 0.2 * 0.5025189076),
    ],
)
def test_the_margin_is_that_of_the_rule_or_a_fifth_of_a_standard_deviation(rule: Rule, margin: float) -> None:
    evidence = values([i % 2 for i in range(100)])
    assert paired_difference(rule, evidence, evidence).margin == pytest.approx(margin)


def test_a_rate_over_an_arm_compares_what_both_arms_changed_by() -> None:
    rule = rate(above=0, over="other", matters=0.05)

    def both(own: int, other: int) -> Evidence:
        return Evidence(
            list(successes([i < own for i in range(100)]).trials),
            {"other": list(successes([i < other for i in range(100)]).trials)},
        )

    found = paired_difference(rule, both(60, 40), both(70, 50))
    assert found.estimate == pytest.approx(0), "both arms moved alike"
    assert found.margin == 0.05
    assert paired_difference(rule, both(60, 40), both(60, 10)).estimate == pytest.approx(0.3)
    with pytest.raises(JudgingError, match="'other'"):
        paired_difference(rule, successes([True] * 40), successes([True] * 40))


def test_trials_are_paired_by_prompt_and_not_by_place() -> None:
    first = successes([i < 50 for i in range(100)])
    reversed_order = Evidence(list(first.trials)[::-1])
    assert paired_difference(rate(above=0.5), first, reversed_order).interval[1] < 0.05


def test_a_prompt_that_comes_again_is_paired_with_its_own_kind() -> None:
    twice = Evidence([Trial(f"prompt {i // 2}", success=i % 2 == 0) for i in range(80)])
    found = paired_difference(rate(above=0.5), twice, twice)
    assert (found.n, found.is_small) == (80, True)


def test_a_cluster_is_one_unit() -> None:
    def clustered(count: int) -> Evidence:
        return Evidence([Trial(f"{i}", success=i < count, cluster=str(i // 5)) for i in range(200)])

    assert paired_difference(rate(above=0.5), clustered(100), clustered(100)).n == 40
    assert paired_difference(always(), clustered(199), clustered(200)).estimate == -1 / 40


def test_too_few_units_in_common_give_no_difference() -> None:
    first = successes([True] * 100)
    other = Evidence([Trial(f"prompt {i + 20}", success=True) for i in range(100)])
    with pytest.raises(JudgingError, match="only 80 of 100"):
        paired_difference(rate(above=0.5), first, other)
    most = Evidence(list(first.trials)[:95])
    assert paired_difference(rate(above=0.5), first, most).n == 95
    with pytest.raises(JudgingError, match="needs 10"):
        paired_difference(rate(above=0.5), successes([True] * 5), successes([True] * 5))


def test_a_trial_without_what_the_rule_looks_at_is_an_error() -> None:
    with pytest.raises(JudgingError, match="lacks"):
        paired_difference(rate(above=0.5), values([1.0] * 40), values([1.0] * 40))


def test_intervals_of_differences_add_as_squares() -> None:
    low, high = difference_of_differences_interval((0.3, 0.1), ((0.0, 0.6), (-0.3, 0.5)))
    assert (low, high) == (pytest.approx(0.2 - 0.5), pytest.approx(0.2 + 0.5))


# The share that turns to failures, and what may be falsely called small: nearly 5 % where trials turn both ways, more
# where they turn one way only, as docs/judging.md says.
@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(("falling", "false_share"), [(0.05, 0.06), (0.0, 0.11)])
def test_a_difference_as_large_as_the_margin_is_rarely_called_small_or_too_large(
    over: bool, falling: float, false_share: float
) -> None:
    """600 pairs of runs of 120 trials, of which 40 % succeed on the first engine."""
    draws = random.Random(1)
    rule = rate(above=0, over="other") if over else rate(above=0.5)

    def arm(rising: float, falling: float) -> tuple[list[Trial], list[Trial]]:
        first = [draws.random() < 0.4 for _ in range(120)]
        second = [draws.random() >= falling if flag else draws.random() < rising for flag in first]
        return list(successes(first).trials), list(successes(second).trials)

    small = matters = 0
    for _ in range(600):
        own, other = arm((RATE_MARGIN + 0.4 * falling) / 0.6, falling), arm(0.02, 0.03)
        evidence = [Evidence(own[side], {"other": other[side]} if over else {}) for side in (0, 1)]
        found = paired_difference(rule, evidence[0], evidence[1])
        small, matters = small + found.is_small, matters + found.matters
    # Three standard deviations of 600 draws above the rates.
    assert small / 600 <= false_share + 3 * (false_share / 600) ** 0.5
    assert matters / 600 <= 0.025 + 3 * (0.025 / 600) ** 0.5
