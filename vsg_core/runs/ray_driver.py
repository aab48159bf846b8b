"""The process that talks to Ray: `python -m vsg_core.runs.ray_driver`, started by the executor.

Ray takes over the process that it is loaded in: it replaces signal handlers, prints, and ends the process when the
cluster is gone. A process of its own keeps that away from pytest. Both directions are lines of JSON: commands on
standard input, messages on standard output. When the input ends, the tasks and a private Ray end too.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

# Bytes for Ray's store of objects, which is not used: about the smallest that Ray accepts.
STORE = 80_000_000
# Seconds between two looks at commands, and at the nodes.
PAUSE, LOOK = 0.05, 1.0
# Seconds in which a node answers.
PATIENCE = 60.0
# Ray's sockets are in its folder, and their paths may have 107 characters, of which it takes about 70.
LONGEST = 30


def task_on_node(order: dict[str, Any] | None, directory: str) -> Iterator[Any]:
    """Run on a node, where vsg_core may be missing: yield pieces of events, or what `look` returns."""
    import os
    import platform
    import sys

    # The project as the worker will import it: its own folder first.
    if directory not in sys.path and os.path.isdir(os.path.join(directory, "vsg_core")):  # noqa: PTH112, PTH118
        sys.path.insert(0, directory)
    try:
        from vsg_core.runs import ray_node
    except ImportError as error:
        if order is None:
            yield {"name": platform.node(), "cards": [], "fault": f"cannot import vsg_core: {error}"}
            return
        raise
    if order is not None:
        yield from ray_node.pieces(order)
    elif ray_node.project_folder(directory) is None:
        yield {"name": platform.node(), "cards": [], "fault": f"there is no folder {directory}"}
    else:
        yield ray_node.look()


class Driver:
    """Tasks of one run on one cluster.

    Args:
        settings: `address` (empty for a private Ray), `directory`, and what a private Ray gets: `cpus`, `memory`,
            `cards`, and a `folder`, which is removed at the end.
    """

    def __init__(self, settings: dict[str, Any], send: Any) -> None:
        self.settings = settings
        self.send = send
        self.tasks: dict[Any, int] = {}
        self.looks: dict[Any, str] = {}
        self.deadlines: dict[str, float] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.next_look = 0.0
        self.folder = ""

    def connect(self) -> None:
        """Start a private Ray, or connect to a running one."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self.settings["address"]:
            ray.init(address=self.settings["address"], **common)
        else:
            self.folder = self.settings["folder"]
            own = {"_temp_dir": self.folder} if len(self.folder) <= LONGEST else {}
            ray.init(
                address="local",
                num_cpus=self.settings["cpus"],
                num_gpus=self.settings["cards"],
                _memory=self.settings["memory"],
                object_store_memory=STORE,
                include_dashboard=False,
                **own,
                **common,
            )
        self.ray = ray
        remote = ray.remote(num_returns="streaming", max_retries=0)
        self.remote = remote(task_on_node)

    def close(self) -> None:
        """End every task, and a private Ray."""
        for generator in self.tasks:
            with suppress(Exception):
                self.ray.cancel(generator, force=True)
        with suppress(Exception):
            self.ray.shutdown()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def obey(self, command: dict[str, Any]) -> None:
        """Start or stop a task."""
        if "start" in command:
            generator = self._submit(command["order"], command["node"], **command["resources"])
            self.tasks[generator] = command["start"]
        for generator, number in self.tasks.items():
            if number == command.get("stop"):
                # Without force it is interrupted as by Ctrl-C, which processes started in the background ignore.
                with suppress(Exception):
                    self.ray.cancel(generator, force=True)

    def _submit(self, order: dict[str, Any] | None, node: str, **resources: Any) -> Any:
        if node:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            resources["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        return self.remote.options(**resources).remote(order, self.settings["directory"])

    def look_at_nodes(self) -> None:
        """Ask new nodes for what they have, forget the ones that are gone, and send what has changed."""
        if not self.settings["address"] or time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK
        alive = {node["NodeID"]: node["Resources"] for node in self.ray.nodes() if node["Alive"]}
        changed = bool(self.nodes.keys() - alive.keys())
        self.nodes = {name: node for name, node in self.nodes.items() if name in alive}
        for name, has in alive.items():
            if name not in self.nodes and not has.get("CPU"):
                # A head that runs no tasks, say.
                self.nodes[name] = _node(name, has, {"name": name[:6], "cards": []})
                changed = True
            elif name not in self.nodes and name not in self.deadlines:
                self.looks[self._submit(None, name, num_cpus=0)] = name
                self.deadlines[name] = time.monotonic() + PATIENCE
            elif name not in self.nodes and time.monotonic() > self.deadlines[name]:
                fault = {"name": name[:6], "cards": [], "fault": f"no answer within {PATIENCE:g} s"}
                self.nodes[name] = _node(name, has, fault)
                changed = True
        if changed:
            self._send_nodes()

    def _send_nodes(self) -> None:
        self.send({"nodes": list(self.nodes.values()), "asked": len(self.looks)})

    def listen(self) -> None:
        """Send on what tasks have yielded."""
        waiting = [*self.tasks, *self.looks]
        if not waiting:
            time.sleep(PAUSE)
            return
        ready, _ = self.ray.wait(waiting, num_returns=1, timeout=PAUSE)
        while ready:
            self._take(ready[0])
            waiting = [*self.tasks, *self.looks]
            ready = self.ray.wait(waiting, num_returns=1, timeout=0)[0] if waiting else []

    def _take(self, generator: Any) -> None:
        kind, why, value = "", "", None
        try:
            value = self.ray.get(next(generator))
        except StopIteration:
            pass
        except Exception as error:
            kind, why = type(error).__name__, _one_line(error)
        if generator in self.looks:
            self._looked(self.looks.pop(generator), value or {"name": "", "cards": [], "fault": why or kind})
        elif value is not None:
            self.send({"task": self.tasks[generator], "text": value})
        else:
            self.send({"task": self.tasks.pop(generator), "end": kind, "why": why})

    def _looked(self, name: str, found: dict[str, Any]) -> None:
        has: dict[str, float] = next(
            (node["Resources"] for node in self.ray.nodes() if node["NodeID"] == name), {}
        )
        self.nodes[name] = _node(name, has, found | {"name": found["name"] or name[:6]})
        self._send_nodes()


def _node(name: str, has: dict[str, float], found: dict[str, Any]) -> dict[str, Any]:
    """A node as Ray counts it and as it described itself."""
    cards = int(has.get("GPU", 0))
    sizes = (sorted(found["cards"]) + [0] * cards)[:cards] if found["cards"] else [0] * cards
    return {
        "id": name,
        "name": found["name"],
        "cpus": int(has.get("CPU", 0)),
        "memory": int(has.get("memory", 0)),
        "cards": sizes,
        "fault": found.get("fault", ""),
    }


def _one_line(error: BaseException) -> str:
    """The message of an error in one line; that of a task begins with a traceback and ends with the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "Traceback" in str(error) or "ray::" in lines[0] else lines[0]


def main() -> None:
    """Obey commands until the input ends."""
    # Ray and its libraries print; the messages have a file of their own.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        messages.write(json.dumps(message) + "\n")
        messages.flush()

    driver = Driver(json.loads(sys.stdin.readline()), send)
    commands: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(commands,), daemon=True).start()
    try:
        driver.connect()
    except Exception as error:
        send({"fault": _one_line(error)})
        return
    # Ray's own handler would end the process without the tasks.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        send({"connected": True})
        _serve(driver, commands)
    except BrokenPipeError:
        pass
    except Exception as error:
        # The cluster does not answer any more.
        with suppress(BrokenPipeError):
            send({"gone": _one_line(error)})
    driver.close()


def _serve(driver: Driver, commands: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    while True:
        while not commands.empty():
            command = commands.get()
            if command is None:
                return
            driver.obey(command)
        driver.look_at_nodes()
        driver.listen()


def _read(commands: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        commands.put(json.loads(line))
    commands.put(None)


if __name__ == "__main__":
    main()
