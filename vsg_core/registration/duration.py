"""Estimate how long a confirming run takes on each model, from the durations of exploratory records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vsg_core.judge.claims import Claim
from vsg_core.records.files import model_names, record_at, record_member_of
from vsg_core.records.registered import Freeze, FrozenModel
from vsg_core.registration.drawing import drawn_by
from vsg_core.runs.estimates import Duration, Estimates
from vsg_core.runs.keys import Project
from vsg_core.weights import loading


@dataclass(frozen=True)
class Expected:
    """The expected duration of a confirming run on one model.

    Args:
        claims: how many are registered on it.
        unknown: those of which no record gives a duration; the seconds are without them.
    """

    model: FrozenModel
    claims: int
    seconds: float
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Durations:
    """The durations of a freeze's claims.

    Args:
        known: all claims of the project.
        reports: has the exploratory records.
    """

    freeze: Freeze
    known: Sequence[Claim]
    project: Project
    reports: Path

    def expected(self) -> list[Expected]:
        """Estimate the duration on each model.

        A claim takes as long per item as it took per independent unit of its record: too long where it does without
        some of its items. On a model without a record it takes as long as on the model nearest in size, times the
        ratio. What several claims share is counted once.

        Raises:
            VsgError: a record is damaged, or the sources of a claim cannot be read.
        """
        return [self._expected(model) for model in self.freeze.models]

    def _expected(self, model: FrozenModel) -> Expected:
        registered = self.freeze.claims_on(model.name)
        trials = {claim.id: claim.trials for claim in self.freeze.claims if claim.id in registered}
        each = self._per_unit(trials, model)
        seconds = sum(trials[claim] * each[claim] for claim in each)
        for sharing in self.sharing.values():
            if own := [claim for claim in sharing if claim in each]:
                # The first claim that asks for a shared measurement takes the time of it, and here it is another one.
                longest = max(self._per_unit(sharing, model).values())
                seconds += max(trials[claim] for claim in own) * (longest - max(each[claim] for claim in own))
        return Expected(model, len(trials), seconds, tuple(claim for claim in trials if claim not in each))

    @cached_property
    def sharing(self) -> dict[str, list[str]]:
        """All claims that ask for a fixture which draws once for them, by the name of the fixture."""
        found = defaultdict(list)
        for claim in self.known:
            for fixture in drawn_by(self.project, claim).shared:
                found[fixture].append(claim.id)
        return dict(found)

    def _per_unit(self, claims: Iterable[str], model: FrozenModel) -> dict[str, float]:
        """The seconds per independent unit of those claims of which a record gives them."""
        parameters = loading.describe(model.target).parameters
        found = {claim: self._estimates(claim).seconds(claim, model.name, parameters) for claim in claims}
        return {claim: seconds for claim, seconds in found.items() if seconds is not None}

    def _estimates(self, claim: str) -> Estimates:
        if claim not in self._measured:
            records = (record_at(self.reports, record_member_of(name, claim)) for name in self._explored)
            self._measured[claim] = Estimates({claim: {
                record.model.name: Duration(record.run.seconds / record.evidence.n, record.model.parameters)
                for record in records
                if record and record.evidence.n and record.run.seconds is not None
            }})  # fmt: skip
        return self._measured[claim]

    @cached_property
    def _measured(self) -> dict[str, Estimates]:
        return {}

    @cached_property
    def _explored(self) -> list[str]:
        return sorted(model_names(self.reports))
