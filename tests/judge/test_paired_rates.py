"""Rates over an arm of the same units: Newcombe's interval for pairs, and when it is used."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.judging import declare, successes
from vsg_core.judge.intervals import paired_rate_difference_interval, rate_difference_interval
from vsg_core.judge.judging import Judgement, judge
from vsg_core.judge.rules import rate
from vsg_core.judge.trials import Evidence, Trial

ALPHA = 0.05
RUNS = 3000


def pairs(both: int, first: int, second: int, neither: int) -> tuple[list[float], list[float]]:
    """Return the successes of both arms, by unit, from the counts of the paired 2 x 2 table."""
    own = [1.0] * (both + first) + [0.0] * (second + neither)
    other = [1.0] * both + [0.0] * first + [1.0] * second + [0.0] * neither
    return own, other


def test_published_interval() -> None:
    """Complete response before and after consolidation, 59, 6, 16, 80 (Cavo et al. 2012).

    As published with contingencytables, the R package of M. W. Fagerland, S. Lydersen and P. Laake, Statistical
    Analysis of Contingency Tables, 2017, chapter 8: Newcombe square-and-add, -0.0621 (-0.1186 to -0.0046).
    """
    low, high = paired_rate_difference_interval(*pairs(59, 6, 16, 80), ALPHA)
    assert (round(low, 4), round(high, 4)) == (-0.1186, -0.0046)


@pytest.mark.parametrize(
    "table",
    [
        (14, 5, 0, 22),
        (1, 1, 7, 12),
        (36, 12, 2, 0),
        (0, 20, 20, 0),
        (5, 5, 5, 5),
        (0, 10, 0, 30),
        (0, 0, 0, 40),
    ],
)
def test_the_interval_is_the_method_as_written(table: tuple[int, int, int, int]) -> None:
    """Computed here from the counts of the table and statsmodels' Wilson intervals."""
    from statsmodels.stats.proportion import proportion_confint

    both, first, second, neither = table
    n = sum(table)
    ones, twos = both + first, both + second
    (low, high), (arm_low, arm_high) = (
        proportion_confint(count, n, alpha=ALPHA, method="wilson") for count in (ones, twos)
    )
    numerator = both * neither - first * second
    corrected = max(numerator - n / 2, 0) if numerator > 0 else numerator
    margins = ones * (n - ones) * twos * (n - twos)
    phi = corrected / margins**0.5 if margins else 0
    p, q = ones / n, twos / n
    below = ((p - low) ** 2 - 2 * phi * (p - low) * (arm_high - q) + (arm_high - q) ** 2) ** 0.5
    above = ((high - p) ** 2 - 2 * phi * (high - p) * (q - arm_low) + (q - arm_low) ** 2) ** 0.5
    found = paired_rate_difference_interval(*pairs(*table), ALPHA)
    assert found == pytest.approx((p - q - below, p - q + above), abs=1e-9)


def test_arms_that_do_not_correlate_have_the_interval_of_independent_arms() -> None:
    own, other = pairs(10, 10, 10, 10)
    expected = rate_difference_interval(20, 40, 20, 40, ALPHA)
    assert paired_rate_difference_interval(own, other, ALPHA) == pytest.approx(expected)


def test_the_interval_of_independent_arms_is_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    cases: list[tuple[float, int, float, int]] = [
        (56, 70, 48, 80),
        (0, 40, 0, 30),
        (10, 10, 0, 20),
        (3.4, 20, 1.2, 25),
    ]
    for case in cases:
        expected = confint_proportions_2indep(*case, method="newcomb", compare="diff", alpha=0.1)
        assert rate_difference_interval(*case, 0.1) == pytest.approx(expected)


def over(own: list[Trial], other: list[Trial]) -> Judgement:
    return judge(declare(rate(above=0, over="other"), comparisons=["other"]), Evidence(own, {"other": other}))


def named(flags: list[float], name: str = "prompt") -> list[Trial]:
    return [Trial(f"{name} {i}", success=bool(flag)) for i, flag in enumerate(flags)]


