"""Measures of an arm's trials under a rule: an estimate with its interval, and the verdict that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vsg_core.judge.intervals import Interval, mean_interval, rate_difference_interval, rate_interval
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import JudgingError, Trial
from vsg_core.vocabulary import Verdict

Arms = Mapping[str, Sequence[Trial]]


@dataclass(frozen=True)
class Measure:
    """The estimate of one arm. `interval` is None if the values do not determine one: all equal, or only one."""

    estimate: float
    interval: Interval | None
    n: int


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
            successes = _units(trials, arm, _success, mean)
            interval = rate_interval(sum(successes), len(successes), rule.alpha)
            return Measure(mean(successes), interval, len(successes))
        case "always":
            failures = [1.0 - success for success in _units(trials, arm, _success, min)]
            interval = rate_interval(sum(failures), len(failures), rule.interval_alpha)
            return Measure(mean(failures), interval, len(failures))
        case "difference" | "equivalence":
            return _mean(trials, arm, rule.interval_alpha)


def verdict_of(rule: Rule, interval: Interval) -> Verdict:
    """Return the verdict that follows from the position of the interval relative to the rule's limit."""
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


def mean(numbers: Sequence[float]) -> float:
    """The plain mean, summed without rounding."""
    return math.fsum(numbers) / len(numbers)


def _rate_over(rule: Rule, over: str, trials: Sequence[Trial], arms: Arms, arm: str) -> Measure:
    """The rate of an arm minus that of the arm `over`."""
    if over not in arms:
        raise JudgingError(f"no trials of {over!r}: the rule compares with it")
    own = _units(trials, arm, _success, mean)
    other = _units(arms[over], repr(over), _success, mean)
    if len(other) < rule.trials:
        raise JudgingError(f"{over!r} has {len(other)} independent trials, the rule needs {rule.trials}")
    interval = rate_difference_interval(sum(own), len(own), sum(other), len(other), rule.alpha)
    return Measure(mean(own) - mean(other), interval, len(own))


def _mean(trials: Sequence[Trial], arm: str, alpha: float) -> Measure:
    values = _units(trials, arm, lambda trial: trial.number, mean)
    estimate = mean(values)
    # Rounding of one constant is not a spread; nor is one too small to be squared in a float.
    same = all(math.isclose(value, estimate, rel_tol=1e-9, abs_tol=1e-150) for value in values)
    return Measure(estimate, None if same else mean_interval(values, alpha), len(values))


def _units(
    trials: Sequence[Trial],
    arm: str,
    number: Callable[[Trial], float | None],
    join: Callable[[list[float]], float],
) -> list[float]:
    """One number per independent unit of an arm: the trials of a cluster are joined to one.

    Raises:
        JudgingError: the arm is empty, or a trial has no number.
    """
    if not trials:
        raise JudgingError(f"{arm}: no trials at all")
    clusters: dict[str | int, list[float]] = {}
    for index, trial in enumerate(trials):
        value = number(trial)
        if value is None:
            raise JudgingError(
                f"{arm}: trial {index + 1} ({trial.prompt[:60]!r}) lacks what the rule looks at"
            )
        clusters.setdefault(index if trial.cluster is None else trial.cluster, []).append(value)
    return [join(numbers) for numbers in clusters.values()]


def _success(trial: Trial) -> float | None:
    return None if trial.success is None else float(trial.success)
