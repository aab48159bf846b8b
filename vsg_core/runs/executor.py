"""The executors of shards: processes of this machine, or a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vsg_core.runs.events import Event
from vsg_core.runs.shards import Shard


class Executor(Protocol):
    """Runs each shard as a worker process somewhere, and hands over its events.

    Attributes:
        number: how many shards it can run at a time.
    """

    number: int

    def misfit(self, shard: Shard) -> str:
        """Why the shard fits nowhere, with the numbers; empty if it does."""
        ...

    def free(self, shard: Shard, alone: bool = False) -> bool:
        """Return whether this shard can start now."""
        ...

    def start(self, shard: Shard, alone: bool = False) -> None:
        """Start a shard; `alone` gives it all memory of a machine, after one that ran out of memory."""
        ...

    def events(self, seconds: float) -> list[Event]:
        """The events since the last call; waits up to `seconds` for the first."""
        ...

    def avoid(self, node: str) -> None:
        """Start nothing on this machine from now on, if there are others."""
        ...

    def stop(self, shard: str) -> None:
        """Kill a shard's worker; its Ended comes as an event."""
        ...

    def close(self) -> None:
        """Kill every worker and leave no child behind."""
        ...


@dataclass(frozen=True)
class Place:
    """The folders of the controller, for an executor that starts workers.

    Args:
        directory: the current folder of the run; arguments of shards are relative to it.
        folder: for the folders of shards, below the folder of reports.
        device: as given to --device.
    """

    directory: Path
    folder: Path
    device: str = "auto"
