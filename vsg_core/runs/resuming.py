"""The records that a run keeps, and why the others are stale; records that a killed run left are adopted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from vsg_core.errors import VsgError
from vsg_core.records.files import (
    FOLDER,
    read_record,
    record_at,
    record_member,
    remove_leftovers,
    write_record,
)
from vsg_core.records.record import Key, Record
from vsg_core.runs.keys import reasons
from vsg_core.runs.shards import SHARDS

NO_RECORD = "no record"
# Of a record without a finding.
NOT_RUN, BROKEN = "not run before", "broken"
UNKEYED = "its sources cannot be read"


def why_run(record: Record | None, key: Key | None) -> list[str]:
    """Why a claim is to be run; empty where its record is kept.

    Only findings are kept: a verdict, or that the claim does not apply to the model.
    """
    if record is None:
        return [NO_RECORD]
    if not record.is_finding:
        return [BROKEN if record.not_run is None or record.outcome == "broken" else NOT_RUN]
    return [UNKEYED] if key is None else reasons(record.key, key)


def record_or_reasons(reports: Path, member: str, key: Key | None) -> tuple[Record | None, list[str]]:
    """The record that a run keeps, or why its claim is to be run."""
    try:
        record = record_at(reports, member)
    except VsgError:
        return None, ["its record is damaged"]
    why = why_run(record, key)
    return (None, why) if why else (record, [])


def summary(kept: int, stale: Iterable[Iterable[str]]) -> str:
    """The plan in one line: "71 kept, 3 to run: fixture forks changed (2), no record (1)"."""
    stale = [list(each) for each in stale]
    counts = Counter(reason for each in stale for reason in each)
    listed = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    return f"{kept} kept, {len(stale)} to run" + (f": {listed}" if listed else "")


def adopt(reports: Path, keys: Mapping[tuple[str, str], Key]) -> int:
    """Move the records that killed workers left into reports/records, and return how many.

    Taken are findings under a present key, where the place is empty or its record stale.

    Args:
        keys: the present keys by (model, claim).

    Raises:
        VsgError: a record cannot be written.
    """
    moved = 0
    for path in sorted((reports / SHARDS).glob(f"*/{FOLDER}/*/*.json")):
        with suppress(VsgError):
            record = read_record(path)
            key = keys.get((record.model.name, record.claim.id))
            if key is None or why_run(record, key):
                continue
            kept, _ = record_or_reasons(reports, record_member(record), key)
            if kept is None:
                write_record(record, reports / FOLDER)
                moved += 1
            if kept is None or kept.evidence_bytes == record.evidence_bytes:
                path.unlink(missing_ok=True)
    return moved


def clean(reports: Path, recorded: Iterable[Path]) -> None:
    """Remove the temporary files that a killed run left where runs write."""
    below = [path for path in reports.glob("*") if path.is_dir()] if reports.is_dir() else []
    models = [path for path in (reports / FOLDER).glob("*") if path.is_dir()]
    workers = list((reports / SHARDS).glob(f"*/{FOLDER}/*"))
    remove_leftovers([reports, *below, *models, *workers, *recorded])
