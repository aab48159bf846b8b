"""Dose-response and layer curves: comparisons of one claim whose names differ in a number only."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vsg_core.report.view.arms import Arm
from vsg_core.report.view.axis import Axis, axis_for
from vsg_core.report.view.measures import number

LEAST = 3  # numbers that make a curve
WIDTH, HEIGHT = 320.0, 190.0  # of one panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 12.0, 36.0
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_LOG_FROM = 8.0  # times from the least number to the largest


@dataclass(frozen=True)
class Point:
    """One comparison on one model, in the panel's own coordinates."""

    x: float
    y: float
    ends: tuple[float, float] | None  # of its interval, upper end first
    dose: str
    arm: Arm


@dataclass(frozen=True)
class Series:
    """The comparisons of one pattern on one model, by their number."""

    name: str
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """The `points` of an SVG polyline."""
        return " ".join(f"{p.x:.1f},{p.y:.1f}" for p in self.points)


@dataclass(frozen=True)
class Panel:
    """One model's curves."""

    cell: Any  # its Cell
    series: Sequence[Series]

    def arm(self, name: str) -> Arm | None:
        """The numbers of one comparison."""
        return next((arm for arm in self.cell.arms if arm.name == name and arm.value is not None), None)


@dataclass(frozen=True)
class Curves:
    """Curves that share their numbers: a panel for each model, all on the same axes."""

    label: str  # what the numbers count
    doses: Sequence[float]
    axis: Axis  # of the estimates
    panels: Sequence[Panel]
    arms: Sequence[str]  # the comparisons that are drawn

    @property
    def is_log(self) -> bool:
        return min(self.doses) > 0 and max(self.doses) / min(self.doses) >= _LOG_FROM

    @property
    def doses_at(self) -> list[tuple[float, str]]:
        """(place, text) of each number."""
        return [(self.x(dose), f"{dose:g}") for dose in self.doses]

    @property
    def ticks_at(self) -> list[tuple[float, str]]:
        """(place, text) of each tick of the estimates."""
        return [
            (self.y(tick), text) for tick, (_, text) in zip(self.axis.ticks, self.axis.labels, strict=True)
        ]

    def x(self, dose: float) -> float:
        low, high, value = self.doses[0], self.doses[-1], dose
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.axis.ticks[0], self.axis.ticks[-1]
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


def dose_of(name: str) -> tuple[str, float] | None:
    """(the name with "…" for its number, that number); None where it has not exactly one.

    "noise at 0.5 std" -> ("noise at … std", 0.5).
    """
    found = _NUMBER.findall(name)
    return (_NUMBER.sub("…", name), float(found[0])) if len(found) == 1 else None


def curves_of(cells: Sequence[Any]) -> list[Curves]:
    """The curves of one claim; patterns over the same numbers and in the same unit share their panels.

    A plural makes no other pattern: "1 token" is on the curve of "2 tokens".
    """
    patterns: dict[tuple[str, str], dict[float, str]] = {}  # unit, pattern -> number -> the arm's name
    for arm in (
        arm for cell in cells for arm in cell.arms if arm.kind == "comparison" and arm.value is not None
    ):
        if found := dose_of(arm.name):
            patterns.setdefault((arm.unit, re.sub(r"s\b", "", found[0])), {})[found[1]] = arm.name
    together: dict[tuple[str, tuple[float, ...]], list[dict[float, str]]] = {}
    for (unit, _), names in patterns.items():
        if len(names) >= LEAST:
            together.setdefault((unit, tuple(sorted(names))), []).append(names)
    return [_curves(cells, unit, doses, found) for (unit, doses), found in together.items()]


def _curves(
    cells: Sequence[Any], unit: str, doses: tuple[float, ...], patterns: Sequence[dict[float, str]]
) -> Curves:
    drawn = [name for names in patterns for name in names.values()]
    labels = [_NUMBER.sub("…", names[doses[-1]]) for names in patterns]
    kind = {"percent": "rate", "counterexamples": "always"}.get(unit, "difference")
    shown = [x for cell in cells for arm in cell.arms if arm.name in drawn for x in arm.numbers]
    empty = Curves(min(labels, key=len), doses, axis_for({"kind": kind, "over": None}, shown), [], drawn)
    panels = []
    for cell in cells:
        by_name = {arm.name: arm for arm in cell.arms if arm.value is not None}
        series = [
            Series(
                label, [_point(empty, dose, by_name[names[dose]]) for dose in doses if names[dose] in by_name]
            )
            for label, names in zip(labels, patterns, strict=True)
        ]
        if any(one.points for one in series):
            panels.append(Panel(cell, series))
    return Curves(empty.label, doses, empty.axis, panels, drawn)


def _point(curves: Curves, dose: float, arm: Arm) -> Point:
    ends = (curves.y(arm.ends[1]), curves.y(arm.ends[0])) if arm.ends else None
    return Point(curves.x(dose), curves.y(arm.value or 0.0), ends, number(dose, "number"), arm)
