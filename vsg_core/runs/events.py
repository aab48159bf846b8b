"""The events of a worker process: one JSON object per line, written as they happen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Hello:
    """A worker has collected its claims and is about to run them.

    Args:
        worker: the process, unique over machines: NODE/PROCESS.
        code: the digest of the code that it runs.
    """

    shard: str
    worker: str
    code: str

    @property
    def node(self) -> str:
        """The machine's name."""
        return self.worker.rpartition("/")[0]


@dataclass(frozen=True)
class Started:
    """A claim has begun."""

    shard: str
    worker: str
    claim: str


@dataclass(frozen=True)
class Reported:
    """One of pytest's reports (setup, call or teardown) of a claim.

    Args:
        claim: its node id.
        report: as `pytest_report_to_serializable` returns it.
        record: the text of the claim's record, once there is one.
    """

    shard: str
    worker: str
    claim: str
    report: dict[str, Any]
    record: str | None = None


@dataclass(frozen=True)
class Warned:
    """A warning that pytest caught.

    Args:
        values: its category, text and place.
    """

    shard: str
    worker: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Wrote:
    """A worker has written a file of the report besides its records.

    Args:
        name: its path below the folder of reports.
    """

    shard: str
    worker: str
    name: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A worker process is gone.

    Args:
        code: its exit code, negative for a signal; None if it never started, or was lost with its machine.
        reason: why, in one line, where the code does not say it.
    """

    shard: str
    code: int | None
    reason: str = ""


Event = Hello | Started | Reported | Warned | Wrote | Ended
KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Hello, Started, Reported, Warned, Wrote, Ended)
}


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
