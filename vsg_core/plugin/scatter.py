"""`pytest --on WHERE`: claims run in worker processes, and this process replays what they report.

What the hooks of pytest are given is what they are given in one process, so every plugin, and every option about
failures and reports, does as it does there.
"""

from __future__ import annotations

import importlib
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock, Timeout

from vsg_core.errors import VsgError, WorkerLost, WrongUse
from vsg_core.plugin.across import is_across
from vsg_core.plugin.claim_run import ClaimRun
from vsg_core.plugin.order import model_name
from vsg_core.plugin.places import confirmations_of, is_worker, reports_folder
from vsg_core.plugin.planning import dispatched, model_of, shards_of
from vsg_core.plugin.running import PHASES, phase_report
from vsg_core.plugin.selection import selected_of
from vsg_core.plugin.signals import PutOff
from vsg_core.records import microscope
from vsg_core.records.files import (
    FOLDER,
    has_record,
    read_reports,
    record_member,
    record_text,
    write_atomically,
    write_record,
)
from vsg_core.runs.controller import Controller, Differed, Done, Finished, Lost, Outcome
from vsg_core.runs.events import Warned, Wrote
from vsg_core.runs.executor import Executor, Place
from vsg_core.runs.plan import plan_text
from vsg_core.runs.shards import SHARDS, Shard
from vsg_core.runs.where import Maker, maker_of
from vsg_core.vocabulary import ACROSS
from vsg_core.wording import count_text

if TYPE_CHECKING:
    from vsg_core.records.confirmations import Confirmations

BOTH = "not-reproducible"
# Options by which pytest talks to the process that runs a test.
CONVERSATIONS = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "setupshow": "--setup-show",
    "setuponly": "--setup-only",
}
# Why a worker has no record of the model: what was measured before stays.
KEEPS_MEASURED = ("weights", "memory")

# The page is rebuilt for at most one part in this many of the time.
PAGE_SHARE = 20

MAKER = pytest.StashKey[Maker]()
PLANNED = pytest.StashKey[list[Shard]]()
# How many shards run at a time.
WORKERS = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse what workers cannot do, before anything is collected."""
    where = config.option.vsg_on
    if is_worker(config) or hasattr(config, "workerinput"):
        return
    if where is None:
        for name in ("split", "shard_timeout"):
            if getattr(config.option, f"vsg_{name}"):
                raise pytest.UsageError(
                    f"--{name.replace('_', '-')} is about the workers of --on: add --on local:N"
                )
        return
    try:
        config.stash[MAKER] = maker_of(where)
    except WrongUse as error:
        raise pytest.UsageError(str(error)) from None
    _check_options(config)


def _check_options(config: pytest.Config) -> None:
    option = config.option
    for name, flag in CONVERSATIONS.items():
        if getattr(option, name, False):
            raise pytest.UsageError(
                f"{flag} talks to the process that runs a claim: leave it out, or leave out --on"
            )
    if option.capture == "no":
        raise pytest.UsageError(
            "-s shows output at once, and workers have no terminal: leave it out, or leave out --on"
        )
    if option.vsg_shard_timeout is not None and not option.vsg_shard_timeout > 0:
        raise pytest.UsageError(
            f"--shard-timeout {option.vsg_shard_timeout:g}: give a number of seconds above 0"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the claims on single models in workers, then everything else in this process."""
    config = session.config
    if MAKER not in config.stash or (session.testsfailed and not config.option.continue_on_collection_errors):
        return None
    claims = {item.nodeid: item for item in dispatched(config, session.items)}
    if not claims:
        return None
    folder = reports_folder(config) / SHARDS
    try:
        executor = config.stash[MAKER](Place(config.invocation_params.dir, folder, config.option.vsg_device))
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None
    try:
        shards = config.stash[PLANNED] = shards_of(config, list(claims.values()), executor.number)
        config.stash[WORKERS] = executor.number
        _check_fit(shards, executor)
        if config.option.collectonly:
            return None
        kept, own = _in_this_process(session, claims)
        with _own(folder):
            _run_here(session, kept)
            _run_apart(session, claims, shards, executor)
    finally:
        executor.close()
    _run_here(session, own)
    return True


