"""The lines of numbers of a claim: the claim itself on each model, and its controls and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vsg_core.judge.arms import Dose
from vsg_core.judge.rules import Rule
from vsg_core.records.record import Measurement, Record
from vsg_core.report.view.axis import Axis, axis_for, axis_without_rule, thresholds_on
from vsg_core.vocabulary import Role, Verdict
from vsg_core.wording import Unit, estimate_text, interval_text

if TYPE_CHECKING:
    from vsg_core.report.view.cells import Cell


@dataclass(frozen=True)
class Arm:
    """One line of numbers: the claim itself on a model, or one of its controls or comparisons."""

    name: str
    kind: Role | Literal["claim"]
    verdict: Verdict | None
    rule: Rule | None
    unit: Unit
    estimate: str
    interval: str
    n: int | None
    value: float | None
    ends: tuple[float, float] | None
    """The ends of the interval."""
    sentence: str = ""
    """What the arm is."""
    dose: Dose | None = None

    @property
    def needs(self) -> str:
        """The bound of its rule; empty for a comparison."""
        return "" if self.rule is None else self.rule.needs

    @property
    def numbers(self) -> list[float]:
        """Everything that must fit on the axis it is drawn on."""
        return [] if self.value is None else [self.value, *(self.ends or ())]


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


def arms_of(record: Record) -> list[Arm]:
    """Return the claim's own numbers, then those of its controls and comparisons."""
    evidence, rule = record.evidence, record.claim.rule
    own = _arm(evidence, rule.unit, name=record.model.name, kind="claim", verdict=evidence.verdict, rule=rule)
    others = [
        _arm(
            arm, arm.unit(rule), name=arm.name, kind=arm.role, verdict=arm.verdict, rule=arm.rule,
            sentence=arm.sentence, dose=arm.dose,
        )
        for arm in evidence.arms
    ]  # fmt: skip
    return [own, *others]


def _arm(
    measured: Measurement,
    unit: Unit,
    *,
    name: str,
    kind: Role | Literal["claim"],
    verdict: Verdict | None,
    rule: Rule | None,
    sentence: str = "",
    dose: Dose | None = None,
) -> Arm:
    return Arm(
        name=name,
        kind=kind,
        verdict=verdict,
        rule=rule,
        unit=unit,
        estimate=estimate_text(measured.estimate, measured.interval, measured.n, unit),
        interval=interval_text(measured.interval, unit),
        n=measured.n,
        value=measured.estimate,
        ends=measured.interval,
        sentence=sentence,
        dose=dose,
    )


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
