"""One claim on one model on two engines: whether the second one replicates what the first one gave.

The rule is that of `vsg_core.judge.replication`. A pair is compared only if both records are of the same weights, rule,
seed and dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vsg_core.judge.measures import DECIDED
from vsg_core.judge.replication import PairedDifference, paired_difference, replication
from vsg_core.judge.trials import JudgingError
from vsg_core.records.making import evidence_of
from vsg_core.records.record import Record
from vsg_core.vocabulary import Replication
from vsg_core.weights.engine_names import engine_of, model_of
from vsg_core.wording import Unit, count_text, exact_text, in_unit, interval_text, margin_text, number_text

Result = Replication | Literal["not comparable", "one engine", "no verdict"]

# What each result means, in the order in which they are reported.
RESULTS: dict[Result, str] = {
    "not replicated": "two different verdicts, or a difference that matters",
    "undecided": "inconclusive on an engine, or the difference may matter or may not",
    "not comparable": "different weights, a different rule, seed or dtype",
    "one engine": "a verdict on one engine only",
    "no verdict": "no verdict on either engine",
    "replicated": "the same verdict, and no difference that matters",
}
# The results of verdicts that both engines were asked for.
JUDGED: tuple[Replication, ...] = ("replicated", "not replicated", "undecided")


@dataclass(frozen=True)
class EnginePair:
    """One claim on one model on two engines.

    Args:
        name: the model's name on the second engine.
        first, second: the records; None for an engine without one, never for both.
    """

    name: str
    first: Record | None
    second: Record | None

    @property
    def record(self) -> Record:
        """The record of the first engine, else that of the second."""
        record = self.first or self.second
        if record is None:
            raise ValueError("a pair needs at least one record")
        return record

    @property
    def claim(self) -> str:
        return self.record.claim.id

    @property
    def model(self) -> str:
        """The name of the model on the first engine."""
        return model_of(self.name)

    @property
    def engines(self) -> tuple[str, str]:
        return engine_of(self.model), engine_of(self.name)

    @property
    def is_finding(self) -> bool:
        return self.record.claim.status != "identity"

    @property
    def result(self) -> Result:
        return self._result_and_reason[0]

    @property
    def reason(self) -> str:
        """The measurements that the result rests on, in one line."""
        return self._result_and_reason[1]

    @property
    def difference(self) -> PairedDifference | None:
        """The second engine's measurement minus the first's; None where the trials cannot be paired."""
        return self._measured[0]

    @property
    def agrees(self) -> bool:
        """Return whether both engines leave the claim open, with no difference that matters."""
        verdicts = {record.verdict for record in (self.first, self.second) if record}
        found = self.difference
        return (
            self.result == "undecided"
            and verdicts == {"inconclusive"}
            and found is not None
            and found.is_small
        )

    @cached_property
    def _result_and_reason(self) -> tuple[Result, str]:
        first, second = self.first, self.second
        if not any(record and record.verdict != "not run" for record in (first, second)):
            return "no verdict", f"{_why_none(self.engines[0], first)}; {_why_none(self.engines[1], second)}"
        if first is None or not first.evidence.trials:
            return "one engine", _why_none(self.engines[0], first)
        if second is None or not second.evidence.trials:
            return "one engine", _why_none(self.engines[1], second)
        if obstacle := _obstacle(first, second, self.engines):
            return "not comparable", obstacle
        result = replication(first.verdict, second.verdict, self.difference)
        return result, "; ".join(
            filter(None, (_verdicts(first, second, self.engines), self._difference_text()))
        )

    def _difference_text(self) -> str:
        """The difference with the interval that decides, and how it compares with the margin."""
        difference, fault = self._measured
        if difference is None:
            return fault
        claim, unit = self.record.claim, difference_unit(self.record)
        wide = difference.matters
        ends = difference.interval if wide else difference.narrow
        confidence = exact_text(1 - (1 if wide else 2) * claim.rule.alpha, "percent")
        margin = in_unit(margin_text(_shown_margin(difference.margin), unit), unit, claim.value_unit)
        place = "outside" if wide else "within" if difference.is_small else "not within"
        measured = difference_text(self.record, difference)
        return (
            f"difference {measured}, {confidence} interval {interval_text(ends, unit)} of {difference.n} pairs, "
            f"{place} {margin}"
        )

    @cached_property
    def _measured(self) -> tuple[PairedDifference | None, str]:
        """The difference, or why there is none."""
        if self.first is None or self.second is None:
            return None, ""
        try:
            rule = self.first.claim.rule
            return paired_difference(rule, evidence_of(self.first), evidence_of(self.second)), ""
        except JudgingError as error:
            return None, str(error)


def difference_unit(record: Record) -> Unit:
    """The unit of a difference of two measurements of this claim."""
    return "number" if record.unit == "number" else "points"


def difference_text(record: Record, difference: PairedDifference) -> str:
    """The difference in words: "+2 points", "−0.01 bits"."""
    unit, ends = difference_unit(record), difference.interval
    return in_unit(number_text(difference.estimate, unit, ends[1] - ends[0]), unit, record.claim.value_unit)


def counts_text(pairs: Sequence[EnginePair]) -> str:
    """15 of 40 findings replicated, 2 not replicated, 23 undecided: of all that both engines were asked for."""
    found = counts(pairs)
    text = (
        f"{found['replicated']} of {count_text(sum(found.values()), 'finding')} replicated, "
        f"{found['not replicated']} not replicated, {found['undecided']} undecided"
    )
    agree = sum(pair.agrees for pair in pairs)
    return text + (
        f" ({agree} of them inconclusive on both, with no difference that matters)" if agree else ""
    )


def counts(pairs: Sequence[EnginePair]) -> dict[Replication, int]:
    """The number of verdicts with each result, where both engines were asked."""
    return {result: sum(pair.result == result for pair in pairs) for result in JUDGED}


def _shown_margin(margin: float) -> float:
    """A margin in standard deviations has more digits than anyone reads."""
    return float(f"{margin:.3g}")


def _verdicts(first: Record, second: Record, engines: tuple[str, str]) -> str:
    """The verdicts, where they alone keep the second from replicating the first; else empty."""
    named = list(zip((first, second), engines, strict=True))
    if first.verdict == second.verdict == "inconclusive":
        return "inconclusive on both"
    if not {first.verdict, second.verdict} <= set(DECIDED):
        return ", ".join(
            f"{_without_decision(record)} on {engine}"
            for record, engine in named
            if record.verdict not in DECIDED
        )
    if first.verdict == second.verdict:
        return ""
    return ", ".join(f"{record.verdict} on {engine}" for record, engine in named)


def _without_decision(record: Record) -> str:
    """The verdict of a record without a decided one; of a failed positive control, which one it was."""
    return record.verdict if record.not_run is None else record.not_run.cause_and_reason


def _why_none(engine: str, record: Record | None) -> str:
    """Why an engine gave no verdict."""
    if record is None:
        return f"no record on {engine}"
    return f"{engine}: {record.not_run.cause_and_reason if record.not_run else record.verdict}"


def _obstacle(first: Record, second: Record, engines: tuple[str, str]) -> str:
    """Why two records cannot be compared; empty when they can."""
    if not first.weights or first.weights != second.weights:
        return "not known to be of the same weights"
    if first.claim.rules_digest != second.claim.rules_digest:
        return "judged by different rules"
    properties = {
        "seed": (first.claim.seed, second.claim.seed),
        "dtype": (first.evidence.dtype, second.evidence.dtype),
        "thinking": (first.evidence.thinking, second.evidence.thinking),
        "trials": (first.evidence.chosen_trials, second.evidence.chosen_trials),
    }
    differing = [
        f"{name} {values[0]} on {engines[0]}, {values[1]} on {engines[1]}"
        for name, values in properties.items()
        if values[0] != values[1]
    ]
    return "; ".join(differing)
