"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from rich.filesize import decimal

from vsg_core.errors import VsgError
from vsg_core.generator.engine.memory import available
from vsg_core.runs.cards import VISIBLE, cards_of
from vsg_core.runs.child import Child
from vsg_core.runs.events import Ended, Event
from vsg_core.runs.executor import Place
from vsg_core.runs.shards import Shard

# Where the libraries that compute look for the number of their threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class LocalExecutor:
    """Runs up to `number` shards at a time, each with its part of the cores, in a thread that reads its events."""

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self.memory = available()
        self.cards = cards_of(place.device)
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._children: dict[str, Child] = {}
        self._running: dict[str, Shard] = {}
        self._threads: list[threading.Thread] = []
        self._alone = False

    def misfit(self, shard: Shard) -> str:
        room, where = (self.cards.total, "its graphics cards") if self.cards.free else (self.memory, "memory")
        if shard.memory <= room:
            return ""
        return (
            f"{shard.model} takes {decimal(shard.memory)}, and this machine has {decimal(room)} of {where} free: "
            "take a smaller --dtype or another machine"
        )

    def free(self, shard: Shard, alone: bool = False) -> bool:
        if not self._running:
            return True
        if alone or self._alone or len(self._running) >= self.number:
            return False
        if self.cards.free:
            return bool(self.cards.fit(shard.memory))
        return sum(each.memory for each in self._running.values()) + shard.memory <= self.memory

    def start(self, shard: Shard, alone: bool = False) -> None:
        self._running[shard.name] = shard
        self._alone = alone
        try:
            folder = folder_of(self.place.folder, shard)
            child = Child(shard, folder, self.place.directory, self._environment(shard, alone))
        except VsgError as error:
            self._queue.put(Ended(shard.name, None, str(error)))
            return
        self._children[shard.name] = child
        self._threads.append(threading.Thread(target=self._read, args=(child,), daemon=True))
        self._threads[-1].start()

    def _read(self, child: Child) -> None:
        for event in child.events():
            self._queue.put(event)

    def events(self, seconds: float) -> list[Event]:
        found: list[Event] = []
        try:
            found.append(self._queue.get(timeout=seconds))
            while True:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        for event in found:
            if isinstance(event, Ended):
                self._running.pop(event.shard, None)
                self._children.pop(event.shard, None)
                self.cards.taken.pop(event.shard, None)
        return found

    def avoid(self, node: str) -> None:
        """Do nothing: there is no other machine."""

    def stop(self, shard: str) -> None:
        if shard in self._children:
            self._children[shard].kill()

    def close(self) -> None:
        for child in list(self._children.values()):
            child.kill()
        # Each thread waits for its child.
        for thread in self._threads:
            thread.join()

    def _environment(self, shard: Shard, alone: bool) -> dict[str, str]:
        """The variables that give a worker its part of the machine; threads that the user set are kept."""
        threads = str(max(1, cores() // (1 if alone else self.number)))
        variables = {name: threads for name in THREADS if name not in os.environ}
        if chosen := self.cards.fit(shard.memory):
            self.cards.taken[shard.name] = chosen
            variables[VISIBLE] = ",".join(chosen)
        return variables


def folder_of(folder: Path, shard: Shard) -> Path:
    """The folder of a shard's worker."""
    return folder / shard.name


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
