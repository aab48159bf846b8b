"""The three confidence intervals on which verdicts are based. All are two-sided, of confidence 1 - alpha.

scipy and statsmodels are imported on the first call, so that listing claims stays fast.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    """Newcombe's interval of a rate minus another arm's rate, built from the two Wilson intervals.

    It keeps its width at 0 of n and n of n, where a Wald interval collapses to a point. The arms count as
    independent; where both used the same prompts and succeed on the same ones, it is wider than necessary.
    (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10.)
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(
        successes, n, arm_successes, arm_n, method="newcomb", compare="diff", alpha=alpha
    )
    return float(low), float(high)


def mean_interval(values: Sequence[float], alpha: float) -> Interval:
    """Student's t interval of a mean, for at least two independent values that are not all the same."""
    from statsmodels.stats.weightstats import DescrStatsW

    low, high = DescrStatsW(values).tconfint_mean(alpha=alpha)
    return float(low), float(high)
