"""The four kinds of rule: what each measures on one arm's trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vsg_core.errors import WrongUse
from vsg_core.judge.intervals import Interval, mean_interval, rate_difference_interval, rate_interval
from vsg_core.judge.rule_base import DIGITS, Arms, Measure, OneSided, Rule
from vsg_core.judge.trials import JudgingError, Trial, mean, units
from vsg_core.wording import number_text

LEAST_FOR_T = 10  # with fewer, all depends on the values being normal


@dataclass(frozen=True, kw_only=True)
class Rate(OneSided):
    """See `rules.rate`."""

    over: str | None = None
    kind: ClassVar[str] = "rate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over is not None:
            if not -1 < self.limit < 1:
                raise WrongUse(f"rate over {self.over!r}: the bound is {self.limit!r}: give -1 to 1")
            return
        if not 0 < self.limit < 1:
            raise WrongUse(
                f"rate: the bound is {self.limit!r}: give one inside 0 and 1, which data can refute"
            )
        # The Clopper-Pearson ends at n of n and 0 of n have a closed form: beyond them no data can decide.
        needed = math.floor(math.log(self.alpha / 2) / math.log(max(self.limit, 1 - self.limit))) + 1
        if self.trials < needed:
            raise WrongUse(
                f"rate {self.needs}: {self.trials} trials cannot both hold and refute: give trials={needed}"
            )

    @property
    def needs(self) -> str:
        return super().needs + (f" more than {self.over!r}" if self.over else "")

    @property
    def bound(self) -> dict[str, Any]:
        return {**super().bound, "over": self.over}

    def measure(self, trials: Sequence[Trial], arms: Arms, arm: str) -> Measure:
        if self.over is None:
            return self.describe(trials, arm)
        if self.over not in arms:
            raise JudgingError(f"no trials of {self.over!r}: the rule compares with it")
        own = units(trials, arm, _success, mean)
        other = units(arms[self.over], repr(self.over), _success, mean)
        if len(other) < self.trials:
            raise JudgingError(
                f"{self.over!r} has {len(other)} independent trials, the rule needs {self.trials}"
            )
        interval = rate_difference_interval(sum(own), len(own), sum(other), len(other), self.alpha)
        return Measure(mean(own) - mean(other), interval, len(own))

    def describe(self, trials: Sequence[Trial], arm: str) -> Measure:
        own = units(trials, arm, _success, mean)
        return Measure(mean(own), rate_interval(sum(own), len(own), self.alpha), len(own))


@dataclass(frozen=True, kw_only=True)
class Difference(OneSided):
    """See `rules.difference`."""

    kind: ClassVar[str] = "difference"

    def __post_init__(self) -> None:
        super().__post_init__()
        _enough_for_t(self)

    def describe(self, trials: Sequence[Trial], arm: str) -> Measure:
        return _measure_mean(trials, arm, self.alpha)


@dataclass(frozen=True, kw_only=True)
class Equivalence(Rule):
    """See `rules.equivalence`."""

    within: float
    kind: ClassVar[str] = "equivalence"

    def __post_init__(self) -> None:
        super().__post_init__()
        _enough_for_t(self)
        if not 0 < self.within < math.inf:
            raise WrongUse(f"equivalence(within={self.within!r}): give a margin above 0")

    @property
    def needs(self) -> str:
        return f"within {number_text('number', self.within, DIGITS)}"

    @property
    def bound(self) -> dict[str, Any]:
        return {"within": float(self.within), "over": None, "kind": self.kind}

    def describe(self, trials: Sequence[Trial], arm: str) -> Measure:
        # Two one-sided tests at alpha are the interval of confidence 1 - 2 alpha (D. J. Schuirmann, 1987).
        return _measure_mean(trials, arm, 2 * self.alpha)

    def verdict(self, interval: Interval) -> str:
        low, high = interval
        if -self.within < low and high < self.within:
            return "holds"
        return "refuted" if low > self.within or high < -self.within else "inconclusive"


@dataclass(frozen=True, kw_only=True)
class Always(Rule):
    """See `rules.always`."""

    trials: int = 1
    open_rate: float = 0.01
    kind: ClassVar[str] = "always"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.open_rate < 1:
            raise WrongUse(f"always(open_rate={self.open_rate!r}): give a rate between 0 and 1")

    @property
    def needs(self) -> str:
        return f"no counterexample, and at most {number_text('percent', self.open_rate, DIGITS)} left open"

    @property
    def text(self) -> str:
        return f"always: {self.needs}, alpha {self.alpha:g}"

    @property
    def bound(self) -> dict[str, Any]:
        return {"open_rate": float(self.open_rate), "over": None, "kind": self.kind}

    @property
    def trials_to_hold(self) -> int:
        """How many trials without a counterexample it takes: 299 for 1 % at alpha 0.05."""
        return math.ceil(math.log(self.alpha) / math.log1p(-self.open_rate))

    def describe(self, trials: Sequence[Trial], arm: str) -> Measure:
        failures = [1.0 - success for success in units(trials, arm, _success, min)]
        interval = rate_interval(sum(failures), len(failures), 2 * self.alpha)
        return Measure(mean(failures), interval, len(failures))

    def verdict(self, interval: Interval) -> str:
        low, high = interval
        if low > 0:
            return "refuted"
        return "holds" if high <= self.open_rate else "inconclusive"


def _success(trial: Trial) -> float | None:
    return None if trial.success is None else float(trial.success)


def _enough_for_t(rule: Rule) -> None:
    if rule.trials < LEAST_FOR_T:
        raise WrongUse(f"{rule.kind} with trials={rule.trials}: a t interval needs {LEAST_FOR_T} or more")


def _measure_mean(trials: Sequence[Trial], arm: str, alpha: float) -> Measure:
    found = units(trials, arm, lambda trial: trial.number, mean)
    estimate = mean(found)
    # Rounding of one constant is no spread; nor is one too small to be squared in a float.
    same = all(math.isclose(unit, estimate, rel_tol=1e-9, abs_tol=1e-150) for unit in found)
    return Measure(estimate, None if same else mean_interval(found, alpha), len(found))
