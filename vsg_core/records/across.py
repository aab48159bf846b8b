"""Claims across models: which models differ in one thing only, and the records of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

from vsg_core.errors import RecordsUnavailable
from vsg_core.records.files import read_record
from vsg_core.records.recorded import weights_of
from vsg_core.weights import loading, registry
from vsg_core.weights.registry import Entry

Record = Mapping[str, Any]

SAME_SIZE = 1.5  # times the parameters: an output head kept apart, as in some GGUF, adds up to a third


def _same_size(a: Entry, b: Entry) -> bool:
    return max(_parameters(a), _parameters(b)) < SAME_SIZE * min(_parameters(a), _parameters(b))


def _parameters(entry: Entry) -> int:
    return entry.parameters or 0


# What tells two models of one series apart, and nothing else does; which of them comes first.
DIFFERENCES: dict[str, Callable[[Entry, Entry], bool]] = {
    "a smaller and a larger model": lambda a, b: (
        (a.kind, a.quantised) == (b.kind, b.quantised) and _parameters(b) > SAME_SIZE * _parameters(a) > 0
    ),
    "a base and an instruction-tuned model of one size": lambda a, b: (
        (a.kind, b.kind) == ("base", "instruct") and a.quantised == b.quantised and _same_size(a, b)
    ),
    "a full and a quantised form of one model": lambda a, b: (
        a.kind == b.kind and not a.quantised and b.quantised and _same_size(a, b)
    ),
}
SIZE, TUNING, QUANTISATION = DIFFERENCES


@dataclass(frozen=True)
class Pair:
    """Two models that differ in one thing, and by claim the records of both, in the same order."""

    first: Entry
    second: Entry
    records: Mapping[str, tuple[Record, Record]]


@dataclass
class Records:
    """The records in a folder, for a claim across models; it notes which of them the claim rests on."""

    folder: Path
    used: list[Record] = field(default_factory=list)

    def pairs(self, difference: str, claims: Collection[str] | None = None) -> list[Pair]:
        """The pairs of registered models with that difference, SIZE, TUNING or QUANTISATION, and their records.

        Of more than two sizes of the same kind and form the smallest and the largest are taken. Only records
        with trials count, and only where both were made under one rule, description, seed and dtype.

        Args:
            claims: a pair must have records of each of them; None for whatever both have.

        Raises:
            RecordsUnavailable: there is no such pair.
        """
        found, unlike = [], []
        for first, second in _registered(difference):
            own, other = self._measured(first, claims), self._measured(second, claims)
            both = sorted(own.keys() & other.keys())
            alike = {claim: (own[claim], other[claim]) for claim in both if _alike(own[claim], other[claim])}
            if alike and set(alike) >= set(claims or ()):
                found.append(Pair(first, second, alike))
            elif len(alike) < len(both):
                unlike.append(
                    f"those of {first.name} and {second.name} were made under different rules or dtypes"
                )
        if not found:
            of = f" of {', '.join(claims)}" if claims else ""
            missing = f"needs records{of} on two models of one series: {difference}"
            raise RecordsUnavailable("; ".join([missing, *unlike]), command(difference))
        if difference == SIZE:
            found = _widest(found)
        self.used += [record for pair in found for records in pair.records.values() for record in records]
        return found

    def _measured(self, entry: Entry, claims: Collection[str] | None) -> dict[str, Record]:
        paths = sorted(Path(self.folder, entry.name).glob("*.json"))
        records = [read_record(path) for path in paths if claims is None or path.stem in claims]
        return {record["claim"]: record for record in records if record["trials"]}

    @property
    def provenance(self) -> dict[str, Any]:
        """What a record of the claim says of those it rests on; the dtype is theirs, where they share one."""
        rests_on = [
            {
                "claim": record["claim"],
                "model": record["model"]["name"],
                "weights": weights_of(record),
                "dtype": record["provenance"].get("dtype"),
                "started": record["provenance"]["started"],
                "commit": record["provenance"].get("commit"),
            }
            for record in self.used
        ]
        dtypes = {each["dtype"] for each in rests_on}
        return {"records": rests_on, "dtype": dtypes.pop() if len(dtypes) == 1 else None}

    @property
    def models(self) -> list[str]:
        """The names of the models it rests on."""
        return list(dict.fromkeys(record["model"]["name"] for record in self.used))


def command(difference: str) -> str:
    """What measures a pair with that difference: one whose weights are here if there is any, else the smallest."""

    def effort(pair: Sequence[Entry]) -> tuple[bool, int]:
        return not all(map(loading.weights_here, pair)), sum(entry.size or 0 for entry in pair)

    pairs = sorted(_registered(difference), key=effort)
    return "pytest " + " ".join(f"--model {entry.name}" for entry in pairs[0]) if pairs else ""


def _registered(difference: str) -> Iterator[tuple[Entry, Entry]]:
    for first, second in permutations(registry.entries(), 2):
        if first.series and first.series == second.series and DIFFERENCES[difference](first, second):
            yield first, second


def _widest(pairs: Sequence[Pair]) -> list[Pair]:
    """Of the pairs of one series, kind and form the one whose sizes are furthest apart."""
    by_ratio = sorted(pairs, key=lambda pair: _parameters(pair.second) / _parameters(pair.first))
    return list({(p.first.series, p.first.kind, p.first.quantised): p for p in by_ratio}.values())


def _alike(a: Record, b: Record) -> bool:
    return _made(a) == _made(b)


def _made(record: Record) -> tuple[Any, ...]:
    return *(record[key] for key in ("rule", "docstring", "seed")), record["provenance"].get("dtype")
