"""Claims across models: pairs of models that differ in one thing only, and the records of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Protocol, TypeVar

from vsg_core.errors import RecordsUnavailable
from vsg_core.records.files import read_reports
from vsg_core.records.record import ModelReference, Record, UsedRecord
from vsg_core.weights.engine_names import on_second_engine

# Times the parameters: an output head kept apart, as in some GGUF files, adds up to a third.
SAME_SIZE = 1.5


class SeriesMember(Protocol):
    """The properties in which two models of a series may differ; registry entries and model references have them."""

    @property
    def kind(self) -> str | None: ...

    @property
    def parameters(self) -> int | None: ...

    @property
    def quantised(self) -> bool | None: ...

    @property
    def series(self) -> str | None: ...


Model = TypeVar("Model", bound=SeriesMember)


def _same_size(a: SeriesMember, b: SeriesMember) -> bool:
    return max(_parameters(a), _parameters(b)) < SAME_SIZE * min(_parameters(a), _parameters(b))


def _parameters(model: SeriesMember) -> int:
    return model.parameters or 0


# The single property in which the two models of a pair differ, and which of them comes first.
DIFFERENCES: dict[str, Callable[[SeriesMember, SeriesMember], bool]] = {
    "a smaller and a larger model": lambda a, b: (
        (a.kind, a.quantised) == (b.kind, b.quantised) and _parameters(b) > SAME_SIZE * _parameters(a) > 0
    ),
    "a base and an instruction-tuned model of one size": lambda a, b: (
        (a.kind, b.kind) == ("base", "instruct") and a.quantised == b.quantised and _same_size(a, b)
    ),
    "a full and a quantised form of one model": lambda a, b: (
        a.kind == b.kind and a.quantised is False and b.quantised is True and _same_size(a, b)
    ),
}
SIZE, TUNING, QUANTISATION = DIFFERENCES


def pairs_of(models: Iterable[Model], difference: str) -> Iterator[tuple[Model, Model]]:
    """The pairs of models of one series with that difference: SIZE, TUNING or QUANTISATION."""
    for first, second in permutations(models, 2):
        if first.series and first.series == second.series and DIFFERENCES[difference](first, second):
            yield first, second


@dataclass(frozen=True)
class ModelPair:
    """Two models that differ in one thing, and by claim the records of both, in the same order."""

    first: ModelReference
    second: ModelReference
    records: Mapping[str, tuple[Record, Record]]


@dataclass
class Records:
    """The records of a folder of reports, for a claim across models; it notes what the claim rests on.

    Args:
        reports: the folder.
        command: the command that measures a pair with a difference; empty where there is none.
        used: the records that it rests on.
        own_models: models outside the registry that it measures itself, with the sha256 of their weights.
    """

    reports: Path
    command: Callable[[str], str] = lambda difference: ""
    used: list[Record] = field(default_factory=list)
    own_models: dict[str, str] = field(default_factory=dict)

    def pairs(self, difference: str, claims: Collection[str] | None = None) -> list[ModelPair]:
        """The pairs of measured models with that difference, SIZE, TUNING or QUANTISATION, and their records.

        Of more than two sizes of the same kind and form the smallest and the largest are taken. Only records
        with trials count, and only where both were made under one rule, description, seed and dtype.

        Args:
            claims: a pair must have records of each of them; None for all claims that both have.

        Raises:
            RecordsUnavailable: there is no such pair.
        """
        measured = self._measured(claims)
        models = [records[min(records)].model for records in measured.values()]
        pairs: list[ModelPair] = []
        unlike: list[str] = []
        for first, second in pairs_of(models, difference):
            own, other = measured[first.name], measured[second.name]
            both = sorted(own.keys() & other.keys())
            alike = {claim: (own[claim], other[claim]) for claim in both if _alike(own[claim], other[claim])}
            if alike and set(alike) >= set(claims or ()):
                pairs.append(ModelPair(first, second, alike))
            elif len(alike) < len(both):
                unlike.append(
                    f"those of {first.name} and {second.name} were made under different rules, descriptions, "
                    "seeds or dtypes"
                )
        if not pairs:
            of = f" of {', '.join(claims)}" if claims else ""
            missing = f"needs records{of} on two models of one series: {difference}"
            raise RecordsUnavailable("; ".join([missing, *unlike]), self.command(difference))
        if difference == SIZE:
            pairs = _widest(pairs)
        self.used += [record for pair in pairs for records in pair.records.values() for record in records]
        return pairs

    def rests_on(self, models: Mapping[str, str]) -> None:
        """Note that the claim measures models itself, which the project keeps: the sha256 of their weights by name."""
        self.own_models |= models

    def _measured(self, claims: Collection[str] | None) -> dict[str, dict[str, Record]]:
        """The records with trials, by model and claim; a second engine's are of models that are there already."""
        measured: dict[str, dict[str, Record]] = {}
        for record in read_reports(self.reports):
            if (
                record.evidence.trials
                and not record.model.is_across
                and not on_second_engine(record.model.name)
                and (claims is None or record.claim.id in claims)
            ):
                measured.setdefault(record.model.name, {})[record.claim.id] = record
        return measured

    @property
    def used_records(self) -> tuple[UsedRecord, ...]:
        """The records that the claim rests on, as its own record names them."""
        return tuple(
            UsedRecord(
                claim=record.claim.id,
                model=record.model.name,
                weights=record.weights,
                dtype=record.evidence.dtype,
                started=record.run.started,
                commit=record.run.commit,
            )
            for record in self.used
        )

    @property
    def weights(self) -> str | None:
        """The weights of the models that the claim measured itself, as `Record.weights` lists several."""
        return ", ".join(f"{name} {sha256}" for name, sha256 in sorted(self.own_models.items())) or None

    @property
    def dtype(self) -> str | None:
        """The dtype of the records that the claim rests on, where they share one; it measures in float32 itself."""
        dtypes = {record.evidence.dtype for record in self.used} | ({"float32"} if self.own_models else set())
        return dtypes.pop() if len(dtypes) == 1 else None

    @property
    def models(self) -> list[str]:
        """The names of the models that the claim rests on."""
        return list(dict.fromkeys(record.model.name for record in self.used))


def _widest(pairs: Sequence[ModelPair]) -> list[ModelPair]:
    """Of the pairs of one series, kind and form the one whose sizes are furthest apart."""
    by_ratio = sorted(pairs, key=lambda pair: _parameters(pair.second) / _parameters(pair.first))
    return list({(p.first.series, p.first.kind, p.first.quantised): p for p in by_ratio}.values())


def _alike(a: Record, b: Record) -> bool:
    """Return whether two records were made under the same rules, description, seed and dtype."""
    return _made(a) == _made(b)


def _made(record: Record) -> tuple[str, str, int, str | None]:
    return record.claim.rules_digest, record.claim.docstring, record.claim.seed, record.evidence.dtype
