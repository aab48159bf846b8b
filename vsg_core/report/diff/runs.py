"""Pairs of records of the same claim and model, from two runs, and what became of each.

*Moved* is a matter of intervals, as a verdict is: two estimates of one truth differ by chance, and their
intervals of 95 % lie apart in less than 5 % of all pairs, in about 0.6 % where both are equally wide. What
moved less is told as *similar*, with how many trials differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from vsg_core.judge.rules import NOT_APPLICABLE
from vsg_core.records.recorded import weights_of
from vsg_core.report.view.cells import Record, started
from vsg_core.report.view.rows import report_of

# What can become of a pair, in the order in which it is told.
KINDS = {
    "broken": "an error in B, no verdict",
    "flipped": "the verdict is another",
    "moved": "the same verdict, but two intervals do not overlap",
    "not comparable": "other weights, another rule or another dtype",
    "new": "a verdict in B only",
    "gone": "a verdict in A only",
    "similar": "the same verdict, overlapping intervals, but not the same trials",
    "identical": "the same verdict, trial for trial",
    "not run": "no verdict in either",
}


@dataclass(frozen=True)
class Pair:
    """One claim on one model in both runs; None where a run has no record of it.

    Args:
        kind: one of KINDS.
        notes: what differs besides, or why there is nothing to compare.
    """

    a: Record | None
    b: Record | None
    kind: str
    notes: Sequence[str] = ()

    @property
    def record(self) -> Record:
        """The newer account of the claim: B's, else A's."""
        found = self.b or self.a
        assert found is not None
        return found

    @property
    def claim(self) -> str:
        return self.record["claim"]

    @property
    def model(self) -> str:
        return self.record["model"]["name"]


@dataclass(frozen=True)
class RunDiff:
    """Two runs compared.

    Args:
        surroundings: what the runs were made with where they differ, by name: (in A, in B).
    """

    a: Sequence[Record]
    b: Sequence[Record]
    pairs: Sequence[Pair]
    surroundings: Mapping[str, tuple[str, str]]

    def of(self, kind: str) -> list[Pair]:
        return [pair for pair in self.pairs if pair.kind == kind]

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs of each kind, in the order of KINDS."""
        return {kind: len(self.of(kind)) for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the counts, the surroundings that differ, and a row for each pair."""
        keys = ("verdict", "estimate", "interval", "n", "reason")
        rows = [
            {"claim": pair.claim, "model": pair.model, "kind": pair.kind, "notes": list(pair.notes)}
            | {
                side: record and {key: record[key] for key in keys}
                for side, record in (("a", pair.a), ("b", pair.b))
            }
            for pair in self.pairs
        ]
        surroundings = {name: {"a": a, "b": b} for name, (a, b) in self.surroundings.items()}
        return {"counts": self.counts, "surroundings": surroundings, "cells": rows}


def compare_runs(a: Iterable[Record], b: Iterable[Record]) -> RunDiff:
    """Pair the records of two runs by claim and model, in the order of the report."""
    a, b = list(a), list(b)
    sides = [{_key(cell.record): cell.record for cell in report_of(records).cells} for records in (a, b)]
    order = [_key(cell.record) for cell in report_of([*a, *b]).cells]
    pairs = [_pair(sides[0].get(key), sides[1].get(key)) for key in order]
    return RunDiff(a, b, pairs, _surroundings(a, b))


def _key(record: Record) -> tuple[str, str]:
    return record["claim"], record["model"]["name"]


def _pair(a: Record | None, b: Record | None) -> Pair:
    if b is not None and b["outcome"] == "broken":
        return Pair(a, b, "broken", [b["reason"]])
    if not _says_something(a) or not _says_something(b):
        return _half(a, b)
    assert a is not None
    assert b is not None
    if a["verdict"] == b["verdict"] == "not run":
        return Pair(a, b, "not run")
    obstacle = _obstacle(a, b)
    if obstacle:
        return Pair(a, b, "not comparable", [obstacle])
    trials = list(_trial_notes(a, b))
    notes = [*_wording_notes(a, b), *_control_notes(a, b), *trials]
    if a["verdict"] != b["verdict"]:
        return Pair(a, b, "flipped", notes)
    apart = [name for name, *ends in _intervals(a, b) if _lie_apart(*ends)]
    if apart:
        others = [f"arm {name!r} moved" for name in apart if name]
        return Pair(a, b, "moved", [*others, *notes])
    return Pair(a, b, "similar" if trials else "identical", notes)


def _says_something(record: Record | None) -> bool:
    """A verdict, or that the claim does not apply, which is a finding about the model as well."""
    return record is not None and (
        record["verdict"] != "not run" or record["reason"].startswith(NOT_APPLICABLE)
    )


def _half(a: Record | None, b: Record | None) -> Pair:
    """A pair of which one side, at most, has a verdict."""
    verdicts = [record is not None and record["verdict"] != "not run" for record in (a, b)]
    kind = {(False, True): "new", (True, False): "gone", (False, False): "not run"}[verdicts[0], verdicts[1]]
    silent = {"new": a, "gone": b}.get(kind)
    return Pair(a, b, kind, [silent["reason"]] if silent else [])


def _obstacle(a: Record, b: Record) -> str:
    """Why the two cannot be compared; nothing when they can."""
    if not weights_of(a) or not weights_of(b):
        return "nothing identifies the weights"
    if weights_of(a) != weights_of(b):
        return f"other weights: {_short(weights_of(a))} in A, {_short(weights_of(b))} in B"
    if a["rule"] != b["rule"]:
        return f"another rule: {_what_differs(a['rule'].split('; '), b['rule'].split('; '))}"
    dtypes = [record["provenance"].get("dtype") for record in (a, b)]
    if None not in dtypes and dtypes[0] != dtypes[1]:
        return f"another dtype: {dtypes[0]} in A, {dtypes[1]} in B"
    return ""


def _short(weights: str) -> str:
    """The beginning of a hash; the weights of several models as they are."""
    return weights if " " in weights else weights[:12]


def _what_differs(a: Sequence[str], b: Sequence[str]) -> str:
    """The parts of a rule that only one of the two has."""
    alone = {"A": [part for part in a if part not in b], "B": [part for part in b if part not in a]}
    return "; ".join(f"{side} alone has “{'; '.join(parts)}”" for side, parts in alone.items() if parts)


def _wording_notes(a: Record, b: Record) -> Iterator[str]:
    if a["statement"] != b["statement"]:
        yield f"in B the claim reads: {b['statement']}"
    if a["seed"] != b["seed"]:
        yield f"seed {a['seed']} in A, {b['seed']} in B"


def _control_notes(a: Record, b: Record) -> Iterator[str]:
    """Controls whose own verdict is another, in words."""
    before = {arm["name"]: arm["verdict"] for arm in a["controls"]}
    for arm in b["controls"]:
        was = before.get(arm["name"])
        if was and arm["verdict"] and was != arm["verdict"]:
            yield f"{arm['kind']} {arm['name']!r}: its rule {_outcome(was)} in A, {_outcome(arm['verdict'])} in B"


def _outcome(verdict: str) -> str:
    return {"holds": "held", "refuted": "failed", "inconclusive": "was left open"}[verdict]


def _trial_notes(a: Record, b: Record) -> Iterator[str]:
    """How many trials differ in anything: the claim's own, and those of its other arms."""
    if not a["trials"] or not b["trials"]:
        return
    arms = [{arm["name"]: arm["trials"] for arm in record["controls"]} for record in (a, b)]
    own = _differing(a["trials"], b["trials"])
    other = sum(_differing(arms[0].get(name, []), arms[1].get(name, [])) for name in {*arms[0], *arms[1]})
    if own or other:
        every = max(len(a["trials"]), len(b["trials"]))
        yield f"trials that differ: {own} of {every}" + (f", {other} of other arms" if other else "")


def _differing(a: Sequence[Any], b: Sequence[Any]) -> int:
    return sum(one != other for one, other in zip_longest(a, b))


def _intervals(a: Record, b: Record) -> Iterator[tuple[str, Sequence[float], Sequence[float]]]:
    """The intervals that both runs have: the claim's own under "", then those of its arms by name."""
    before = {"": a["interval"], **{arm["name"]: arm["interval"] for arm in a["controls"]}}
    for name, ends in {"": b["interval"], **{arm["name"]: arm["interval"] for arm in b["controls"]}}.items():
        if before.get(name) and ends:
            yield name, before[name], ends


def _lie_apart(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[1] < b[0] or b[1] < a[0]


def _surroundings(a: Sequence[Record], b: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """What the runs were made with, where they differ: commits, versions, machines, devices, days."""
    told = [_facts(records) for records in (a, b)]
    names = dict.fromkeys([*told[0], *told[1]])
    both = {name: (told[0].get(name, "unknown"), told[1].get(name, "unknown")) for name in names}
    return {name: sides for name, sides in both.items() if sides[0] != sides[1]}


def _facts(records: Sequence[Record]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for record in records:
        made = record["provenance"]
        commit = made.get("commit") and made["commit"][:7] + (" with changes" if made.get("dirty") else "")
        facts = {"day": f"{started(record):%Y-%m-%d}", "commit": commit}
        facts |= {name: made.get(name) for name in ("machine", "device", "engine")}
        for name, fact in {**facts, **(made.get("versions") or {})}.items():
            if fact:
                found.setdefault(name, set()).add(str(fact))
    return {name: "; ".join(sorted(facts)) for name, facts in found.items()}