def test_arms_of_the_same_prompts_are_compared_by_pairs() -> None:
    own, other = pairs(25, 8, 1, 26)
    paired, apart = over(named(own), named(other)), over(named(own), named(other, "another prompt"))
    assert paired.interval == pytest.approx(paired_rate_difference_interval(own, other, ALPHA))
    assert apart.interval == pytest.approx(rate_difference_interval(33, 60, 26, 60, ALPHA))
    assert (paired.verdict, apart.verdict) == ("holds", "inconclusive")
    assert paired.reason.startswith("+12 points [+2, +21] of 60 pairs, rule: above 0 points")
    assert " of 60, rule: " in apart.reason
    # Whatever their order.
    assert over(named(own), named(other)[::-1]).interval == paired.interval


def test_arms_that_are_not_one_to_one_are_not_paired() -> None:
    own, other = named(pairs(25, 8, 1, 26)[0]), named(pairs(25, 8, 1, 26)[1])
    repeated = [Trial("the same", success=trial.success) for trial in own]
    for first, second in (
        (own, other[:-1]),
        (own[:-1], other),
        (repeated, repeated),
        (own, [*other, other[0]]),
    ):
        assert "pairs" not in over(first, second).reason


def test_clusters_are_pairs_by_their_names() -> None:
    """The prompts of the arms differ; a fractional success enters the correlation as it is."""
    first = [
        Trial(f"{c}.{i}", success=c % 2 == 0 or i == 0, cluster=str(c)) for c in range(40) for i in range(2)
    ]
    second = [
        Trial(f"noise {c}.{i}", success=c % 2 == 0, cluster=str(c)) for c in range(40) for i in range(2)
    ]
    judged = over(first, second)
    assert judged.n == 40
    expected = paired_rate_difference_interval([1.0, 0.5] * 20, [1.0, 0.0] * 20, ALPHA)
    assert judged.interval == pytest.approx(expected)
    assert "of 40 pairs" in judged.reason
    assert "pairs" not in over(first, named([1.0, 0.0] * 20)).reason


@pytest.mark.parametrize("n", [40, 120])
@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("truth", "gap"), [(0.5, 0.0), (0.1, 0.0), (0.3, 0.2)])
def test_false_verdicts_of_pairs(n: int, agreement: float, truth: float, gap: float) -> None:
    """Simulated with the truth on the bound; a share of the units succeeds in both arms or in neither.

    The interval guarantees nothing, and errs most with few discordant pairs; on each side it stays below 4 %.
    """
    rng = np.random.default_rng(0)
    hard, one, other = rng.random((3, RUNS, n))
    agreed = rng.random((RUNS, n)) < agreement
    own_draws, other_draws = np.where(agreed, hard, one), np.where(agreed, hard, other)
    above = below = 0
    for first, second in zip(own_draws < truth + gap, other_draws < truth, strict=True):
        low, high = paired_rate_difference_interval(first.astype(float), second.astype(float), ALPHA)
        above += low > gap
        below += high < gap
    assert max(above, below) / RUNS <= 0.04


@pytest.mark.parametrize("agreement", [0.1, 0.9])
def test_false_verdicts_of_paired_clusters(agreement: float) -> None:
    """Five samples of each prompt in both arms; the prompts are the units, however much their samples agree."""
    rng = np.random.default_rng(0)
    n, scale = 40, (1 - agreement) / agreement
    easy = rng.beta(0.5 * scale, 0.5 * scale, (RUNS, n))
    own, other = rng.binomial(5, easy) / 5, rng.binomial(5, easy) / 5
    outside = np.array(
        [
            (low > 0, high < 0)
            for low, high in (
                paired_rate_difference_interval(first, second, ALPHA)
                for first, second in zip(own, other, strict=True)
            )
        ]
    ).mean(axis=0)
    assert max(outside) <= 0.025


def test_pairs_decide_what_independent_arms_leave_open() -> None:
    """Both arms have 60 % and 50 %, and agree on all prompts but those."""
    assert over(successes(72, 120), successes(60, 120)).verdict == "holds"
