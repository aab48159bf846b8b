"""Two records of the same claim and model, one from each run, and what changed between them.

*Moved* is judged by intervals, as a verdict is. Two estimates of one truth differ by chance: their 95 % intervals do
not overlap in fewer than 5 % of all pairs, and in about 0.6 % where both are equally wide. Smaller changes are
reported as *similar*, with the number of trials that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from vsg_core.records.record import Interval, Record, StoredEvidence, StoredTrial
from vsg_core.report.diff.rule_differences import rule_differences
from vsg_core.vocabulary import Verdict

Change = Literal[
    "broken", "flipped", "moved", "not comparable", "new", "gone", "similar", "identical", "not run"
]

# What each change means, in the order in which they are reported.
CHANGES: dict[Change, str] = {
    "broken": "an error in B, no verdict",
    "flipped": "a different verdict",
    "moved": "the same verdict, but two intervals do not overlap",
    "not comparable": "different weights, a different rule or a different dtype",
    "new": "a verdict in B only",
    "gone": "a verdict in A only",
    "similar": "the same verdict, overlapping intervals, but not the same evidence",
    "identical": "the same evidence, trial for trial",
    "not run": "no verdict in either",
}
_ARM_OUTCOMES: dict[Verdict, str] = {
    "holds": "held",
    "refuted": "failed",
    "negligible": "found a negligible effect",
    "inconclusive": "was left open",
}


@dataclass(frozen=True)
class RecordPair:
    """One claim on one model in both runs.

    Args:
        a, b: the records of the two runs; None for a run without one, never for both.
        notes: what else differs, or why the two cannot be compared.
    """

    a: Record | None
    b: Record | None
    change: Change
    notes: Sequence[str] = ()

    @property
    def record(self) -> Record:
        """The record of B, else that of A."""
        record = self.b or self.a
        if record is None:
            raise ValueError("a pair needs at least one record")
        return record

    def side(self, name: str) -> Record | None:
        """The record of run "A" or "B"."""
        return self.a if name == "A" else self.b

    @property
    def claim(self) -> str:
        return self.record.claim.id

    @property
    def model(self) -> str:
        return self.record.model.name


def record_pair(a: Record | None, b: Record | None) -> RecordPair:
    """Compare two records of the same claim and model, of which one may be missing."""
    if b is not None and b.outcome == "broken":
        return RecordPair(a, b, "broken", [b.reason])
    if a is None or b is None or not (a.is_finding and b.is_finding):
        return _one_verdict(a, b)
    if a.verdict == b.verdict == "not run":
        return RecordPair(a, b, "not run")
    if obstacle := _obstacle(a, b):
        return RecordPair(a, b, "not comparable", [obstacle])
    return _compared(a, b)


def _one_verdict(a: Record | None, b: Record | None) -> RecordPair:
    """A pair in which at most one side has a verdict; the note gives the reason of the other side."""
    if b is not None and b.verdict != "not run":
        return RecordPair(a, b, "new", [a.reason] if a else [])
    if a is not None and a.verdict != "not run":
        return RecordPair(a, b, "gone", [b.reason] if b else [])
    return RecordPair(a, b, "not run")


def _compared(a: Record, b: Record) -> RecordPair:
    evidence = list(_evidence_notes(a, b))
    notes = [*_wording_notes(a, b), *_control_notes(a, b), *evidence]
    if a.verdict != b.verdict:
        return RecordPair(a, b, "flipped", notes)
    moved = [name for name, *intervals in _shared_intervals(a, b) if _disjoint(*intervals)]
    if moved:
        return RecordPair(a, b, "moved", [*(f"arm {name!r} moved" for name in moved if name), *notes])
    return RecordPair(a, b, "similar" if evidence else "identical", notes)


def _obstacle(a: Record, b: Record) -> str:
    """Why the two cannot be compared; empty when they can."""
    if not a.weights or not b.weights:
        return "nothing identifies the weights"
    if a.weights != b.weights:
        return f"different weights: {_short(a.weights)} in A, {_short(b.weights)} in B"
    if a.claim.rules_digest != b.claim.rules_digest:
        return "; ".join(rule_differences(a, b))
    dtypes = a.evidence.dtype, b.evidence.dtype
    if None not in dtypes and dtypes[0] != dtypes[1]:
        return f"different dtype: {dtypes[0]} in A, {dtypes[1]} in B"
    return ""


def _short(weights: str) -> str:
    """The beginning of a digest; the weights of several models unchanged."""
    return weights if " " in weights else weights[:12]


def _wording_notes(a: Record, b: Record) -> Iterator[str]:
    if a.claim.statement != b.claim.statement:
        yield f"in B the claim reads: {b.claim.statement}"


def _control_notes(a: Record, b: Record) -> Iterator[str]:
    """Controls whose own verdicts differ."""
    before = {arm.name: arm.verdict for arm in a.evidence.arms}
    for arm in b.evidence.arms:
        was, now = before.get(arm.name), arm.verdict
        if was and now and was != now:
            yield f"{arm.role} {arm.name!r}: its rule {_ARM_OUTCOMES[was]} in A, {_ARM_OUTCOMES[now]} in B"


def _evidence_notes(a: Record, b: Record) -> Iterator[str]:
    """In what the evidence differs; nothing where it is the same byte for byte, or where one side was not run."""
    if a.claim.seed != b.claim.seed:
        yield f"seed {a.claim.seed} in A, {b.claim.seed} in B"
    in_a, in_b = a.evidence, b.evidence
    # Only what was not run has no trials.
    if not in_a.trials or not in_b.trials or a.evidence_bytes == b.evidence_bytes:
        return
    trials = _trials_that_differ(in_a, in_b)
    if trials:
        yield trials
    elif (in_a.engine, in_a.dtype) != (in_b.engine, in_b.dtype):
        yield f"computed by {_computed(in_a)} in A, by {_computed(in_b)} in B"
    elif a.claim.seed == b.claim.seed and a.verdict == b.verdict:
        yield "the trials are the same, the numbers computed from them differ"


def _computed(evidence: StoredEvidence) -> str:
    return f"{evidence.engine} in {evidence.dtype or 'an unknown dtype'}"


def _trials_that_differ(a: StoredEvidence, b: StoredEvidence) -> str:
    """Count the trials that differ in anything: the claim's own, and those of its other arms; empty if none."""
    in_a, in_b = ({arm.name: arm.trials for arm in evidence.arms} for evidence in (a, b))
    own = _differing(a.trials, b.trials)
    other = sum(_differing(in_a.get(name, ()), in_b.get(name, ())) for name in {*in_a, *in_b})
    if not own and not other:
        return ""
    of_other_arms = f", {other} of other arms" if other else ""
    return f"trials that differ: {own} of {max(len(a.trials), len(b.trials))}{of_other_arms}"


def _differing(a: Sequence[StoredTrial], b: Sequence[StoredTrial]) -> int:
    return sum(one != other for one, other in zip_longest(a, b))


def _shared_intervals(a: Record, b: Record) -> Iterator[tuple[str, Interval, Interval]]:
    """The intervals that both runs have: the claim's own under "", then those of its arms by name."""
    before = _intervals(a)
    for name, interval in _intervals(b).items():
        if name in before:
            yield name, before[name], interval


def _intervals(record: Record) -> dict[str, Interval]:
    named = [("", record.evidence.interval), *((arm.name, arm.interval) for arm in record.evidence.arms)]
    return {name: interval for name, interval in named if interval is not None}


def _disjoint(a: Interval, b: Interval) -> bool:
    return a[1] < b[0] or b[1] < a[0]
