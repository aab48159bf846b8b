"""One shard as a child process: `python -m pytest` in worker mode, and its events while it runs.

The child ends when its standard input is closed, so it never outlives the process that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from vsg_core.errors import VsgError
from vsg_core.runs.events import Ended, Event, from_line
from vsg_core.runs.shards import Shard

PLUGIN = "vsg_core.plugin.worker"
TASK, EVENTS, LOG = "task.json", "events.jsonl", "worker.log"
# What a worker exits with when it is its machine that cannot run claims.
GAVE_UP = 74
# Why a worker gives up, and its node gets no further shards.
OTHER_CODE = "it runs other code"
# Seconds between two looks at the file of events.
PAUSE = 0.05
# Lines of a worker's output that are kept in memory.
KEPT = 50
# Begins the line of a worker's output that says why it ends.
WHY = "worker: "
# How the line of its output begins that explains an exit code: pytest's own for wrong use and for its errors.
SIGNS = {GAVE_UP: WHY, 4: "ERROR: ", 3: "INTERNALERROR> "}
PACKAGE = Path(__file__).parents[1]


class Child:
    """A running worker.

    Args:
        shard: what it runs.
        folder: its own, for its task, events and records; made if it is not there.
        directory: its current folder.
        environment: added to that of this process.

    Raises:
        VsgError: the folder cannot be written, or the process cannot be started.
    """

    def __init__(self, shard: Shard, folder: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self.shard = shard
        self.folder = folder
        self._output: deque[str] = deque(maxlen=KEPT)
        # The options of pytest come with the task.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        if "site-packages" not in PACKAGE.parts:
            # pytest loads the worker's plugin before it reads where pytest.ini says that modules are.
            paths = [str(PACKAGE.parent), inherited.get("PYTHONPATH", "")]
            inherited["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / TASK).write_text(shard.as_text(), encoding="utf-8")
            (folder / EVENTS).write_bytes(b"")
            for name, text in shard.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
            self.process = started(
                command(shard, folder), subprocess.STDOUT, cwd=directory, env={**inherited, **environment}
            )
        except OSError as error:
            raise VsgError(f"cannot start a worker in {folder}: {error.strerror or error}") from error
        self._reader = threading.Thread(target=self._keep_output, daemon=True)
        self._reader.start()

    def events(self) -> Iterator[Event]:
        """The worker's events as they are written; the last is its Ended."""
        with (self.folder / EVENTS).open("rb") as file:
            while True:
                # Before the last lines are read, not after.
                gone = self.process.poll() is not None
                yield from _complete_lines(file)
                if gone:
                    break
                time.sleep(PAUSE)
        self.close()
        yield Ended(self.shard.name, self.process.returncode, self._reason())

    def kill(self) -> None:
        """Kill the worker and every process that it started."""
        # The group still exists while a process of it does.
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def close(self) -> None:
        """Kill the worker, if it runs, and wait for it."""
        self.kill()
        self.process.wait()
        self._reader.join(timeout=1)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()

    def _keep_output(self) -> None:
        """Copy the worker's output to its log; a full disk does not stop the worker from writing."""
        stream = self.process.stdout
        log: IO[str] | None = None
        with suppress(OSError):
            log = (self.folder / LOG).open("w", encoding="utf-8")
        for raw in stream or ():
            line = raw.decode("utf-8", errors="replace")
            self._output.append(line.rstrip())
            with suppress(OSError, ValueError):
                if log:
                    log.write(line)
                    log.flush()
        with suppress(OSError):
            if log:
                log.close()

    def _reason(self) -> str:
        """Why the worker ended, as its output says it; empty where its exit code is all there is."""
        sign = SIGNS.get(self.process.returncode)
        lines = [line for line in self._output if sign and line.startswith(sign)]
        return lines[-1].removeprefix(sign or "").strip() if lines else ""


def started(command: list[str], errors: Any, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that ends when the pipe to its standard input is closed; its standard output is a pipe too.

    Args:
        errors: where its standard error goes, as for Popen.
        options: more of Popen's.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        # Ctrl-C at the terminal is for the controller, which ends what it has started.
        start_new_session=True,
        **options,
    )


def command(shard: Shard, folder: Path) -> list[str]:
    """The command line of a shard's worker, whose task is in the folder."""
    task = f"--vsg-task={folder / TASK}"
    return [sys.executable, "-m", "pytest", "-p", PLUGIN, task, *shard.arguments]


def _complete_lines(file: IO[bytes]) -> Iterator[Event]:
    """The events of the lines that are whole; the file is left at the first that is not."""
    while True:
        place = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(place)
            return
        with suppress(ValueError, KeyError, TypeError):
            yield from_line(line.decode("utf-8"))
