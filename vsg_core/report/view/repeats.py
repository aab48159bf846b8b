"""Runs that repeat a cell's measurement, in words: what they found, and where they were made differently."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vsg_core.records.history import Repeats
from vsg_core.records.record import Record
from vsg_core.wording import measured_text

# The circumstances that may explain a different verdict; rule, seed, weights, form, engine and dtype agree.
CIRCUMSTANCES: dict[str, Callable[[Record], str | None]] = {
    "commit": lambda record: record.run.commit and record.run.commit[:7] + "+" * bool(record.run.dirty),
    "device": lambda record: record.run.device,
    "machine": lambda record: record.run.machine,
}


def differing_texts(repeats: Repeats) -> list[str]:
    """Return a line for each repetition with a different verdict; a `+` marks a commit with uncommitted changes."""
    return [_text(other, repeats.shown) for other in repeats.differing]


def run_text(record: Record) -> str:
    """The verdict and its measurement: "holds 62 % [50 %, 74 %] of 60"; a reason where there is no measurement."""
    found = record.evidence
    if found.estimate is None or found.interval is None or found.n is None:
        return f"{record.verdict} ({record.reason})"
    return f"{record.verdict} {measured_text(found.estimate, found.interval, found.n, record.unit)}"


def circumstances(record: Record, other: Record) -> dict[str, str]:
    """The circumstances of a run that are not those of another, by name; versions of libraries one by one."""
    named = {name: of(record) or "unknown" for name, of in CIRCUMSTANCES.items() if of(record) != of(other)}
    versions = other.run.versions
    newer = {name: found for name, found in record.run.versions.items() if versions.get(name) != found}
    return named | newer


def _text(record: Record, shown: Record) -> str:
    day = record.run.started.astimezone().date().isoformat()
    return ", ".join([f"{run_text(record)} on {day}", *_different(record, shown)])


def _different(record: Record, shown: Record) -> Iterator[str]:
    for name, found in circumstances(record, shown).items():
        yield f"{name} {found}"
