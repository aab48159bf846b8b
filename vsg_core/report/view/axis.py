"""The horizontal axis that a claim's intervals are drawn on. Places on it are percents of its width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vsg_core.judge.rules import Rule
from vsg_core.report.view.terms import thresholds
from vsg_core.wording import Unit, exact_text

# Percent of the width kept free on both sides, so that marks and tick labels are not cut off.
_PAD = 5.0


@dataclass(frozen=True)
class Axis:
    """A linear scale over `ticks`, with the rule's thresholds, its margin and the side on which the claim holds."""

    unit: Unit
    ticks: tuple[float, ...]
    thresholds: tuple[float, ...] = ()
    wanted: tuple[float, float] | None = None
    margin: tuple[float, float] | None = None
    """The ends of the range in which an effect is too small to matter; None if the rule names none."""

    def at(self, value: float) -> float:
        """Return the place of `value` in percent of the width; a value outside is put at the edge."""
        low, high = self.ticks[0], self.ticks[-1]
        share = (min(max(value, low), high) - low) / (high - low)
        return round(_PAD + share * (100 - 2 * _PAD), 2)

    @property
    def labels(self) -> list[tuple[float, str]]:
        """(place, text) of each tick; "points" is left to the heading."""
        return [(self.at(tick), exact_text(tick, self.unit).removesuffix(" points")) for tick in self.ticks]

    @property
    def zero(self) -> float | None:
        """The place of zero, unless it is an end of the axis."""
        return self.at(0.0) if self.ticks[0] < 0 < self.ticks[-1] else None


def axis_for(rule: Rule, values: Iterable[float]) -> Axis:
    """Build an axis that shows zero, the rule's thresholds and margin, and all `values`."""
    plain = axis_without_rule(rule.unit, [*thresholds(rule), *(rule.margin or ()), *values])
    return thresholds_on(plain, rule)


def axis_without_rule(unit: Unit, values: Iterable[float]) -> Axis:
    """Build an axis that shows zero and all `values`; a rate is shown against the whole of 0 to 100 %."""
    shown = [0.0, *values, *([1.0] if unit == "percent" else [])]
    return Axis(unit, _ticks(min(shown), max(shown)))


def thresholds_on(axis: Axis, rule: Rule | None) -> Axis:
    """Return the same scale with the thresholds of another rule, or with none."""
    if rule is None:
        return replace(axis, thresholds=(), wanted=None, margin=None)
    wanted = _wanted_side(rule, axis.ticks[0], axis.ticks[-1])
    return replace(axis, thresholds=tuple(thresholds(rule)), wanted=wanted, margin=rule.margin)


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """About five round numbers from at most `low` to at least `high`."""
    quarter = (high - low) / 4 or 0.25
    power = 10.0 ** math.floor(math.log10(quarter))
    step = power * min((1, 2, 2.5, 5, 10), key=lambda multiple: abs(multiple * power - quarter))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * i for i in range(first, max(last, first + 1) + 1))


def _wanted_side(rule: Rule, low: float, high: float) -> tuple[float, float]:
    match rule.side:
        case "above":
            return rule.limit, high
        case "within":
            return -rule.limit, rule.limit
        case "below" | "at most":
            return low, rule.limit