def _in_this_process(
    session: pytest.Session, claims: Collection[str]
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests that no worker runs: claims on single models that need no model loaded, and everything else."""
    here = [item for item in session.items if item.nodeid not in claims]
    kept = [item for item in here if model_name(item) not in (None, ACROSS)]
    return kept, [item for item in here if item not in kept]


def _check_fit(shards: Iterable[Shard], executor: Executor) -> None:
    for shard in shards:
        if why := executor.misfit(shard):
            raise pytest.UsageError(f"--on: {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the plan of a run that only collects."""
    shards = config.stash.get(PLANNED, None)
    if shards and config.option.collectonly:
        items = terminalreporter._session.items if terminalreporter._session else []
        across, others = sum(map(is_across, items)), sum(model_name(item) is None for item in items)
        models = Counter(model for item in items if (model := selected_of(item)))
        without = sum(number for model, number in models.items() if not model.has_weights)
        counts = (
            (without, "claim without weights", "claims without weights"),
            (across, "claim across models", "claims across models"),
            (others, "test", "tests"),
        )
        own = ", ".join(count_text(*each) for each in counts if each[0])
        terminalreporter.section("plan")
        terminalreporter.write_line(plan_text(shards, config.option.vsg_on, config.stash[WORKERS], own))


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Use the folder of shards alone, without what an earlier run left in it.

    Raises:
        UsageError: another run uses it, or it cannot be written.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), blocking=False)
    try:
        lock.acquire()
        _clear(folder)
        folder.mkdir(parents=True)
    except Timeout:
        raise pytest.UsageError(
            f"another run with --on writes to {folder.parent}: wait for it, or give another folder with --reports DIR"
        ) from None
    except OSError as error:
        raise pytest.UsageError(f"cannot write to {folder}: {error.strerror or error}") from None
    try:
        yield
        _clear(folder)
    except KeyboardInterrupt:
        # What workers measured is handed over by now, unless its place could not be written.
        if not any(folder.glob(f"*/{FOLDER}/*/*.json")):
            _clear(folder)
        raise
    finally:
        lock.release()


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _run_apart(
    session: pytest.Session, claims: dict[str, pytest.Function], shards: list[Shard], executor: Executor
) -> None:
    config = session.config
    signals = PutOff()
    controller = Controller(shards, executor, config.option.vsg_shard_timeout, between=signals.deliver)
    # Imported here, for most runs have no workers.
    from vsg_core.plugin.live import Progress

    progress, replay = Progress(config, shards), Replay(session, claims)
    with progress.shown():
        try:
            # A signal between a worker's event and its replay would lose the claim from the page.
            with signals:
                for outcome in controller.run():
                    progress.erase()
                    progress.take(outcome)
                    replay.take(outcome)
                    _stop_if_asked(session)
                    progress.draw()
        except BaseException as error:
            executor.close()
            # What is measured is kept; after Ctrl-C it is shown too, as pytest shows what ended before it.
            take = replay.take if isinstance(error, KeyboardInterrupt) else replay.keep
            for finished in controller.rest():
                take(finished)
            raise


