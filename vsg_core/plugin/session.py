"""What a run leaves behind when it ends: reports, accepted verdicts, the exit code."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

import pytest

from vsg_core.errors import VsgError
from vsg_core.plugin.claim_run import CHANGED, recorded_folder, reports_folder
from vsg_core.plugin.selection import left_out
from vsg_core.records.files import read_records
from vsg_core.records.recorded import write_recorded
from vsg_core.report import terminal_summary, write_report
from vsg_core.report.text.summary import write_neighbours
from vsg_core.vocabulary import ACROSS

EXIT_CHANGED = 10  # the only failures are changed verdicts
COLUMNS = ("claim", "model", "verdict", "estimate")


class Session:
    """Follows a run by its reports, which pytest-xdist passes on too, and by the records in their files."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.outcomes: dict[tuple[str, str], str] = {}  # of every claim that ended, by model and claim
        self.failures: Counter[str] = Counter()  # by outcome; "" is not a claim's
        self.notes: list[str] = []
        self.records: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        outcome = str(told.get("outcome", ""))
        if outcome:
            self.outcomes[str(told["model"]), str(told["claim"])] = outcome
        if report.failed:
            self.failures["" if report.when == "teardown" else outcome] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failures[""] += report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        failed = +self.failures
        if exitstatus == pytest.ExitCode.TESTS_FAILED and failed and set(failed) <= set(CHANGED):
            session.exitstatus = EXIT_CHANGED
        if not self.outcomes:
            return
        try:
            self.report()
            if self.config.option.record:
                self.accept(session)
        except (VsgError, OSError) as error:
            self.notes.append(str(error))
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def report(self) -> None:
        """Write the claim report and its neighbours from all records, and keep those of this run."""
        folder = reports_folder(self.config)
        records = read_records(folder / "records")
        self.records = [record for record in records if self.outcomes.get(_key(record)) == record["outcome"]]
        self.notes.append(f"claim report: {_shown(write_report(records, folder))}")
        write_neighbours(records, folder)

    def accept(self, session: pytest.Session) -> None:
        """Record the verdicts of this run, unless it broke or was cut short."""
        broken = [f"{claim} on {model}" for (model, claim), how in self.outcomes.items() if how == "broken"]
        if broken or session.shouldfail or session.shouldstop or session.exitstatus not in (0, 1):
            why = f"{broken[0]} broke" if broken else "the run was cut short"
            self.notes.append(f"nothing recorded: {why}; put that right and run again with --record")
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            return
        for model in dict.fromkeys(model for model, _ in self.outcomes):
            own = [record for record in self.records if record["model"]["name"] == model]
            # What was not run and is nowhere recorded leaves nothing; a recorded verdict it replaces.
            measured = [record for record in own if record["trials"] or record["outcome"] != "not run"]
            if measured:
                path = write_recorded(recorded_folder(self.config), model, measured)
                self.notes.append(f"recorded {len(measured)} verdicts of {model} in {_shown(path)}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.outcomes:
            return
        terminalreporter.section("claims")
        width = min(max(80, self.config.get_terminal_writer().fullwidth), 120)
        terminalreporter.write_line(terminal_summary(self.records, width))
        asked = {model for model, _ in self.outcomes} != {ACROSS}
        if asked and (absent := left_out(self.config)):
            told = f"models not run, their weights are not here: {', '.join(absent)}"
            terminalreporter.write_line(f"{told}; to get one: vsg models fetch NAME\n")
        spent = [record["provenance"] for record in self.records]
        seconds, forward = (sum(each[key] for each in spent) for key in ("seconds", "forward_seconds"))
        if forward:
            ratio = f"{seconds / forward:.2f} times the {forward:.1f} s of their forward passes"
            terminalreporter.write_line(f"claims took {seconds:.1f} s, {ratio}")
        for note in self.notes:
            terminalreporter.write_line(note)


def _key(record: dict[str, Any]) -> tuple[str, str]:
    return record["model"]["name"], record["claim"]


def _shown(path: Path) -> str:
    """A path as it is shortest to type from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@pytest.hookimpl(tryfirst=True)  # before pytest-html looks where to write
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist: the main process follows the run
    config.pluginmanager.register(Session(config), "vsg-session")
    runs_claims = _runs_claims(config) and not config.option.collectonly
    if runs_claims and config.pluginmanager.has_plugin("html") and not config.option.htmlpath:
        config.option.htmlpath = str(reports_folder(config) / "pytest.html")
        config.option.self_contained_html = True


def _runs_claims(config: pytest.Config) -> bool:
    """Whether this run was pointed at hypotheses/."""
    claims = config.rootpath / "hypotheses"
    chosen = [Path(config.invocation_params.dir, name.partition("::")[0]).resolve() for name in config.args]
    return any(path.is_relative_to(claims) or claims.is_relative_to(path) for path in chosen)


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Show the verdict where pytest shows "passed", and what became of it where it shows "failed"."""
    told = dict(getattr(report, "user_properties", ()))
    outcome, verdict = told.get("outcome"), str(told.get("verdict"))
    if outcome is None or report.when == "teardown" or report.skipped:
        return None
    if report.passed and report.when == "call":
        word = verdict if outcome == "same" else f"{verdict}, {outcome}"
        return "passed", verdict[0], word
    return ("failed", outcome[0].upper(), outcome.upper()) if report.failed else None


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_header(cells: list[str]) -> None:
    head = '<th class="sortable" data-column-type="{}">{}</th>'
    cells[2:2] = [head.format(name, name.capitalize()) for name in COLUMNS]


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: Any, cells: list[str]) -> None:
    told = dict(getattr(report, "user_properties", ()))
    name = report.nodeid + ("" if report.when in ("call", None) else f"::{report.when}")
    cells[1] = f'<td class="col-testId">{escape(name)}</td>'  # pytest-html leaves it as it is
    cells[2:2] = [f'<td class="col-{name}">{escape(_cell(told.get(name)))}</td>' for name in COLUMNS]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
