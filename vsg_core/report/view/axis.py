"""The horizontal axis that a claim's intervals are drawn on. Places on it are percents of its width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vsg_core.report.view.measures import Bound, thresholds, unit_of

_PAD = 5.0  # percent of the width kept free on both sides, so that marks and tick labels are not cut


@dataclass(frozen=True)
class Axis:
    """A linear scale over `ticks`, with the rule's thresholds and the side on which the claim holds."""

    unit: str
    ticks: tuple[float, ...]
    thresholds: tuple[float, ...] = ()
    wanted: tuple[float, float] | None = None

    def at(self, value: float) -> float:
        """Percent of the width at which `value` lies; a value outside is put at the edge."""
        low, high = self.ticks[0], self.ticks[-1]
        share = (min(max(value, low), high) - low) / (high - low)
        return round(_PAD + share * (100 - 2 * _PAD), 2)

    @property
    def labels(self) -> list[tuple[float, str]]:
        """(place, text) of each tick."""
        return [(self.at(tick), self._label(tick)) for tick in self.ticks]

    def _label(self, tick: float) -> str:
        if self.unit == "number":
            return f"{tick:.4g}".replace("-", "−")
        sign = "+" if self.unit == "points" and tick > 0 else ""
        text = sign + f"{100 * tick:.4g}".replace("-", "−")
        return text if self.unit == "points" else f"{text} %"

    @property
    def zero(self) -> float | None:
        """The place of zero, where it is not an end of the axis."""
        return self.at(0.0) if self.ticks[0] < 0 < self.ticks[-1] else None


def axis_for(bound: Bound, values: Iterable[float]) -> Axis:
    """An axis that shows zero, the thresholds and all `values` (estimates and interval ends)."""
    unit, bounds = unit_of(bound), thresholds(bound)
    shown = [0.0, *bounds, *values]
    if unit == "percent":
        shown.append(1.0)  # a rate is read against the whole of 0 to 100 %
    ticks = _ticks(min(shown), max(shown))
    return Axis(unit, ticks, tuple(bounds), _wanted_side(bound, ticks[0], ticks[-1]))


def thresholds_on(axis: Axis, bound: Bound) -> Axis:
    """The same scale with the thresholds of another bound."""
    wanted = _wanted_side(bound, axis.ticks[0], axis.ticks[-1])
    return replace(axis, thresholds=tuple(thresholds(bound)), wanted=wanted)


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """About five round numbers from at most `low` to at least `high`."""
    quarter = (high - low) / 4 or 0.25
    power = 10.0 ** math.floor(math.log10(quarter))
    step = power * min((1, 2, 2.5, 5, 10), key=lambda multiple: abs(multiple * power - quarter))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(step * i for i in range(first, max(last, first + 1) + 1))


def _wanted_side(bound: Bound, low: float, high: float) -> tuple[float, float] | None:
    if "above" in bound:
        return bound["above"], high
    if "within" in bound:
        return -bound["within"], bound["within"]
    top = bound.get("below", bound.get("open_rate"))
    return None if top is None else (low, top)
