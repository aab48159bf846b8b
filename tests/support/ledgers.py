"""Freezes and ledgers for tests of code, made from records. They are never findings: no run confirmed anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsg_core.projects import REGISTERED
from vsg_core.records.ledger import Line, append, following
from vsg_core.records.record import Record
from vsg_core.records.registered import (
    Commitment,
    Freeze,
    FrozenClaim,
    FrozenModel,
    FrozenRun,
    Registration,
    read_registration,
    write_freeze,
)

WHEN = datetime(2026, 12, 3, 12, 0, tzinfo=UTC)
DIGEST = "c0ffee00" * 8


def freeze_of(name: str, records: Iterable[Record], **more: Any) -> Freeze:
    """A freeze of the claims of records on their models, with their verdicts as the exploratory ones."""
    claims: dict[str, list[Record]] = {}
    models: dict[str, Record] = {}
    for record in records:
        claims.setdefault(record.claim.id, []).append(record)
        models.setdefault(record.model.name, record)
    made = {
        "name": name,
        "frozen": WHEN,
        "commit": "0adeb75" + 33 * "0",
        "commitment": Commitment(sha256=DIGEST, by="a test"),
        "versions": {"python": "3.12"},
        "models": tuple(map(_model, models.values())),
        "claims": tuple(map(_claim, claims.values())),
    }
    return Freeze.model_validate(made | more)


def _model(record: Record) -> FrozenModel:
    return FrozenModel(
        name=record.model.name,
        target=record.model.target,
        engine="transformers",
        weights=record.weights,
        dtype="float32",
    )


def _claim(records: Sequence[Record]) -> FrozenClaim:
    claim = records[0].claim
    return FrozenClaim(
        id=claim.id,
        statement=claim.statement,
        rule=claim.rule_text,
        rules=claim.rules_digest,
        matters=0.1,
        trials=400,
        controls=(),
        exclusions="none",
        parts={},
        runs=tuple(
            FrozenRun(
                model=record.model.name, power=0.95, spread_of=record.model.name, exploratory=record.verdict
            )
            for record in records
        ),
    )


def line_of(record: Record, **more: Any) -> Line:
    """A line with the numbers of a record; its place in the chain is set by `register`."""
    found = record.evidence
    made = {
        "number": 1, "before": "", "kind": "confirmation", "claim": record.claim.id, "model": record.model.name,
        "engine": "transformers", "seed": DIGEST, "n": found.n, "verdict": found.verdict, "reason": record.reason,
        "estimate": found.estimate, "interval": found.interval, "p_value": 1e-6, "time": WHEN,
        "commit": "0adeb75" + 33 * "0", "record": f"{record.model.name}/{record.claim.id}.json.gz", "digest": DIGEST,
    }  # fmt: skip
    return Line.model_validate(made | more)


def shrunk(record: Record, share: float = 0.8, **more: Any) -> Line:
    """A line whose estimate is nearer to the limit than the record's, with an interval half as wide."""
    limit, estimate, interval = record.claim.rule.limit, record.evidence.estimate, record.evidence.interval
    assert estimate is not None
    assert interval is not None
    now = limit + share * (estimate - limit)
    half = (interval[1] - interval[0]) / 4
    return line_of(record, **({"estimate": now, "interval": (now - half, now + half), "n": 400} | more))


def unsettled(record: Record, **more: Any) -> Line:
    """An inconclusive line: the limit is inside its interval."""
    limit = record.claim.rule.limit
    numbers = {"estimate": limit, "interval": (limit - 0.04, limit + 0.04), "n": 400, "p_value": 0.6}
    return line_of(record, **({"verdict": "inconclusive"} | numbers | more))


def unrun(record: Record, reason: str, **more: Any) -> Line:
    """A line without a verdict."""
    nothing = {"estimate": None, "interval": None, "n": None, "p_value": None}
    return line_of(record, verdict="not run", reason=reason, **(nothing | more))


def placebos(record: Record, verdicts: Sequence[str]) -> list[Line]:
    """Placebo lines of a claim with these verdicts."""
    return [
        line_of(record, kind="placebo", placebo=number, verdict=verdict)
        for number, verdict in enumerate(verdicts, 1)
    ]


def register(claims: Path, freeze: Freeze, lines: Iterable[Line]) -> Registration:
    """Write a freeze and its ledger into the folder of claims; each line gets its place in the chain."""
    folder = claims / REGISTERED
    folder.mkdir(parents=True, exist_ok=True)
    write_freeze(freeze, folder)
    registration = read_registration(folder, freeze.name)
    written: list[Line] = []
    for line in lines:
        number, before = following(written)
        written.append(line.model_copy(update={"number": number, "before": before}))
        append(registration, written[-1])
    return registration
