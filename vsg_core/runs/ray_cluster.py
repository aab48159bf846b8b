"""Workers that are tasks of a Ray cluster, or of a private Ray on this machine.

Which node a shard runs on is decided in this process, and Ray, which a process of its own talks to, starts it there.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.generator.engine.memory import available
from vsg_core.runs.cards import cards_of
from vsg_core.runs.child import GAVE_UP, OTHER_CODE, started
from vsg_core.runs.events import Ended, Event, Hello, Reported, Started, Warned, Wrote, from_line
from vsg_core.runs.executor import Place
from vsg_core.runs.local import THREADS, cores
from vsg_core.runs.nodes import Node, Nodes, Slot
from vsg_core.runs.ray_node import Order
from vsg_core.runs.shards import Shard

# Seconds in which a private Ray starts, or a cluster answers.
PATIENCE = 120.0
# Seconds in which a port answers.
ANSWER = 10.0
# Seconds in which Ray ends its tasks before it is killed, with everything that it started.
GRACE = 20.0
OUT_OF_MEMORY = -9
# How many nodes may be unable to start a shard before the shard is to blame.
NODES = 3
# How a line of Ray's log begins: time, process and place.
LOGGED = re.compile(r"^\[[^]]*\] (\S+:\d+: +)?")
# What Ray calls the end of a task.
LOST_NODE = ("NodeDiedError", "TaskUnschedulableError", "ObjectLostError", "ObjectReconstructionFailedError")


@dataclass
class Task:
    """One start of a shard.

    Args:
        text: the beginning of a line that is not complete.
        greeted: its worker has collected its claims.
        over: its end has been handed over.
    """

    shard: Shard
    alone: bool
    slot: Slot
    node: Node
    text: str = ""
    greeted: bool = False
    over: bool = False


@dataclass
class Refused:
    """A shard that a node could not start, waiting for another node.

    Args:
        nodes: the ids of those that could not, with the reasons in one line.
    """

    shard: Shard
    alone: bool
    nodes: dict[str, str] = field(default_factory=dict)


class RayExecutor:
    """Runs each shard as a task of Ray.

    Args:
        address: of a running cluster, or `auto`; empty for a private Ray on this machine.

    Raises:
        VsgError: the cluster does not answer.
    """

    def __init__(self, address: str, place: Place) -> None:
        self.address = address
        self.place = place
        self.nodes = Nodes(place.device)
        self.tasks: dict[int, Task] = {}
        self.refused: dict[str, Refused] = {}
        self.again: list[Refused] = []
        self._lines: list[Event] = []
        self._lost: set[str] = set()
        self._dead = ""
        self._folder = ""
        self._count = 0
        self._driver: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        if address:
            try:
                self._connect()
            except BaseException:
                self.close()
                raise
        else:
            cards = tuple(cards_of(place.device).free.values())
            self.nodes.update([Node("", "this machine", cores(), available(), cards)])
        self.number = self.nodes.number

    def misfit(self, shard: Shard) -> str:
        return self._dead or self.nodes.misfit(shard.model, shard.memory)

    def free(self, shard: Shard, alone: bool = False) -> bool:
        return self.nodes.place(shard.memory, alone) is not None

    def start(self, shard: Shard, alone: bool = False) -> None:
        self.refused.pop(shard.name, None)
        try:
            if self._driver is None:
                self._connect()
        except VsgError as error:
            self._dead = self._dead or str(error)
        self._place(Refused(shard, alone))

    def _place(self, wanted: Refused) -> None:
        """Start a shard on the best node that has not refused it; wait if there is none now."""
        shard = wanted.shard
        if self._dead:
            self._lines.append(Ended(shard.name, None, self._dead))
            return
        slot = self.nodes.place(shard.memory, wanted.alone, wanted.nodes)
        if slot is None:
            self.again.append(wanted)
            return
        if wanted.nodes:
            self.refused[shard.name] = wanted
        self._count += 1
        self.tasks[self._count] = Task(shard, wanted.alone, slot, self.nodes.known[slot.node])
        self.nodes.taken[self._count] = slot
        resources = {"num_cpus": slot.cpus, "num_gpus": slot.cards, "memory": slot.memory}
        wishes = {name: value for name, value in resources.items() if value}
        order = Order(shard.as_text(), str(self.place.directory), self._weights(shard), _threads(slot.cpus))
        self._send({"start": self._count, "order": order.as_values(), "node": slot.node, "resources": wishes})

    def _weights(self, shard: Shard) -> str:
        """The path of the model, if it is one."""
        return shard.target if (self.place.directory / shard.target).exists() else ""

    def events(self, seconds: float) -> list[Event]:
        found = self._place_again()
        wait = 0 if found else seconds
        try:
            found += self._take(self._messages.get(timeout=wait) if wait else self._messages.get_nowait())
            while True:
                found += self._take(self._messages.get_nowait())
        except queue.Empty:
            pass
        lines, self._lines = self._lines, []
        return lines + found

    def _place_again(self) -> list[Event]:
        """Start the shards that a node has refused, and end those that no other node fits."""
        waiting, self.again = self.again, []
        ended: list[Event] = []
        for wanted in waiting:
            if self._dead or not self.nodes.fitting(wanted.shard.memory, wanted.nodes):
                reasons = "; ".join(wanted.nodes.values())
                why = self._dead or reasons or self.nodes.misfit(wanted.shard.model, wanted.shard.memory)
                ended.append(Ended(wanted.shard.name, None, why))
            else:
                self._place(wanted)
        return ended

    def _take(self, message: dict[str, Any]) -> list[Event]:
        if "nodes" in message:
            alive = [Node(**{**values, "cards": tuple(values["cards"])}) for values in message["nodes"]]
            self.nodes.update(node for node in alive if node.id not in self._lost)
            return []
        if "fault" in message:
            return self._all_lost(f"--on ray: {message['fault']}")
        if "gone" in message:
            where = f"the Ray cluster at {self.address}" if self.address else "the private Ray"
            why = message["gone"] or self._last_words()
            return self._all_lost(f"{where} is gone ({why}): run again with --resume")
        task = self.tasks.get(message.get("task", 0))
        if task is None:
            return []
        if "text" in message:
            *lines, task.text = (task.text + message["text"]).split("\n")
            return [event for line in lines for event in self._heard(message["task"], task, from_line(line))]
        found = [] if task.over else self._ended(task, self._end(task, message))
        self._release(message["task"])
        return found

    def _heard(self, number: int, task: Task, event: Event) -> list[Event]:
        if isinstance(event, Ended):
            task.over = True
            self._release(number)
            return self._ended(task, event)
        task.greeted = task.greeted or isinstance(event, Hello)
        return [_from_node(event, task.node.name)]

    def _release(self, number: int) -> None:
        self.nodes.taken.pop(number, None)
        self.tasks.pop(number, None)

    def _ended(self, task: Task, event: Ended) -> list[Event]:
        """The end of a shard's worker; one that its node could not start goes to another node."""
        name = task.node.name
        if event.code == GAVE_UP:
            self._avoid(task.node, event.reason)
        begun = task.greeted or (event.code is not None and event.code <= 0)
        if begun or task.slot.node in self._lost or self._dead:
            return [event]
        before = self.refused.pop(task.shard.name, None) or Refused(task.shard, task.alone)
        nodes = before.nodes | {
            task.slot.node: f"node {name}: {event.reason or f'its worker ended (exit code {event.code})'}"
        }
        if len(nodes) >= NODES or not self.nodes.fitting(task.shard.memory, nodes):
            return [replace(event, reason="; ".join(nodes.values()))]
        self.again.append(Refused(task.shard, task.alone, nodes))
        return [_warning(task.shard.name, f"{nodes[task.slot.node]}: {task.shard.name} goes to another node")]

    def _end(self, task: Task, message: dict[str, Any]) -> Ended:
        """The end of a task that did not report the end of its worker."""
        kind, name, node = message["end"], task.shard.name, task.node.name
        if kind in LOST_NODE:
            self._lost.add(task.slot.node)
            self.nodes.update(each for each in self.nodes.known.values() if each.id not in self._lost)
            return Ended(name, None, f"node {node} was lost")
        if kind == "OutOfMemoryError":
            return Ended(name, OUT_OF_MEMORY, f"node {node} ran out of memory")
        if kind == "WorkerCrashedError":
            # Not a fault of the node: the shard may run there again.
            task.greeted = True
            return Ended(name, None, f"Ray's process on node {node} died")
        if kind == "TaskCancelledError":
            task.greeted = True
            return Ended(name, None, "stopped")
        return Ended(name, None, f"the task failed: {message['why'] or kind}")

    def avoid(self, node: str) -> None:
        for each in self.nodes.known.values():
            if each.name == node:
                self._avoid(each, OTHER_CODE)

    def _avoid(self, node: Node, why: str) -> None:
        """Start nothing on a node from now on, and say so, if there are others."""
        if node.id in self.nodes.avoided or len(self.nodes.usable) < 2:
            return
        self.nodes.avoided[node.id] = why
        shard = next((task.shard.name for task in self.tasks.values()), "")
        if shard:
            self._lines.append(_warning(shard, f"node {node.name} gets no further shards: {why}"))

    def stop(self, shard: str) -> None:
        for number, task in self.tasks.items():
            if task.shard.name == shard:
                self._send({"stop": number})

    def close(self) -> None:
        if self._driver and self._driver.stdin:
            with suppress(OSError, ValueError):
                self._driver.stdin.close()
            try:
                self._driver.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                self._driver.kill()
                self._driver.wait()
        # It is there even if the driver could not be started.
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> None:
        """Start the process that talks to Ray, and wait for what it finds."""
        _check_answers(self.address)
        settings: dict[str, Any] = {"address": self.address, "directory": str(self.place.directory)}
        own = self.nodes.known.get("")
        if own:
            # Whichever of the two processes lives longer removes it.
            self._folder = tempfile.mkdtemp(prefix="ray-")
            settings |= {
                "cpus": own.cpus,
                "memory": own.memory,
                "cards": len(own.cards),
                "folder": self._folder,
            }
        try:
            self._driver = started([sys.executable, "-m", "vsg_core.runs.ray_driver"], self._log)
        except OSError as error:
            raise VsgError(f"--on ray: cannot start Ray: {error.strerror or error}") from error
        threading.Thread(target=self._read, daemon=True).start()
        self._send(settings)
        self._wait_for_nodes()

    def _wait_for_nodes(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                break
            self._take(message)
            if self._dead:
                raise VsgError(self._dead)
            if ("connected" in message and not self.address) or message.get("asked") == 0:
                return
        where = f"the cluster at {self.address}" if self.address else "a private Ray"
        raise VsgError(f"--on ray: no answer from {where} within {PATIENCE:g} s")

    def _send(self, message: dict[str, Any]) -> None:
        if self._driver and self._driver.stdin and not self._dead:
            # A driver that is gone is met when its messages end.
            with suppress(OSError, ValueError):
                self._driver.stdin.write(json.dumps(message).encode() + b"\n")
                self._driver.stdin.flush()

    def _read(self) -> None:
        """Queue the driver's messages, and its end."""
        stream = self._driver.stdout if self._driver else None
        for line in stream or ():
            with suppress(OSError, ValueError):
                self._messages.put(json.loads(line))
        self._messages.put({"gone": ""})

    def _all_lost(self, why: str) -> list[Event]:
        """Ray is gone, and with it every task."""
        self._dead = self._dead or why
        lost, self.tasks = self.tasks, {}
        self.nodes.taken.clear()
        return [Ended(task.shard.name, None, self._dead) for task in lost.values() if not task.over]

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")
        return LOGGED.sub("", last).partition(". ")[0]


def _check_answers(address: str) -> None:
    """Refuse an address at which nothing listens, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, ValueError, OverflowError) as error:
        raise VsgError(f"--on ray:{address}: no Ray cluster answers: {error}") from error


def _threads(cpus: int) -> dict[str, str]:
    """The variables that give a worker its cores; those that the user set are kept."""
    return {name: os.environ.get(name, str(cpus)) for name in THREADS}


def _from_node(event: Event, node: str) -> Event:
    """The event with the cluster's name of the node, for several nodes may call themselves the same."""
    if isinstance(event, Hello | Started | Reported | Warned | Wrote):
        return replace(event, worker=f"{node}/{event.worker.rpartition('/')[2]}")
    return event


def _warning(shard: str, text: str) -> Warned:
    values = {"category": "UserWarning", "module": "builtins", "text": text, "filename": "--on", "lineno": 0}
    return Warned(shard, "", values | {"nodeid": "", "location": None})
