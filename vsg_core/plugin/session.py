"""The end of a run: reports, accepted verdicts, the exit code."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vsg_core.collector import no_collection
from vsg_core.errors import VsgError
from vsg_core.plugin.claim_run import CHANGED
from vsg_core.plugin.places import confirmations_of, is_worker, recorded_folder, reports_folder, runs_claims
from vsg_core.plugin.resume import is_kept
from vsg_core.plugin.selection import claim_of, left_out
from vsg_core.records.files import read_reports
from vsg_core.records.provenance import uncommitted
from vsg_core.records.record import Record
from vsg_core.records.recorded import read_recorded, write_recorded
from vsg_core.vocabulary import ACROSS
from vsg_core.wording import count_text

if TYPE_CHECKING:
    from vsg_core.records.confirmations import Confirmations

# The exit code of a run whose only failures are changed verdicts.
EXIT_CHANGED = 10
# Where junitxml and pytest-html write; an error of a full disk names no file.
THEIR_PATHS = ("xmlpath", "htmlpath")
# N is for new.
LETTERS = {"not run": "U"}
# As many models that are not downloaded are named, and not only counted.
FEW = 3
COLUMNS = ("claim", "model", "verdict", "estimate")


class Session:
    """Follows a run by its reports, which pytest-xdist passes on too, and by the records in their files.

    Attributes:
        outcomes: of every claim that ended, by model and claim.
        ran: those of them that were not kept by --resume.
        failures: how many tests failed, by outcome; "" counts those that are not claims.
        notes: lines for the end of the terminal's summary.
        records: those of this run.
        confirmations: what the ledgers of the project say, once the page is written.
        letters: those that pytest printed as tests ended, and what each stands for.
        folders: where the verdict of each collected claim is recorded.
        uncommitted: the files of collected claims that git has not, or has differently.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.outcomes: dict[tuple[str, str], str] = {}
        self.ran: set[tuple[str, str]] = set()
        self.failures: Counter[str] = Counter()
        self.notes: list[str] = []
        self.records: list[Record] = []
        self.confirmations: Confirmations | None = None
        self.letters: dict[str, str] = {}
        self.folders: dict[str, Path] = {}
        self.uncommitted: list[Path] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        files: dict[Path, None] = {}
        for item in session.items:
            if claim := claim_of(item):
                self.folders[claim.id] = recorded_folder(self.config, item.path)
                files[item.path] = None
        # Now, and not at the end: what counts is whether a rule was committed before it ran.
        if not self.config.option.collectonly:
            self.uncommitted = uncommitted(files)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        outcome = str(properties.get("outcome", ""))
        if outcome:
            cell = str(properties["model"]), str(properties["claim"])
            self.outcomes[cell] = outcome
            if not is_kept(self.config, report.nodeid):
                self.ran.add(cell)
        self.note_letter(report)
        if report.failed:
            self.failures["" if report.when == "teardown" else outcome] += 1

    def note_letter(self, report: pytest.TestReport) -> None:
        """Keep the letter that pytest prints for a report, for the legend."""
        _, letter, word = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        word = word[0] if isinstance(word, tuple) else word
        if letter:
            is_claim = any(key == "outcome" for key, _ in report.user_properties)
            self.letters[letter] = (
                "not run" if is_claim and report.skipped else word.partition(",")[0].lower()
            )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failures[""] += report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        leave_out_hypothesis(self.config)
        failed = +self.failures
        if exitstatus == pytest.ExitCode.TESTS_FAILED and failed and set(failed) <= set(CHANGED):
            session.exitstatus = EXIT_CHANGED
        if not self.outcomes:
            return
        for file in self.uncommitted:
            self.notes.append(f"not committed: {_short(file)}: commit a rule before its first run")
        try:
            self.report()
            if self.config.option.vsg_record:
                self.accept(session)
        except (VsgError, OSError) as error:
            self.notes.append(str(error))
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def report(self) -> None:
        """Write the claim report and its neighbours from all records, and keep those of this run."""
        # Imported when a run ends: collecting claims does not need the report.
        from vsg_core.records.history import read_repeats
        from vsg_core.report import write_report
        from vsg_core.report.text.summary import write_neighbours
        from vsg_core.report.view.rows import report_of

        folder = reports_folder(self.config)
        with no_collection():
            records = read_reports(folder)
            self.records = [record for record in records if self.outcomes.get(_key(record)) == record.outcome]
            self.confirmations = confirmations_of(self.config)
            report = report_of(records, read_repeats(folder, records), self.confirmations)
            self.notes.append(f"claim report: {_short(write_report(report, folder))}")
            write_neighbours(report, folder)

    def accept(self, session: pytest.Session) -> None:
        """Record the verdicts of this run, unless it broke, was cut short, or ran rules that are not committed."""
        if why := self.obstacle(session):
            self.notes.append(f"nothing recorded: {why} run again with --record")
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            return
        for model in dict.fromkeys(model for model, _ in self.outcomes):
            own = [record for record in self.records if record.model.name == model]
            # A claim that was not run replaces a recorded verdict; where none is recorded it leaves nothing.
            measured = [record for record in own if record.evidence.trials or record.outcome != "not run"]
            by_folder: dict[Path, list[Record]] = {}
            for record in measured:
                by_folder.setdefault(self.folders[record.claim.id], []).append(record)
            for folder, accepted in by_folder.items():
                before = read_recorded(folder, model)
                path = write_recorded(folder, model, accepted)
                after = read_recorded(folder, model)
                changed = sum(after[name] != before.get(name) for name in after)
                self.notes.append(_recorded_text(changed, len(accepted), f"{model} in {_short(path)}"))

    def obstacle(self, session: pytest.Session) -> str:
        """Why no verdict of this run may be recorded, and what to do first; empty if they may."""
        broken = [f"{claim} on {model}" for (model, claim), how in self.outcomes.items() if how == "broken"]
        if broken:
            return f"{broken[0]} broke; correct that and"
        if session.shouldfail or session.shouldstop or session.exitstatus not in (0, 1):
            return "the run was cut short; correct that and"
        if self.uncommitted:
            verb = "is" if len(self.uncommitted) == 1 else "are"
            return f"{', '.join(map(_short, self.uncommitted))} {verb} not committed; commit, and"
        return ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.outcomes:
            return
        from vsg_core.report import terminal_summary
        from vsg_core.report.view.rows import report_of

        terminalreporter.section("claims")
        width = min(max(40, self.config.get_terminal_writer().fullwidth), 120)
        # With -v there are words in place of letters.
        letters = self.letters if self.config.get_verbosity() <= 0 else {}
        report = report_of(self.records, confirmations=self.confirmations)
        terminalreporter.write_line(terminal_summary(report, width, letters if self.ran else {}))
        if letters and not self.ran:
            words = "  ".join(f"{letter} {meaning}" for letter, meaning in letters.items())
            terminalreporter.write_line(f"kept, from records:  {words}")
        asked = {model for model, _ in self.outcomes} != {ACROSS}
        if asked and (absent := left_out(self.config)):
            terminalreporter.write_line(f"{_absent_text(absent)}\n")
        ran = [record for record in self.records if _key(record) in self.ran]
        seconds = sum(record.run.seconds or 0.0 for record in ran)
        forward = sum(record.run.forward_seconds for record in ran)
        if forward:
            ratio = f"{seconds / forward:.2f} times the {forward:.1f} s of their forward passes"
            terminalreporter.write_line(f"claims took {seconds:.1f} s, {ratio}")
        for note in self.notes:
            terminalreporter.write_line(note)


