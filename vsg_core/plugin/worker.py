"""A worker of `pytest --on`: runs the claims of one shard, and writes records and events into a folder of its own.

Loaded by `-p`, with the task in the file of --vsg-task. The page and the accepted verdicts are left to the controller,
the process that started it. It ends at once when its standard input is closed, which is when the controller is gone.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from vsg_core.plugin.claim_run import ENDED
from vsg_core.plugin.places import project_folder
from vsg_core.plugin.selection import SELECTED
from vsg_core.records import microscope, provenance
from vsg_core.records.files import record_text
from vsg_core.runs.child import EVENTS, GAVE_UP, OTHER_CODE, WHY
from vsg_core.runs.events import Event, Hello, Reported, Started, Warned, Wrote, as_line
from vsg_core.runs.shards import Shard

# What pytest does over several runs, in one folder for all of them.
KEEP_BETWEEN_RUNS = ("lfplugin", "nfplugin", "stepwiseplugin")


@dataclass(frozen=True)
class Worker:
    """The process as a worker.

    Args:
        folder: for its events and records.
        shown: a copy of the standard error that pytest does not capture.
    """

    shard: Shard
    folder: Path
    shown: int

    @property
    def name(self) -> str:
        """The process, unique over machines."""
        return f"{platform.node()}/{os.getpid()}"

    def tell(self, event: Event) -> None:
        """Append an event to the file of events; a worker that cannot is of no further use."""
        try:
            with (self.folder / EVENTS).open("ab") as file:
                file.write(as_line(event).encode() + b"\n")
        except OSError as error:
            self.give_up(f"cannot write {self.folder / EVENTS}: {error.strerror or error}")

    def give_up(self, why: str) -> NoReturn:
        """End at once, with the reason on standard error."""
        with suppress(OSError):
            os.write(self.shown, f"\n{WHY}{why}\n".encode())
        os._exit(GAVE_UP)


WORKER = pytest.StashKey[Worker]()
# The copies of standard input and error, made before pytest captures them.
STREAMS = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    parser.addoption("--vsg-task", required=True, help="the file of the shard that this worker runs")
    # Now, because pytest captures both when it loads conftest.py.
    _end_with_input(os.dup(0))
    pluginmanager.getplugin("pytestconfig").stash[STREAMS] = os.dup(2)


def _end_with_input(stream: int) -> None:
    """End this process and those it started as soon as the stream is closed, whatever it does at that time."""

    def wait() -> None:
        while os.read(stream, 1):
            pass
        if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


# Before every plugin that looks at options.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    path = Path(config.option.vsg_task)
    shard = Shard.from_text(path.read_text(encoding="utf-8"))
    config.stash[WORKER] = Worker(shard, path.parent, config.stash[STREAMS])
    vars(config.option).update(shard.options)
    config.option.vsg_models = [shard.target]
    config.option.vsg_worker_reports = str(path.parent)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    shard = config.stash[WORKER].shard
    # The name was chosen from the records of the whole run.
    config.stash[SELECTED] = [
        replace(model, name=shard.model, named=shard.named) for model in config.stash[SELECTED]
    ]
    for name in KEEP_BETWEEN_RUNS:
        if config.pluginmanager.has_plugin(name):
            config.pluginmanager.unregister(name=name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the claims of the shard, in its order."""
    collected = {item.nodeid: item for item in items}
    items[:] = [collected[name] for name in config.stash[WORKER].shard.claims if name in collected]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    worker = session.config.stash[WORKER]
    code = provenance.code_digest(project_folder(session.config))
    worker.tell(Hello(worker.shard.name, worker.name, code))
    if code != worker.shard.code:
        # The controller has its reason from the hello.
        worker.give_up(OTHER_CODE)


class Reporter:
    """Turns what pytest reports into events.

    Attributes:
        item: the claim that runs.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.worker = config.stash[WORKER]
        self.shard = self.worker.shard.name
        self.item: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.item = item

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.worker.tell(Started(self.shard, self.worker.name, nodeid))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        session = self.item.session if self.item else None
        if session and session.shouldfail:
            # It could not write the record: the claim may run elsewhere.
            self.worker.give_up(str(session.shouldfail).removeprefix("stopping: "))
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        event = Reported(self.shard, self.worker.name, report.nodeid, data, self._record())
        self.worker.tell(event)

    def _record(self) -> str | None:
        run = self.item.stash.get(ENDED, None) if self.item else None
        return record_text(run.record) + "\n" if run and run.record else None

    def pytest_warning_recorded(
        self, warning_message: Any, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        if when != "runtest":
            # The controller has the same warnings of its own start.
            return
        values = {
            "category": warning_message.category.__name__,
            "module": warning_message.category.__module__,
            "text": str(warning_message.message),
            "filename": warning_message.filename,
            "lineno": warning_message.lineno,
            "nodeid": nodeid,
            "location": location,
        }
        self.worker.tell(Warned(self.shard, self.worker.name, values))

    def pytest_sessionfinish(self) -> None:
        for path in sorted((self.worker.folder / microscope.FOLDER).glob("*.json")):
            name, text = f"{microscope.FOLDER}/{path.name}", path.read_text(encoding="utf-8")
            if text != self.worker.shard.files.get(name):
                self.worker.tell(Wrote(self.shard, self.worker.name, name, text))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Reporter(session.config), "vsg-worker")
