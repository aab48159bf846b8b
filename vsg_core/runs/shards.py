"""A shard: the claims of one model that one worker process runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

# The folder, below that of reports, in which each worker has a folder for its records.
SHARDS = "shards"


@dataclass(frozen=True)
class Shard:
    """The task of one worker process. All of it is plain data, so that it can go to another machine.

    Args:
        name: unique in a run and fit for a folder: the model's name, with a number if the model has several shards.
        model: the name under which the model is recorded.
        target: what --model takes for it.
        claims: the node ids of its claims, in the order in which they run.
        named: the model was named at --model, so its weights are fetched whatever their size.
        arguments: of the worker's pytest: --rootdir, the files of the claims and the like.
        options: values of pytest's options by their destination, as the controller has them.
        files: what the folder of its worker holds before it starts: texts by name.
        code: the digest of the code that its worker must have.
        memory: bytes that the loaded model takes; 0 where that is not known.
        seconds: estimated duration, from earlier records; 0 where that is not known.
    """

    name: str
    model: str
    target: str
    claims: tuple[str, ...]
    named: bool = False
    arguments: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    memory: int = 0
    seconds: float = 0.0

    def of(self, claims: tuple[str, ...]) -> Shard:
        """The same shard with these of its claims."""
        return replace(self, claims=claims, seconds=self.seconds * len(claims) / max(len(self.claims), 1))

    def as_text(self) -> str:
        """The shard as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """The shard of a text that `as_text` made."""
        values = json.loads(text)
        return cls(**values | {name: tuple(values[name]) for name in ("claims", "arguments")})


def sharing(shared: Mapping[str, set[str]]) -> list[list[str]]:
    """Group claims that share something, directly or through others.

    Args:
        shared: what each claim shares, by node id.
    """
    groups: list[tuple[set[str], list[str]]] = []
    for claim, names in shared.items():
        joined = [group for group in groups if group[0] & names]
        groups = [group for group in groups if not group[0] & names]
        all_names = names.union(*(group[0] for group in joined))
        groups.append((all_names, [*(each for group in joined for each in group[1]), claim]))
    return [claims for _, claims in groups]


def parts_of(model: float, whole: float, workers: int) -> int:
    """The number of shards that a model is cut into: no more than even out the run, for each loads the model again.

    A model that takes no longer than a worker's share of the whole run is not cut.

    Args:
        model: seconds, or another measure, of the model's claims.
        whole: the same of all claims of the run.
    """
    return min(workers, max(1, math.ceil(model * workers / whole))) if whole else workers


def packed(groups: Iterable[list[str]], seconds: Mapping[str, float], number: int) -> list[list[str]]:
    """Pack groups of claims into at most `number` parts of about the same duration, the longest group first.

    Args:
        seconds: of each claim; where none is known every claim counts the same.
    """

    def duration(claims: list[str]) -> float:
        return sum(seconds.get(claim) or typical for claim in claims)

    known = [value for value in seconds.values() if value]
    typical = sum(known) / len(known) if known else 1.0
    parts: list[list[str]] = [[] for _ in range(number)]
    for group in sorted(groups, key=duration, reverse=True):
        min(parts, key=duration).extend(group)
    return [part for part in parts if part]
