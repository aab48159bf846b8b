"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from rich.filesize import decimal

from vsg_core.errors import VsgError
from vsg_core.generator.engine.memory import available
from vsg_core.runs.child import Child
from vsg_core.runs.events import Ended, Event
from vsg_core.runs.executor import Place
from vsg_core.runs.shards import Shard

# What the libraries of numbers take for the number of their threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CARDS = "CUDA_VISIBLE_DEVICES"


class LocalExecutor:
    """Runs up to `number` shards at a time, each with its part of the cores, in a thread that reads its events."""

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self.memory = available()
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._children: dict[str, Child] = {}
        self._running: dict[str, Shard] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._alone = False

    def misfit(self, shard: Shard) -> str:
        if shard.memory <= self.memory:
            return ""
        return f"{shard.model} needs {decimal(shard.memory)} and {decimal(self.memory)} of memory are free"

    def free(self, shard: Shard, alone: bool = False) -> bool:
        if not self._running:
            return True
        taken = sum(each.memory for each in self._running.values())
        fits = taken + shard.memory <= self.memory
        return not alone and not self._alone and len(self._running) < self.number and fits

    def start(self, shard: Shard, alone: bool = False) -> None:
        self._running[shard.name] = shard
        self._alone = alone
        try:
            child = Child(
                shard, folder_of(self.place.folder, shard), self.place.directory, self._environment(alone)
            )
        except VsgError as error:
            self._queue.put(Ended(shard.name, None, str(error)))
            return
        self._children[shard.name] = child
        thread = threading.Thread(target=self._read, args=(child,), daemon=True)
        self._threads[shard.name] = thread
        thread.start()

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
                self._threads.pop(event.shard, None)
        return found

    def avoid(self, node: str) -> None:
        """There is no other machine."""

    def stop(self, shard: str) -> None:
        if shard in self._children:
            self._children[shard].kill()

    def close(self) -> None:
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.close()
        for thread in self._threads.values():
            thread.join(timeout=1)

    def _environment(self, alone: bool) -> dict[str, str]:
        """The variables that give a worker its part of the machine; those that the user set are kept."""
        cores = max(1, _cores() // (1 if alone else self.number))
        return {name: str(cores) for name in THREADS if name not in os.environ}


def folder_of(folder: Path, shard: Shard) -> Path:
    """The folder of a shard's worker."""
    return folder / shard.name


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
