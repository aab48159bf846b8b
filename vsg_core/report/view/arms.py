"""The lines of numbers of a claim: the claim itself on each model, and its controls and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vsg_core.judge.arms import Dose
from vsg_core.judge.rules import Rule
from vsg_core.records.record import Measurement, Record
from vsg_core.vocabulary import Protects, Role, Verdict
from vsg_core.wording import Unit, estimate_text, in_unit, interval_text


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
    value_unit: str = ""
    protects: Protects | None = None

    @property
    def result(self) -> str:
        """The result of a control: "passed", "failed", "negligible" or "undecided"."""
        return {"holds": "passed", "refuted": "failed", "negligible": "negligible"}.get(
            self.verdict or "", "undecided"
        )

    @property
    def protected(self) -> str:
        """The verdicts that a control protects, in words; empty if that is *holds* alone, as it is by default."""
        return protected_text(self.protects)

    @property
    def needs(self) -> str:
        """The bound of its rule; empty for a comparison."""
        return "" if self.rule is None else in_unit(self.rule.needs, self.unit, self.value_unit)

    @property
    def numbers(self) -> list[float]:
        """Everything that must fit on the axis it is drawn on."""
        return [] if self.value is None else [self.value, *(self.ends or ())]


def protected_text(protects: Protects | None) -> str:
    """Return the verdicts that a control protects in words; empty for the default, *holds*, and for other arms."""
    return {"refuted": "protects refuted and negligible", "both": "protects every verdict"}.get(
        protects or "", ""
    )


def arms_of(record: Record) -> list[Arm]:
    """Return the claim's own numbers, then those of its controls and comparisons."""
    evidence, rule, value_unit = record.evidence, record.claim.rule, record.claim.value_unit
    own = claim_arm(record, evidence, evidence.verdict)
    others = [
        _arm(
            arm, arm.unit(rule), name=arm.name, kind=arm.role, verdict=arm.verdict, rule=arm.rule,
            sentence=arm.sentence, dose=arm.dose, value_unit=value_unit, protects=arm.protects,
        )
        for arm in evidence.arms
    ]  # fmt: skip
    return [own, *others]


def claim_arm(record: Record, measured: Measurement, verdict: Verdict) -> Arm:
    """Return numbers of a record's claim on its model: the record's own, or those of another run."""
    rule = record.claim.rule
    return _arm(
        measured, rule.unit, name=record.model.name, kind="claim", verdict=verdict, rule=rule,
        value_unit=record.claim.value_unit,
    )  # fmt: skip


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
    value_unit: str = "",
    protects: Protects | None = None,
) -> Arm:
    return Arm(
        name=name,
        kind=kind,
        verdict=verdict,
        rule=rule,
        unit=unit,
        estimate=estimate_text(measured.estimate, measured.interval, measured.n, unit, value_unit),
        interval=interval_text(measured.interval, unit),
        n=measured.n,
        value=measured.estimate,
        ends=measured.interval,
        sentence=sentence,
        dose=dose,
        value_unit=value_unit,
        protects=protects,
    )
