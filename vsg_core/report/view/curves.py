"""Dose-response and layer curves: comparisons of one claim that differ only in their dose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vsg_core.report.view.arms import Arm
from vsg_core.report.view.axis import Axis, axis_without_rule
from vsg_core.wording import Unit, exact_text

if TYPE_CHECKING:
    from vsg_core.report.view.cells import Cell

# Doses that make a curve.
LEAST = 3
# The size of one panel, and the space around its plot.
WIDTH, HEIGHT = 320.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 12.0, 36.0
# The ratio of the largest to the smallest dose from which the scale is logarithmic.
_LOG_FROM = 8.0


@dataclass(frozen=True)
class Point:
    """One comparison on one model, in the panel's own coordinates."""

    x: float
    y: float
    ends: tuple[float, float] | None
    """The ends of its interval, upper end first."""
    dose: str
    arm: Arm


@dataclass(frozen=True)
class Series:
    """The comparisons of one curve on one model, by dose."""

    name: str
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """The `points` of an SVG polyline."""
        return " ".join(f"{p.x:.1f},{p.y:.1f}" for p in self.points)


@dataclass(frozen=True)
class Panel:
    """One model's curves."""

    cell: Cell
    series: Sequence[Series]

    def arm(self, name: str) -> Arm | None:
        """Return the numbers of one comparison; None if it was not measured on this model."""
        return next((arm for arm in self.cell.arms if arm.name == name and arm.value is not None), None)


@dataclass(frozen=True)
class Curves:
    """Curves over the same doses: one panel per model, all on the same axes."""

    label: str
    """The name of the first curve, with … for the dose."""
    dose_unit: str
    """What the doses count; empty if that is not recorded."""
    doses: Sequence[float]
    axis: Axis
    """The axis of the estimates."""
    arms: Sequence[str]
    """The names of the comparisons that are drawn."""
    panels: Sequence[Panel] = ()

    @property
    def is_log(self) -> bool:
        return min(self.doses) > 0 and max(self.doses) / min(self.doses) >= _LOG_FROM

    @property
    def doses_at(self) -> list[tuple[float, str]]:
        """(place, text) of each dose."""
        return [(self.x(dose), exact_text(dose, "number")) for dose in self.doses]

    @property
    def ticks_at(self) -> list[tuple[float, str]]:
        """(place, text) of each tick of the estimates."""
        return [
            (self.y(tick), text) for tick, (_, text) in zip(self.axis.ticks, self.axis.labels, strict=True)
        ]

    def x(self, dose: float) -> float:
        """Return the horizontal place of a dose in a panel."""
        low, high, value = self.doses[0], self.doses[-1], dose
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical place of an estimate in a panel."""
        low, high = self.axis.ticks[0], self.axis.ticks[-1]
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


@dataclass(frozen=True)
class _Curve:
    """A curve of the claim, whatever the model: the arms by dose."""

    name: str
    dose_unit: str
    unit: Unit
    arms: Mapping[float, str]

    @property
    def doses(self) -> tuple[float, ...]:
        return tuple(sorted(self.arms))


def curves_of(cells: Sequence[Cell]) -> list[Curves]:
    """Return the curves of one claim; those over the same doses and in the same unit share their panels."""
    together: dict[tuple[Unit, str, tuple[float, ...]], list[_Curve]] = {}
    for curve in _curves_by_name(cells):
        if len(curve.arms) >= LEAST:
            together.setdefault((curve.unit, curve.dose_unit, curve.doses), []).append(curve)
    return [_curves(cells, found) for found in together.values()]


def _curves_by_name(cells: Sequence[Cell]) -> list[_Curve]:
    found: dict[tuple[Unit, str, str], dict[float, str]] = {}
    for cell in cells:
        for arm in cell.arms:
            if arm.dose is not None and arm.value is not None:
                found.setdefault((arm.unit, arm.dose.curve, arm.dose.unit), {})[arm.dose.value] = arm.name
    return [_Curve(name, dose_unit, unit, arms) for (unit, name, dose_unit), arms in found.items()]


def _curves(cells: Sequence[Cell], curves: Sequence[_Curve]) -> Curves:
    drawn = [name for curve in curves for name in curve.arms.values()]
    shown = [number for cell in cells for arm in cell.arms if arm.name in drawn for number in arm.numbers]
    empty = Curves(
        label=min((curve.name for curve in curves), key=len),
        dose_unit=curves[0].dose_unit,
        doses=curves[0].doses,
        axis=axis_without_rule(curves[0].unit, shown),
        arms=drawn,
    )
    panels = [Panel(cell, [_series(empty, curve, cell) for curve in curves]) for cell in cells]
    return replace(empty, panels=[panel for panel in panels if any(each.points for each in panel.series)])


def _series(curves: Curves, curve: _Curve, cell: Cell) -> Series:
    arms = {arm.name: arm for arm in cell.arms if arm.value is not None}
    doses = [dose for dose in curve.doses if curve.arms[dose] in arms]
    return Series(curve.name, [_point(curves, dose, arms[curve.arms[dose]]) for dose in doses])


def _point(curves: Curves, dose: float, arm: Arm) -> Point:
    ends = (curves.y(arm.ends[1]), curves.y(arm.ends[0])) if arm.ends else None
    return Point(curves.x(dose), curves.y(arm.value or 0.0), ends, exact_text(dose, "number"), arm)
