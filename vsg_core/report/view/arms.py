"""The lines of numbers of a claim: the claim itself on each model, and its controls and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vsg_core.report.view import measures
from vsg_core.report.view.axis import Axis, axis_for, thresholds_on
from vsg_core.report.view.terms import bound_of, unit_of_arm

Record = Mapping[str, Any]

# A bound without a limit, for the axis of an arm that no rule judges
_FREE = {"percent": "rate", "points": "rate", "counterexamples": "always", "number": "difference"}


@dataclass(frozen=True)
class Arm:
    """One line of numbers: the claim itself on a model, or one of its controls or comparisons."""

    name: str
    kind: str  # "claim", "control", "positive control" or "comparison"
    verdict: str | None
    rule: str | None
    unit: str
    estimate: str
    interval: str
    n: int | None
    value: float | None
    ends: tuple[float, float] | None  # of the interval

    @property
    def needs(self) -> str:
        """The bound of its rule, without how many trials it takes."""
        return (self.rule or "").partition(", at least ")[0]

    @property
    def numbers(self) -> list[float]:
        """All that must fit on the axis it is drawn on."""
        return [] if self.value is None else [self.value, *(self.ends or ())]


@dataclass(frozen=True)
class Group:
    """One arm over all models, drawn on one axis."""

    name: str
    kind: str
    needs: str
    unit: str
    axis: Axis | None  # None when nothing was measured
    lines: Sequence[tuple[Any, Arm]]  # (its Cell, its Arm) of each model


def arms_of(record: Record) -> list[Arm]:
    """The claim's own numbers, then those of its controls and comparisons."""
    bound = record["bound"]
    own = {**record, "name": record["model"]["name"], "kind": "claim"}
    arms = [(own, measures.unit_of(bound))]
    arms += [(arm, unit_of_arm(arm, bound)) for arm in record["controls"]]
    return [
        Arm(
            name=arm["name"],
            kind=arm["kind"],
            verdict=arm["verdict"],
            rule=arm["rule"],
            unit=unit,
            estimate=measures.estimate(arm, unit),
            interval=measures.interval(arm["interval"], unit),
            n=arm["n"],
            value=arm["estimate"],
            ends=(arm["interval"][0], arm["interval"][1]) if arm["interval"] else None,
        )
        for arm, unit in arms
    ]


def axis_of(bound: Mapping[str, Any], arms: Iterable[Arm]) -> Axis:
    """The claim's axis: its own numbers and its controls', where they are of one unit.

    Comparisons may be of another quantity in the same unit, which would squeeze the claim's own into a corner.
    """
    unit = measures.unit_of(bound)
    shown = [arm for arm in arms if arm.unit == unit and arm.kind != "comparison"]
    return axis_for(bound, [number for arm in shown for number in arm.numbers])


def groups(cells: Sequence[Any], axis: Axis, left_out: Iterable[str] = ()) -> list[Group]:
    """The claim over its models on `axis`, then each further arm by its name, but those left out."""
    own = Group("", "claim", "", axis.unit, axis, [(cell, cell.arms[0]) for cell in cells])
    by_name: dict[str, list[tuple[Any, Arm]]] = {}
    for cell in cells:
        for arm in cell.arms[1:]:
            if arm.name not in left_out:
                by_name.setdefault(arm.name, []).append((cell, arm))
    return [own, *(_group(lines, axis) for lines in by_name.values())]


def _group(lines: Sequence[tuple[Any, Arm]], axis: Axis) -> Group:
    """On the claim's scale where its numbers fit there, else on one of its own; with its own threshold."""
    newest = lines[-1][1]
    bound = bound_of(newest.rule or "") or {"kind": _FREE[newest.unit]}
    numbers = [number for _, arm in lines for number in arm.numbers if arm.unit == newest.unit]
    own: Axis | None = None
    if numbers:
        shared = newest.unit == axis.unit and all(axis.ticks[0] <= x <= axis.ticks[-1] for x in numbers)
        own = thresholds_on(axis, bound) if shared else replace(axis_for(bound, numbers), unit=newest.unit)
    return Group(newest.name, newest.kind, newest.needs, newest.unit, own, lines)
