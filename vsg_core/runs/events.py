"""The events of a worker process: one JSON object per line, written as they happen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Hello:
    """A worker has collected its claims and is about to run them.

    Args:
        node: the machine's name.
        process: the worker's process id.
        code: the digest of the code that it runs.
    """

    shard: str
    node: str
    process: int
    code: str


@dataclass(frozen=True)
class Started:
    """A claim has begun."""

    shard: str
    claim: str


@dataclass(frozen=True)
class Reported:
    """One of pytest's reports (setup, call or teardown) of a claim.

    Args:
        claim: its node id.
        report: as `pytest_report_to_serializable` returns it.
        record: the text of the claim's record, once it is written.
    """

    shard: str
    claim: str
    report: dict[str, Any]
    record: str | None = None


@dataclass(frozen=True)
class Ended:
    """A worker process is gone.

    Args:
        code: its exit code, negative for a signal; None if it never started.
        reason: why, in one line, where the code does not say it.
    """

    shard: str
    code: int | None
    reason: str = ""


Event = Hello | Started | Reported | Ended
KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in (Hello, Started, Reported, Ended)}


def as_line(event: Event) -> str:
    """An event as one line of JSON, without the line's end."""
    return json.dumps({"event": type(event).__name__.lower(), **asdict(event)})


def from_line(line: str) -> Event:
    """The event of a line.

    Raises:
        ValueError, KeyError, TypeError: the line is not an event, say because only part of it was written.
    """
    values = json.loads(line)
    return KINDS[values.pop("event")](**values)
