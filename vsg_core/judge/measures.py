"""Measures of an arm's trials under a rule: an estimate with its interval, and the verdict that follows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from vsg_core.judge.intervals import (
    Interval,
    mean_interval,
    paired_rate_difference_interval,
    rate_difference_interval,
    rate_interval,
)
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import JudgingError, Trial
from vsg_core.vocabulary import Verdict

Arms = Mapping[str, Sequence[Trial]]
# Names an independent unit: its cluster or its prompt, or its place.
Unit = tuple[str, str] | int
Units = dict[Unit, float]
# The verdicts that an interval can give, in their order of precedence.
DECIDED: tuple[Verdict, ...] = ("negligible", "holds", "refuted")
# No p-value is smaller: so far out no interval is exact.
SMALLEST_ALPHA = 1e-12
_ALPHA_PRECISION = 1e-6


@dataclass(frozen=True)
class Measure:
    """The measurement of one arm.

    Args:
        interval: the one that the rule compares with its limit; None if the values do not determine one: all equal,
            or only one.
        interval_at: gives the interval of confidence 1 - alpha for an alpha; not called where `interval` is None.
        n: independent units.
        share: the share of these units whose value is on the rule's side of its limit; None unless the rule averages
            values.
        paired: whether the interval is that of pairs of units.
        spread: the standard deviation of the values of the units; None unless the rule averages values.
    """

    estimate: float
    interval: Interval | None
    interval_at: Callable[[float], Interval]
    n: int
    share: float | None = None
    paired: bool = False
    spread: float | None = None


def measure(rule: Rule, trials: Sequence[Trial], arms: Arms, arm: str) -> tuple[Measure, Interval]:
    """Measure what the rule compares with its limit, with an interval that a verdict may rest on.

    Args:
        arms: the other arms, one of which the rule may compare with.
        arm: names this arm in errors.

    Raises:
        JudgingError: the arm is empty or too small, a value is missing, or the values leave no interval.
    """
    try:
        measured = (
            _rate_over(rule, rule.over, trials, arms, arm) if rule.over else describe(rule, trials, arm)
        )
    except OverflowError:
        raise JudgingError(f"{arm}: the values are too large to average") from None
    if measured.n < rule.trials:
        raise JudgingError(f"{arm}: {measured.n} independent trials, the rule needs {rule.trials}")
    if measured.interval is None:
        raise JudgingError(
            f"{arm}: all {measured.n} values are {measured.estimate:g}: a mean of these has no interval; "
            "for an exact law state the rule as always()"
        )
    if not all(math.isfinite(end) for end in measured.interval):
        raise JudgingError(f"{arm}: the interval is {measured.interval}: the values are too large to average")
    return measured, measured.interval


def describe(rule: Rule, trials: Sequence[Trial], arm: str) -> Measure:
    """Measure what `trials` show by themselves, as a rule of this kind would."""
    match rule.kind:
        case "rate":
            return _rate(list(_units(trials, arm, _success, mean).values()), rule.alpha)
        case "always":
            passed = _units(trials, arm, _success, min).values()
            return _rate([1.0 - success for success in passed], rule.interval_alpha)
        case "difference" | "equivalence":
            return _mean(rule, trials, arm)


def verdict_of(rule: Rule, interval: Interval, narrow: Interval | None = None) -> Verdict:
    """Return the verdict that follows from the position of an arm's intervals relative to the rule's limit.

    Args:
        interval: the one that the rule compares with its limit.
        narrow: that of confidence 1 - 2 alpha, which decides whether an effect is negligible: two one-sided tests at
            alpha (D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987). Without it the wider
            `interval` decides, which calls fewer effects negligible.
    """
    return "negligible" if _is_negligible(rule, narrow or interval) else _by_limit(rule, interval)


def judged_verdict(rule: Rule, measured: Measure) -> Verdict:
    """Return the verdict of a rule on the arm that `measure` measured."""
    return next(
        (verdict for verdict in DECIDED if _gives(rule, measured, verdict, rule.alpha)), "inconclusive"
    )


def smallest_alpha(rule: Rule, measured: Measure, verdict: Verdict) -> float:
    """Return the smallest alpha at which the rule would give this verdict on what was measured: its p-value.

    It inverts the interval by bisection: intervals widen as alpha falls, so a verdict that is given at one alpha is
    also given at every larger one. The precedence of *negligible* is ignored. For a rate or a difference, *holds* and
    *refuted* have two-sided p-values, because each side of their interval leaves out alpha / 2.

    Returns:
        From SMALLEST_ALPHA, which represents anything smaller, to 1, where no alpha gives the verdict.
    """
    low, high = SMALLEST_ALPHA, 1.0 if _widening(rule, verdict) == 1 else 0.5
    if not _gives(rule, measured, verdict, high):
        return 1.0
    if _gives(rule, measured, verdict, low):
        return low
    while high / low > 1 + _ALPHA_PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _gives(rule, measured, verdict, middle) else (middle, high)
    return high


def _gives(rule: Rule, measured: Measure, verdict: Verdict, alpha: float) -> bool:
    """Return whether the rule would give a verdict at this alpha if no other verdict took precedence."""
    interval = measured.interval_at(_widening(rule, verdict) * alpha)
    return _is_negligible(rule, interval) if verdict == "negligible" else _by_limit(rule, interval) == verdict


def _widening(rule: Rule, verdict: Verdict) -> float:
    """Return the multiple of alpha that the interval which decides on a verdict leaves out."""
    return 2.0 if verdict == "negligible" else rule.interval_alpha / rule.alpha


def _is_negligible(rule: Rule, interval: Interval) -> bool:
    return rule.margin is not None and rule.margin[0] < interval[0] and interval[1] < rule.margin[1]


def _by_limit(rule: Rule, interval: Interval) -> Verdict:
    """The verdict without regard to the smallest effect that matters."""
    low, high = interval
    match rule.side:
        case "above":
            return "holds" if low > rule.limit else "refuted" if high < rule.limit else "inconclusive"
        case "below":
            return "holds" if high < rule.limit else "refuted" if low > rule.limit else "inconclusive"
        case "within":
            if -rule.limit < low and high < rule.limit:
                return "holds"
            return "refuted" if low > rule.limit or high < -rule.limit else "inconclusive"
        case "at most":
            return "refuted" if low > 0 else "holds" if high <= rule.limit else "inconclusive"


def by_unit(trials: Sequence[Trial]) -> dict[Unit, list[Trial]]:
    """Group trials by independent unit.

    A unit is named after its cluster; without one after its prompt, or by its place where a prompt comes twice.
    """
    repeated = {prompt for prompt, count in Counter(trial.prompt for trial in trials).items() if count > 1}
    units: dict[Unit, list[Trial]] = {}
    for index, trial in enumerate(trials):
        alone: Unit = index if trial.prompt in repeated else ("prompt", trial.prompt)
        unit = alone if trial.cluster is None else ("cluster", trial.cluster)
        units.setdefault(unit, []).append(trial)
    return units


def mean(numbers: Sequence[float]) -> float:
    """The plain mean, summed without rounding."""
    return math.fsum(numbers) / len(numbers)


def _rate_over(rule: Rule, over: str, trials: Sequence[Trial], arms: Arms, arm: str) -> Measure:
    """The rate of an arm minus that of the arm `over`, by pairs where both arms are of the same units."""
    if over not in arms:
        raise JudgingError(f"no trials of {over!r}: the rule compares with it")
    own = _units(trials, arm, _success, mean)
    other = _units(arms[over], repr(over), _success, mean)
    if len(other) < rule.trials:
        raise JudgingError(f"{over!r} has {len(other)} independent trials, the rule needs {rule.trials}")
    first, second = list(own.values()), list(other.values())
    paired = same_units(own, other)

    def interval_at(alpha: float) -> Interval:
        if paired:
            return paired_rate_difference_interval(first, [other[unit] for unit in own], alpha)
        return rate_difference_interval(sum(first), len(first), sum(second), len(second), alpha)

    return Measure(
        mean(first) - mean(second), interval_at(rule.alpha), interval_at, len(first), paired=paired
    )


def same_units(own: Mapping[Unit, object], other: Mapping[Unit, object]) -> bool:
    """Return whether two arms are of the same units, one to one: the same clusters, or different prompts, the same."""
    return own.keys() == other.keys() and not any(isinstance(unit, int) for unit in own)


def _rate(successes: Sequence[float], alpha: float) -> Measure:
    def interval_at(alpha: float) -> Interval:
        return rate_interval(sum(successes), len(successes), alpha)

    return Measure(mean(successes), interval_at(alpha), interval_at, len(successes))


def _mean(rule: Rule, trials: Sequence[Trial], arm: str) -> Measure:
    values = list(_units(trials, arm, lambda trial: trial.number, mean).values())
    estimate = mean(values)
    # Rounding of one constant is not a spread; nor is one too small to be squared in a float.
    same = all(math.isclose(value, estimate, rel_tol=1e-9, abs_tol=1e-150) for value in values)

    def interval_at(alpha: float) -> Interval:
        return mean_interval(values, alpha)

    share = sum(_by_limit(rule, (value, value)) == "holds" for value in values) / len(values)
    return Measure(
        estimate,
        None if same else interval_at(rule.interval_alpha),
        interval_at,
        len(values),
        share,
        spread=0.0 if same else stdev(values),
    )


def _units(
    trials: Sequence[Trial],
    arm: str,
    number: Callable[[Trial], float | None],
    join: Callable[[list[float]], float],
) -> Units:
    """One number per independent unit of an arm, by its name: the trials of a cluster are joined to one.

    Raises:
        JudgingError: the arm is empty, or a trial has no number.
    """
    if not trials:
        raise JudgingError(f"{arm}: no trials at all")
    for index, trial in enumerate(trials):
        if number(trial) is None:
            raise JudgingError(
                f"{arm}: trial {index + 1} ({trial.prompt[:60]!r}) lacks what the rule looks at"
            )
    return {
        unit: join([value for trial in grouped if (value := number(trial)) is not None])
        for unit, grouped in by_unit(trials).items()
    }


def _success(trial: Trial) -> float | None:
    return None if trial.success is None else float(trial.success)
