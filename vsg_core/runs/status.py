"""The state of a project's records: what is measured, stale or missing for each model, and how long the rest takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vsg_core.errors import VsgError
from vsg_core.judge.claims import Claim, load_claims
from vsg_core.projects import EXAMPLE, RECORDED
from vsg_core.records.files import model_names, record_member_of, recorded_target
from vsg_core.records.naming import Named, recorded_names
from vsg_core.records.record import Key
from vsg_core.runs.estimates import Estimates
from vsg_core.runs.keys import (
    Project,
    claim_key,
    device_class,
    measured_on,
    measured_over,
    weights_of,
)
from vsg_core.runs.resuming import BROKEN, NO_RECORD, NOT_RUN, record_or_reasons
from vsg_core.vocabulary import ACROSS
from vsg_core.weights import loading, registry
from vsg_core.weights.registry import Entry

if TYPE_CHECKING:
    from vsg_core.generator.engine.packing import Packing
    from vsg_core.vocabulary import EngineName

# The states of claims whose record has no finding, by the reason to run them again.
_STATES = {NOT_RUN: "not run", BROKEN: "broken"}


@dataclass
class ModelStatus:
    """The claims of one model.

    Attributes:
        model: its recorded name, or "across-models".
        target: what `pytest --model` takes for it; empty for claims across models.
        measured: claims whose record has their present key.
        stale: the other claims with a record, each with the reasons; also those that were not run or broke.
        missing: claims without a record.
        seconds: the estimated duration of what is to run.
        unknown: how many claims to run have no estimate.
    """

    model: str
    target: str = ""
    measured: list[str] = field(default_factory=list)
    stale: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0
    unknown: int = 0

    def add(self, claim: str, why: Sequence[str], seconds: float | None) -> None:
        """Add a claim with the reasons to run it, empty for none, and its estimated duration."""
        if not why:
            self.measured.append(claim)
            return
        if list(why) == [NO_RECORD]:
            self.missing.append(claim)
        else:
            self.stale[claim] = list(why)
        self.seconds += seconds or 0.0
        self.unknown += seconds is None

    @property
    def counts(self) -> dict[str, int]:
        """The number of claims in each state; a record without a finding is *not run* or *broken*, not stale."""
        found = Counter(_STATES.get(why[0], "stale") for why in self.stale.values())
        without = {state: found[state] for state in _STATES.values() if found[state]}
        return {
            "measured": len(self.measured),
            "stale": found["stale"],
            "missing": len(self.missing),
            **without,
        }

    @property
    def stale_reasons(self) -> list[tuple[str, int]]:
        """Why records are stale, each with the number of claims, the most frequent first."""
        found = Counter(reason for reasons in self.stale.values() for reason in reasons)
        return [(reason, count) for reason, count in found.most_common() if reason not in _STATES]

    @property
    def to_run(self) -> int:
        return len(self.stale) + len(self.missing)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "target": self.target,
            "measured": self.measured,
            "stale": self.stale,
            "missing": self.missing,
            "seconds": round(self.seconds, 1),
            "unknown": self.unknown,
        }


@dataclass
class Status:
    """The state of the records of a project.

    Args:
        folders: those of the claims; the project is the folder around the first.
        weights, dtype, device, thinking, engine: as `pytest` takes them.
    """

    folders: tuple[Path, ...]
    reports: Path
    weights: Packing | Literal["as-is"] | None = None
    dtype: str | None = None
    device: str = "auto"
    thinking: str | None = None
    engine: EngineName | None = None

    def __post_init__(self) -> None:
        self.folders = tuple(folder.resolve() for folder in self.folders)
        self.reports = self.reports.resolve()
        self.project = Project(self.folders[0].parent, self.folders)
        self.estimates = Estimates.of(self.reports, self.project.root / EXAMPLE)
        self.claims = [(claim, self._sources(claim)) for claim in load_claims(*self.folders)]

    def models(self, targets: Iterable[str] = ()) -> list[ModelStatus]:
        """The state of each model, then that of the claims across models.

        Args:
            targets: as --model takes them; none for the models on this machine and those with records.

        Raises:
            VsgError: there is no such model, or no such device.
        """
        on = device_class(self.device)
        entries = [
            (target, loading.describe(target, self.weights, self.engine)) for target in targets
        ] or self._here()
        found = [self._model(*each, on) for each in zip(entries, self._names(entries), strict=True)]
        return [*found, *self._across(found)]

    def _model(self, described: tuple[str, Entry], name: str, device: str) -> ModelStatus:
        target, entry = described
        status = ModelStatus(name, target)
        given = measured_on(entry, weights_of(entry), self.dtype, device, self.thinking)
        for claim, sources in self.claims:
            if sources is None or "fixture records" not in sources:
                key = None if sources is None else claim_key(claim, sources, given)
                seconds = self.estimates.seconds(claim.id, name, entry.parameters)
                status.add(claim.id, self._why(name, claim, key), seconds)
        return status

    def _across(self, found: Iterable[ModelStatus]) -> list[ModelStatus]:
        """The claims across models, which are judged again after any other."""
        status = ModelStatus(ACROSS)
        over = measured_over(self.reports)
        for claim, sources in self.claims:
            if sources is not None and "fixture records" in sources:
                key = claim_key(claim, sources, over)
                status.add(
                    claim.id, self._why(ACROSS, claim, key), self.estimates.seconds(claim.id, ACROSS, None)
                )
        return [status] if status.measured or status.to_run else []

    def _why(self, model: str, claim: Claim, key: Key | None) -> list[str]:
        return record_or_reasons(self.reports, record_member_of(model, claim.id), key)[1]

    def _sources(self, claim: Claim) -> dict[str, str] | None:
        """The parts of a claim's key that the sources give; None if they cannot be read."""
        with suppress(OSError, ValueError, SyntaxError):
            if path := self.project.file_of(claim.id):
                return self.project.parts(path, f"test_{claim.id}")
        return None

    def _here(self) -> list[tuple[str, Entry]]:
        """The models of the registry whose weights are on this machine, and all models with records."""
        recorded, known = model_names(self.reports), {entry.name for entry in registry.entries()}
        found = [
            (entry.name, described)
            for entry in registry.entries()
            if (described := loading.computed(entry, self.weights, self.engine)).name in recorded
            or loading.weights_here(entry)
        ]
        others = {recorded_target(self.reports, name) for name in recorded - known - {ACROSS}}
        for target in sorted(others - {"", *(target for target, _ in found)}):
            # Without its folder or file a model has nothing to run.
            with suppress(VsgError):
                found.append((target, loading.describe(target, self.weights, self.engine)))
        return found

    def _names(self, entries: Sequence[tuple[str, Entry]]) -> list[str]:
        """The names under which models are recorded; those of the registry keep theirs."""
        known = {entry.name for entry in registry.entries()}
        own = [
            Named(target, entry.name, partial(_weights, entry))
            for target, entry in entries
            if entry.name not in known
        ]
        given = iter(recorded_names(own, self.reports, *(folder / RECORDED for folder in self.folders)))
        return [entry.name if entry.name in known else next(given) for _, entry in entries]


def _weights(entry: Entry) -> str:
    try:
        return loading.weights_id(entry)
    except VsgError:
        return ""
