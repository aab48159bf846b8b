"""The results of exploration before a freeze: recorded verdicts, and the spreads from which power is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vsg_core.judge.claims import Claim
from vsg_core.judge.measures import describe
from vsg_core.judge.power import power
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import JudgingError
from vsg_core.records.files import model_names, record_at, record_member_of
from vsg_core.records.making import evidence_of
from vsg_core.records.record import Record
from vsg_core.records.recorded import read_recorded
from vsg_core.vocabulary import Verdict


class Spread(NamedTuple):
    """The number that the power of a claim depends on besides its trials.

    Attributes:
        value: the standard deviation of the values, or the rate of the arm that a rate is compared with; None where
            power depends on nothing else.
        model: on which it was measured; empty without a value.
    """

    value: float | None
    model: str


NO_SPREAD = Spread(None, "")


@dataclass(frozen=True)
class Explored:
    """The records and the recorded verdicts from before a freeze.

    Args:
        reports: a folder of reports.
        recorded: the folders of recorded verdicts; one in a later folder replaces that of the same claim.
    """

    reports: Path
    recorded: Sequence[Path]

    def verdict(self, claim: str, model: str) -> Verdict | None:
        """The recorded verdict of a claim on a model; None without one.

        Raises:
            VsgError: recorded verdicts cannot be read.
        """
        found = [read_recorded(folder, model).get(claim) for folder in self.recorded]
        return next((each.verdict for each in reversed(found) if each is not None), None)

    def record(self, claim: str, model: str) -> Record | None:
        """The record of a claim on a model; None without one.

        Raises:
            VsgError: it is damaged.
        """
        return record_at(self.reports, record_member_of(model, claim))

    def spread(self, claim: Claim, model: str) -> Spread | None:
        """The spread of a claim on a model.

        On a model without a record it is that of the model with the least power; None where no model has a record.

        Raises:
            VsgError: a record is damaged.
        """
        if not takes_spread(claim.rule):
            return NO_SPREAD
        if (own := self._shown(claim, model)) is not None:
            return Spread(own, model)
        shown = [Spread(self._shown(claim, name), name) for name in sorted(model_names(self.reports))]
        known = [each for each in shown if each.value is not None]
        return min(known, key=lambda each: power(claim.rule, claim.rule.trials, each.value), default=None)

    def population(self, claim: str) -> str:
        """Describe what the items of a claim are drawn from, as its records say it; empty where none does.

        Raises:
            VsgError: a record is damaged.
        """
        records = (self.record(claim, name) for name in sorted(model_names(self.reports)))
        return next((each.claim.population for each in records if each and each.claim.population), "")

    def _shown(self, claim: Claim, model: str) -> float | None:
        """Return the spread that the record of a claim on a model shows; None without one that does."""
        return _spread_shown(self.reports, claim.rule, claim.id, model)


@cache
def _spread_shown(reports: Path, rule: Rule, claim: str, model: str) -> float | None:
    """The spread that a record shows. Kept, for a model without a record asks for those of all others."""
    record = record_at(reports, record_member_of(model, claim))
    return None if record is None else spread_in(rule, record)


def takes_spread(rule: Rule) -> bool:
    """Return whether the power of a rule depends on more than trials."""
    return rule.over is not None or rule.kind in ("difference", "equivalence")


def spread_in(rule: Rule, record: Record) -> float | None:
    """The spread that the trials of a record show; None where they leave none."""
    evidence = evidence_of(record)
    try:
        if rule.over is not None:
            return describe(rule, evidence.arms.get(rule.over, ()), rule.over).estimate
        return describe(rule, evidence.trials, "the claim's own trials").spread or None
    except JudgingError:
        return None
