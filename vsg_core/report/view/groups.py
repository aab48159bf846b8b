"""The lines of a claim's forest plot: each arm over all models, on one axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vsg_core.judge.rules import Rule
from vsg_core.report.view.arms import Arm
from vsg_core.report.view.axis import Axis, axis_for, axis_without_rule, thresholds_on
from vsg_core.report.view.cells import Cell


@dataclass(frozen=True)
class Group:
    """One arm over all models, drawn on one axis."""

    arm: Arm
    """The arm in the newest record that has it."""
    axis: Axis | None
    """None if nothing was measured."""
    lines: Sequence[tuple[Cell, Arm]]
    """(its cell, its arm) of each model."""

    @property
    def name(self) -> str:
        return self.arm.name

    @property
    def kind(self) -> str:
        return self.arm.kind


def axis_of(rule: Rule, arms: Iterable[Arm]) -> Axis:
    """Build the claim's axis: for its own numbers and its controls', if they have the same unit.

    Comparisons may be of another quantity in the same unit, which would squeeze the claim's own into a corner.
    """
    shown = [arm for arm in arms if arm.unit == rule.unit and arm.kind != "comparison"]
    return axis_for(rule, [number for arm in shown for number in arm.numbers])


def groups(cells: Sequence[Cell], axis: Axis, left_out: Iterable[str] = ()) -> list[Group]:
    """Return the claim over its models on `axis`, then each further arm by name, except those left out."""
    own = Group(cells[-1].arms[0], axis, [(cell, cell.arms[0]) for cell in cells])
    by_name: dict[str, list[tuple[Cell, Arm]]] = {}
    for cell in cells:
        for arm in cell.arms[1:]:
            if arm.name not in left_out:
                by_name.setdefault(arm.name, []).append((cell, arm))
    return [own, *(_group(lines, axis) for lines in by_name.values())]


def _group(lines: Sequence[tuple[Cell, Arm]], axis: Axis) -> Group:
    """Use the claim's scale if the arm's numbers fit on it, else a scale of its own; mark its own threshold."""
    newest = lines[-1][1]
    numbers = [number for _, arm in lines for number in arm.numbers if arm.unit == newest.unit]
    if not numbers:
        return Group(newest, None, lines)
    shared = newest.unit == axis.unit and all(axis.ticks[0] <= x <= axis.ticks[-1] for x in numbers)
    if shared:
        return Group(newest, thresholds_on(axis, newest.rule), lines)
    own = axis_for(newest.rule, numbers) if newest.rule else axis_without_rule(newest.unit, numbers)
    return Group(newest, own, lines)
