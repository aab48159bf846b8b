"""The confidence intervals on which verdicts are based. All are two-sided, of confidence 1 - alpha.

scipy and statsmodels are imported on the first call, so that listing claims stays fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

Interval = tuple[float, float]


def rate_interval(successes: float, n: int, alpha: float) -> Interval:
    """Clopper-Pearson interval of a rate.

    Chosen over Wilson's because each end errs at most alpha / 2 at *every* rate and n. Wilson's keeps that
    only on average over rates, and errs more often near 0 and 1, where many claims live.
    (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934.)

    Args:
        successes: may be fractional, the sum of cluster means. The interval is that of clusters which each
            succeed or fail as a whole: the widest spread that a rate allows.
        n: number of independent units, at least 1.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, alpha=alpha, method="beta")
    return float(low), float(high)


def rate_difference_interval(
    successes: float, n: int, arm_successes: float, arm_n: int, alpha: float
) -> Interval:
    """Newcombe's interval of a rate minus that of an independent arm, built from the two Wilson intervals.

    It keeps its width at 0 of n and n of n, where a Wald interval collapses to a point.
    (R. G. Newcombe, Statistics in Medicine 17, 1998, 873-890, method 10.)
    """
    return _square_and_add(successes, n, arm_successes, arm_n, 0.0, alpha)


def paired_rate_difference_interval(own: Sequence[float], other: Sequence[float], alpha: float) -> Interval:
    """Newcombe's interval of a rate minus that of another arm of the same units.

    As for independent arms, with the correlation phi of the two arms, which narrows the interval where they succeed
    on the same units. A positive phi is corrected for continuity towards 0; it is 0 where an arm has only successes
    or none. (R. G. Newcombe, Statistics in Medicine 17, 1998, 2635-2650, method 10.)

    Args:
        own, other: successes by unit, in the same order. Those of clusters may be fractional: phi then takes their
            covariance, while both Wilson intervals keep the widest spread that a rate allows, as if clusters
            succeeded or failed as a whole. Correlation thus narrows the interval by no more than it should.
    """
    n, first, second = len(own), math.fsum(own), math.fsum(other)
    # Of whole successes, the numerator of phi is both * neither - first only * second only.
    excess = n * math.fsum(one * two for one, two in zip(own, other, strict=True)) - first * second
    spread = math.sqrt(max(first * (n - first) * second * (n - second), 0.0))
    corrected = max(excess - n / 2, 0.0) if excess > 0 else excess
    phi = corrected / spread if spread else 0.0
    return _square_and_add(first, n, second, n, phi, alpha)


def difference_of_differences_interval(
    estimates: tuple[float, float], intervals: tuple[Interval, Interval]
) -> Interval:
    """The interval of one difference minus another that is independent of it, built from both intervals.

    It adds the squares of the distances from each estimate to the end of its interval, as Newcombe's intervals do, so
    it keeps a width where both do.
    """
    (first, second), ((low, high), (other_low, other_high)) = estimates, intervals
    difference = first - second
    return (
        difference - math.hypot(first - low, other_high - second),
        difference + math.hypot(high - first, second - other_low),
    )


def mean_interval(values: Sequence[float], alpha: float) -> Interval:
    """Student's t interval of a mean, for at least two independent values that are not all the same."""
    from statsmodels.stats.weightstats import DescrStatsW

    low, high = DescrStatsW(values).tconfint_mean(alpha=alpha)
    return float(low), float(high)


def _square_and_add(
    successes: float, n: int, arm_successes: float, arm_n: int, phi: float, alpha: float
) -> Interval:
    """Combine two Wilson intervals into that of the difference of the rates, which correlate by `phi`."""
    rate, arm_rate = successes / n, arm_successes / arm_n
    low, high = _wilson(rate, n, alpha)
    arm_low, arm_high = _wilson(arm_rate, arm_n, alpha)

    def reach(one: float, two: float) -> float:
        return math.sqrt(max(one**2 - 2 * phi * one * two + two**2, 0.0))

    difference = rate - arm_rate
    return (
        difference - reach(rate - low, arm_high - arm_rate),
        difference + reach(high - rate, arm_rate - arm_low),
    )


def _wilson(rate: float, n: int, alpha: float) -> Interval:
    """Wilson's score interval of a rate."""
    square = NormalDist().inv_cdf(1 - alpha / 2) ** 2
    middle = rate + square / (2 * n)
    half = math.sqrt(square * (rate * (1 - rate) / n + square / (4 * n**2)))
    share = 1 + square / n
    return (middle - half) / share, (middle + half) / share
