"""Two runs compared: their records in pairs, and what the runs were made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsg_core.records.record import Record
from vsg_core.report.diff.pairs import CHANGES, Change, RecordPair, record_pair
from vsg_core.report.view.rows import report_of

# The name under which the digest of the code is among the surroundings.
CODE = "code"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class RunDiff:
    """Two runs compared.

    Args:
        a, b: all records of the two runs.
        pairs: one per claim and model, in the order of the report.
        surroundings: what the runs were made with where they differ, by name: (in A, in B).
    """

    a: Sequence[Record]
    b: Sequence[Record]
    pairs: Sequence[RecordPair]
    surroundings: Mapping[str, tuple[str, str]]

    def of(self, change: Change) -> list[RecordPair]:
        """The pairs with that change."""
        return [pair for pair in self.pairs if pair.change == change]

    @property
    def counts(self) -> dict[Change, int]:
        """The number of pairs with each change, in the order of CHANGES."""
        return {change: len(self.of(change)) for change in CHANGES}

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the counts, the surroundings that differ, and one row per pair."""
        surroundings = {name: {"a": a, "b": b} for name, (a, b) in self.surroundings.items()}
        cells = [_json_row(pair) for pair in self.pairs]
        return {"counts": self.counts, "surroundings": surroundings, "cells": cells}


def compare_runs(a: Iterable[Record], b: Iterable[Record]) -> RunDiff:
    """Pair the records of two runs by claim and model, in the order of the report.

    Of two records of the same claim and model in one run the newer one counts.
    """
    a, b = list(a), list(b)
    in_a, in_b = _newest(a), _newest(b)
    order = [_key(cell.record) for cell in report_of([*a, *b]).cells]
    pairs = [record_pair(in_a.get(key), in_b.get(key)) for key in order]
    return RunDiff(a, b, pairs, _surroundings(a, b))


def _newest(records: Iterable[Record]) -> dict[tuple[str, str], Record]:
    return {_key(record): record for record in sorted(records, key=lambda record: record.run.started)}


def _key(record: Record) -> tuple[str, str]:
    return record.claim.id, record.model.name


def _json_row(pair: RecordPair) -> dict[str, Any]:
    row = {"claim": pair.claim, "model": pair.model, "kind": pair.change, "notes": list(pair.notes)}
    return {**row, "a": json_side(pair.a), "b": json_side(pair.b)}


def json_side(record: Record | None) -> dict[str, Any] | None:
    """The measurement of a record as plain JSON values; None without a record."""
    if record is None:
        return None
    evidence = record.evidence
    return {
        "verdict": record.verdict,
        "estimate": evidence.estimate,
        "interval": evidence.interval,
        "n": evidence.n,
        "reason": record.reason,
    }


def _surroundings(a: Sequence[Record], b: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """Differences in the circumstances of two runs: commits, versions, machines, devices, days."""
    in_a, in_b = _facts(a), _facts(b)
    both = {name: (in_a.get(name, UNKNOWN), in_b.get(name, UNKNOWN)) for name in {**in_a, **in_b}}
    differing = {name: sides for name, sides in both.items() if sides[0] != sides[1]}
    # Records of earlier versions have no digest of the code.
    if UNKNOWN in differing.get(CODE, ()):
        del differing[CODE]
    return differing


def _facts(records: Sequence[Record]) -> dict[str, str]:
    """By name, every value that any of the records has."""
    values: dict[str, set[str]] = {}
    for record in records:
        for name, value in _made_with(record).items():
            if value:
                values.setdefault(name, set()).add(value)
    return {name: "; ".join(sorted(each)) for name, each in values.items()}


def _made_with(record: Record) -> dict[str, str | None]:
    run = record.run
    changes = " with changes" if run.dirty else ""
    return {
        "day": f"{run.started.astimezone():%Y-%m-%d}",
        "commit": run.commit and run.commit[:7] + changes,
        CODE: run.code,
        "machine": run.machine,
        "device": run.device,
        "engine": record.evidence.engine,
        **run.versions,
    }
