"""What all rules share: the measure of one arm, a bound, and the verdict that an interval gives.

A rule looks at a confidence interval, never at a point: the claim *holds* when the whole interval lies on its
side, is *refuted* when the whole interval lies on the other, and is *inconclusive* otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vsg_core.errors import WrongUse
from vsg_core.judge.intervals import Interval
from vsg_core.judge.trials import Trial
from vsg_core.wording import number_text, unit_of

Arms = Mapping[str, Sequence[Trial]]
DIGITS = 12  # of a bound in words: two rules must not read alike


@dataclass(frozen=True)
class Measure:
    """What one arm shows. `interval` is None where the values leave none: all the same, or only one."""

    estimate: float
    interval: Interval | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules share.

    Args:
        trials: the least number of independent units; fewer is an error, never a verdict.
        alpha: rate and difference look at the interval of confidence 1 - alpha, and err alpha / 2 each way;
            equivalence and always look at that of confidence 1 - 2 alpha, and err alpha.
    """

    trials: int = 40
    alpha: float = 0.05
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if isinstance(self.trials, bool) or not isinstance(self.trials, int) or self.trials < 1:
            raise WrongUse(f"trials is {self.trials!r}: give a whole number from 1 up")
        if not 0 < self.alpha < 0.5:
            raise WrongUse(f"alpha is {self.alpha!r}: give a number between 0 and 0.5, usually 0.05")

    @property
    def needs(self) -> str:
        """The bound in words, say "above 50 %"."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The whole rule in words."""
        return f"{self.kind} {self.needs}, at least {self.trials} trials, alpha {self.alpha:g}"

    @property
    def bound(self) -> dict[str, Any]:
        """The bound as a record keeps it: its number by "above", "below", "within" or "open_rate", with
        "over" and "kind"."""
        raise NotImplementedError

    def measure(self, trials: Sequence[Trial], arms: Arms, arm: str) -> Measure:
        """What the rule compares with its bound; `arms` are the others, `arm` names this one in errors."""
        return self.describe(trials, arm)

    def describe(self, trials: Sequence[Trial], arm: str) -> Measure:
        """What `trials` show by themselves."""
        raise NotImplementedError

    def verdict(self, interval: Interval) -> str:
        """ "holds", "refuted" or "inconclusive"."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OneSided(Rule):
    """A rule with one bound: exactly one of `above` and `below`."""

    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.above is None) == (self.below is None):
            raise WrongUse(
                f"{self.kind}(above={self.above!r}, below={self.below!r}): give exactly one of them"
            )
        if not math.isfinite(self.limit):
            raise WrongUse(f"{self.kind}: the bound is {self.limit!r}: give a number")

    @property
    def limit(self) -> float:
        """The bound itself."""
        return float(self.above if self.above is not None else self.below)  # type: ignore[arg-type]

    @property
    def side(self) -> str:
        """ "above" or "below"."""
        return "above" if self.above is not None else "below"

    @property
    def needs(self) -> str:
        return f"{self.side} {number_text(unit_of({'kind': self.kind}), self.limit, DIGITS)}"

    @property
    def bound(self) -> dict[str, Any]:
        return {self.side: self.limit, "over": None, "kind": self.kind}

    def verdict(self, interval: Interval) -> str:
        low, high = interval
        if low > self.limit:
            return "holds" if self.side == "above" else "refuted"
        if high < self.limit:
            return "refuted" if self.side == "above" else "holds"
        return "inconclusive"