def _absent_text(names: Sequence[str]) -> str:
    """Count the models that are not downloaded, and name them where they are few."""
    counted = count_text(len(names), "model of the registry is", "models of the registry are")
    if len(names) > FEW:
        return f"{counted} not downloaded: vsg models --all"
    return f"{counted} not downloaded: {', '.join(names)}; to get one: vsg models fetch NAME"


def _recorded_text(changed: int, accepted: int, place: str) -> str:
    """Count the verdicts that --record wrote: "recorded 2 verdicts of MODEL in FILE; 8 unchanged"."""
    if not changed:
        return f"unchanged: {count_text(accepted, 'verdict')} of {place}"
    rest = f"; {accepted - changed} unchanged" if changed < accepted else ""
    return f"recorded {count_text(changed, 'verdict')} of {place}{rest}"


def _key(record: Record) -> tuple[str, str]:
    return record.model.name, record.claim.id


def _short(path: Path) -> str:
    """The path as it is shortest to type in the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def leave_out_hypothesis(config: pytest.Config) -> None:
    """Unregister Hypothesis's plugin if no test used Hypothesis, which it would import only to find nothing to show."""
    plugin = config.pluginmanager.getplugin("hypothesispytest")
    if plugin is not None and "hypothesis" not in sys.modules:
        config.pluginmanager.unregister(plugin)


# Before pytest-html reads where to write.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # In a worker the main process follows the run.
    if hasattr(config, "workerinput") or is_worker(config):
        return
    config.pluginmanager.register(Session(config), "vsg-session")
    # pytest-html fails without pytest-metadata.
    html = all(map(config.pluginmanager.has_plugin, ("html", "metadata")))
    option = config.option
    lists = option.collectonly or option.showfixtures or option.show_fixtures_per_test
    measures = runs_claims(config) and not (lists or option.vsg_dry or option.vsg_confirm)
    if html and measures and not config.option.htmlpath:
        config.option.htmlpath = str(reports_folder(config) / "pytest.html")
        config.option.self_contained_html = True


# Around the hooks in which pytest-html, junitxml and others write, and inside the one that prints the summary.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Show in one line what another plugin could not write."""
    try:
        yield
    except OSError as error:
        follower = session.config.pluginmanager.getplugin("vsg-session")
        if not (isinstance(follower, Session) and follower.outcomes):
            raise
        options = session.config.option
        places = [error.filename] if error.filename else [getattr(options, name, "") for name in THEIR_PATHS]
        named = " or ".join(map(str, filter(None, places))) or "the report of another plugin"
        follower.notes.append(f"cannot write {named}: {error.strerror or error}; it is not whole")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Show the verdict in place of "passed", and the outcome in place of "failed"."""
    properties = dict(getattr(report, "user_properties", ()))
    outcome, verdict = properties.get("outcome"), str(properties.get("verdict"))
    if outcome is None or report.when == "teardown" or report.skipped:
        return None
    if report.passed and report.when == "call":
        word = verdict if outcome == "same" else f"{verdict}, {outcome}"
        return "passed", verdict[0], word
    return ("failed", LETTERS.get(outcome, outcome[0].upper()), outcome.upper()) if report.failed else None


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_header(cells: list[str]) -> None:
    head = '<th class="sortable" data-column-type="{}">{}</th>'
    cells[2:2] = [head.format(name, name.capitalize()) for name in COLUMNS]


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: Any, cells: list[str]) -> None:
    properties = dict(getattr(report, "user_properties", ()))
    name = report.nodeid + ("" if report.when in ("call", None) else f"::{report.when}")
    # pytest-html does not escape it.
    cells[1] = f'<td class="col-testId">{escape(name)}</td>'
    cells[2:2] = [f'<td class="col-{name}">{escape(_cell(properties.get(name)))}</td>' for name in COLUMNS]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