def _run_here(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Run tests as pytest does."""
    for place, item in enumerate(items):
        nextitem = items[place + 1] if place + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        _stop_if_asked(session)


def _stop_if_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


class Replay:
    """Gives pytest's hooks what workers reported, and puts their records where those of one process are.

    Args:
        items: the claims that workers run, by node id.
    """

    def __init__(self, session: pytest.Session, items: dict[str, pytest.Function]) -> None:
        self.config = session.config
        self.session = session
        self.items = items
        self.reports = reports_folder(session.config)
        self.next_page = 0.0

    def take(self, outcome: Outcome) -> None:
        """Replay one outcome."""
        if isinstance(outcome, Finished):
            self.finished(outcome)
        elif isinstance(outcome, Lost):
            self.stopped(self.items[outcome.claim], WorkerLost(outcome.reason))
        elif isinstance(outcome, Differed):
            self.differed(outcome)
        elif isinstance(outcome, Warned):
            self.warned(outcome)
        elif isinstance(outcome, Wrote):
            self.wrote(outcome)
        elif isinstance(outcome, Done):
            self.rebuild()

    def finished(self, outcome: Finished) -> None:
        """Keep a claim's record and show its reports."""
        item = self.items[outcome.claim]
        self.keep(outcome)
        data = [*outcome.reports]
        if data[-1]["when"] != "teardown":
            data.append(_teardown(data[-1]))
        hook = self.config.hook
        self.show(
            item,
            (
                hook.pytest_report_from_serializable(config=self.config, data=_with_tuples(each))
                for each in data
            ),
        )

    def keep(self, outcome: Finished) -> None:
        """Write a claim's record among those of the run, and remove the worker's own."""
        if outcome.record is None:
            return
        try:
            member = record_member(outcome.record)
            not_run = outcome.record.not_run
            unavailable = not_run is not None and not_run.cause in KEEPS_MEASURED
            if not (unavailable and has_record(self.reports, member)):
                write_record(outcome.record, self.reports / FOLDER)
            with suppress(OSError):
                (self.reports / SHARDS / outcome.shard.name / FOLDER / member).unlink(missing_ok=True)
        except VsgError as error:
            # As in one process: what is measured later would be lost too.
            self.session.shouldfail = f"stopping: {error}"

    def stopped(self, item: pytest.Function, error: VsgError) -> None:
        """End a claim that has no result, for this reason."""
        run = ClaimRun(item, item.function.claim, model_of(item))

        def end() -> None:
            run.stop(error)
            raise pytest.fail.Exception(run.fault or str(error), pytrace=False)

        self.show(item, (phase_report(item, when, end if when == "call" else None) for when in PHASES))

    def differed(self, outcome: Differed) -> None:
        """Fail a claim that gave different evidence when it ran again, and keep both records."""
        folder = self.reports / BOTH / outcome.shard.model
        paths = [folder / f"{outcome.first.claim.id}-{number}.json" for number in (1, 2)]
        for path, record in zip(paths, (outcome.first, outcome.second), strict=True):
            write_atomically(path, record_text(record) + "\n")
        why = (
            f"not reproducible: two runs of one task gave different evidence: {paths[0]} and {paths[1].name}"
        )
        self.stopped(self.items[outcome.claim], VsgError(why))

    def warned(self, outcome: Warned) -> None:
        """Show a warning of a worker."""
        values = dict(outcome.values)
        nodeid, location = values.pop("nodeid"), values.pop("location")
        category = _category(values.pop("module"), values.pop("category"))
        message = warnings.WarningMessage(
            category(values["text"]), category, values["filename"], values["lineno"]
        )
        self.config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": message,
                "when": "runtest",
                "nodeid": nodeid,
                "location": location and tuple(location),
            }
        )

    def wrote(self, outcome: Wrote) -> None:
        """Put a worker's look at its model's concept tokens among those of the run."""
        folder, _, name = outcome.name.partition("/")
        if folder == microscope.FOLDER and Path(name).name == name:
            with suppress(VsgError):
                write_atomically(self.reports / folder / name, outcome.text)

    def rebuild(self) -> None:
        """Rebuild the page from the records there are, so that it can be read during the run."""
        started = time.monotonic()
        if started < self.next_page:
            return
        # Whatever is wrong is reported at the end of the run, which writes the page for good.
        with suppress(Exception):
            write_page(self.reports, confirmations_of(self.config))
        self.next_page = time.monotonic() + PAGE_SHARE * (time.monotonic() - started)

    def show(self, item: pytest.Function, reports: Iterable[pytest.TestReport]) -> None:
        """Show reports as those of a claim that ran in this process."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def write_page(reports: Path, confirmations: Confirmations) -> Path:
    """Write the claim report from all records and what the ledgers of the project say.

    Raises:
        VsgError: a record cannot be read, or the page not written.
    """
    # Imported after the workers have started: neither they nor collecting claims need the report.
    from vsg_core.report import write_report
    from vsg_core.report.view.rows import report_of

    return write_report(report_of(read_reports(reports), confirmations=confirmations), reports)


def _with_tuples(report: dict[str, Any]) -> dict[str, Any]:
    """A report as pytest made it: JSON has lists where it had tuples."""
    longrepr = report["longrepr"]
    return report | {
        "location": tuple(report["location"]),
        "longrepr": tuple(longrepr) if isinstance(longrepr, list) else longrepr,
        **{name: [tuple(pair) for pair in report[name]] for name in ("user_properties", "sections")},
    }


def _teardown(report: dict[str, Any]) -> dict[str, Any]:
    """The report of a teardown that its worker did not live to make."""
    return report | {
        "when": "teardown",
        "outcome": "passed",
        "longrepr": None,
        "sections": [],
        "duration": 0.0,
    }


def _category(module: str, name: str) -> type[Warning]:
    """The class of a warning, UserWarning where this process does not have it."""
    with suppress(ImportError):
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type) and issubclass(found, Warning):
            return found
    return UserWarning
