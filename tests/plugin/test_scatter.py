"""Claims in worker processes: the same results as in one process, whatever happens to a worker or to the controller."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from vsg_core.plugin import scatter
from vsg_core.plugin.planning import NO_LOOK
from vsg_core.records import provenance
from vsg_core.records.files import read_record, read_reports
from vsg_core.runs import where
from vsg_core.runs.child import Child
from vsg_core.runs.controller import Controller
from vsg_core.runs.events import Ended
from vsg_core.runs.local import THREADS, LocalExecutor

# Claims about processes do without the model: loading it takes longer than everything else.
TOOLS = """
import os, signal, sys, time
from pathlib import Path

IS_WORKER = any(word.startswith("--vsg-task") for word in sys.argv)

def note(name):
    # Spelled in pieces: a file that a claim names is in its key, and this one changes.
    with open("".join(["no", "tes"]), "a") as file:
        file.write(f"{name} {os.getpid()}\\n")
"""
LIGHT = f"""{TOOLS}
@pytest.fixture(scope="session")
def lm():
    return None
"""
CLAIM = """
@claim("It works: {name}", rule=rate(above=0.5), **ABOUT)
def test_{name}(lm):
    note("{name}")
    {body}
    return trials(38)
"""
# Hangs when it runs first; the file names the process.
HANG = "Path('hung').exists() or (Path('hung').write_text(str(os.getpid())), time.sleep(600))"
TWICE = "Path('died').exists() or (Path('died').touch(), os.kill(os.getpid(), signal.SIGKILL))"


def light(name: str, body: str = "pass") -> str:
    return CLAIM.format(name=name, body=body)


def run_light(suite, *arguments: str) -> pytest.RunResult:
    """Run pytest without the look at a model's concept tokens, for which each worker would load the model."""
    return suite.run(*NO_LOOK, *arguments)


def notes(suite) -> list[str]:
    """The names of the claims whose bodies were called, in order."""
    return [line.split()[0] for line in (suite.pytester.path / "notes").read_text().splitlines()]


def evidence(suite) -> dict[tuple[str, str], bytes]:
    return {(each.model.name, each.claim.id): each.evidence_bytes for each in read_reports(suite.reports)}


class Hurrying:
    """A clock that runs a thousand times faster while the process named in a file runs: what hangs is met at once.

    A limit of minutes then stands for no limit to a worker that starts on a busy machine.
    """

    def __init__(self, hung: Path) -> None:
        self.hung = hung
        self.shown = self.last = time.monotonic()

    def __call__(self) -> float:
        passed, self.last = time.monotonic() - self.last, time.monotonic()
        process = self.hung.read_text() if self.hung.exists() else ""
        self.shown += passed * (1000 if process and is_running(int(process)) else 1)
        return self.shown


def hurry(suite, monkeypatch) -> None:
    """Give the controller a clock that runs faster while the claim that hangs does."""
    clock = Hurrying(suite.pytester.path / "hung")
    monkeypatch.setattr(scatter, "Controller", partial(Controller, clock=clock))


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch):
    provenance.code_digest.cache_clear()
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)


def test_workers_leave_what_one_process_leaves(suite, other_llama):
    """Evidence, page, junit, exit code; claims across models see the records, and ordinary tests run."""
    suite.claims(
        suite.rate_claim(38)
        + suite.rate_claim(3, name="two").replace("return", "lm.next_logits(['the cat']); return")
        + """
def test_plain():
    pass

@claim("Both do", rule=rate(above=0.5), **ABOUT)
def test_both(records):
    return [Trial(name, output="", success=True) for name in records.models * 20]

@pytest.fixture
def records():
    from types import SimpleNamespace
    names = [path.name for path in __import__("pathlib").Path("reports/records").iterdir()]
    return SimpleNamespace(models=sorted(set(names) - {"across-models"}))
"""
    )
    both = ["--model", other_llama, "--junitxml=junit.xml"]
    alone = suite.run(*both)
    before = evidence(suite)
    junit = Path("junit.xml").read_text()
    for path in suite.reports.glob("records/*/*"):
        path.unlink()
    result = suite.run(*both, "--on", "local:2")
    assert alone.ret == result.ret == 0
    assert evidence(suite) == before
    assert len(before) == 5
    result.stdout.fnmatch_lines(["claim report: reports/claims.html"])
    assert "It mostly works" in (suite.reports / "claims.html").read_text()
    names = '<testcase [^>]*name="([^"]*)"'
    cases = [sorted(re.findall(names, text)) for text in (junit, Path("junit.xml").read_text())]
    assert cases[0] == cases[1]
    assert {path.stem for path in suite.reports.glob("microscope/*")} == {"tiny-random", "other-random"}
    assert not (suite.reports / "shards").exists()
    for path in suite.reports.glob("records/*random/*"):
        assert read_record(path).run.environment["OMP_NUM_THREADS"] == str(
            max(1, len(os.sched_getaffinity(0)) // 2)
        )


def test_a_killed_worker_loses_and_repeats_nothing(suite):
    """The claim that ran has one more attempt, after the others."""
    suite.claims(LIGHT + light("one") + light("two", TWICE) + light("three"))
    result = run_light(suite, "--on", "local:1")
    assert result.ret == 0
    assert notes(suite) == ["one", "two", "three", "two"]
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    result.assert_outcomes(passed=3)


def test_a_claim_that_kills_each_worker_is_not_run(suite):
    """It fails the run, its reason is in its record, and the other claims are measured."""
    suite.claims(LIGHT + light("one", "os.kill(os.getpid(), signal.SIGKILL)") + light("two"))
    result = run_light(suite, "--on", "local:1", "--junitxml=junit.xml", "--record")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*worker died (signal 9)*"])
    assert "Traceback" not in result.stdout.str()
    assert notes(suite) == ["one", "two", "one"]
    not_run = suite.record("one").not_run
    assert (not_run.cause, not_run.reason) == ("worker", "worker died (signal 9)")
    assert "worker died" in Path("junit.xml").read_text()
    assert "[two]" in suite.recorded().read_text()
    assert "[one]" not in suite.recorded().read_text()


def test_what_was_measured_stays_when_a_worker_dies_later(suite):
    suite.claims(LIGHT + light("one"))
    run_light(suite, "--on", "local:1")
    before = suite.record("one")
    suite.claims(LIGHT + light("one", "os.kill(os.getpid(), signal.SIGKILL)"))
    provenance.code_digest.cache_clear()
    assert run_light(suite, "--on", "local:1").ret == pytest.ExitCode.TESTS_FAILED
    assert suite.record("one") == before


def test_a_changed_verdict_has_its_exit_code_and_x_ends_the_workers(suite):
    suite.claims(TOOLS + light("one") + light("two"))
    assert suite.run("--record", "-p", "no:vsg_core.plugin.microscope").ret == 0
    (suite.pytester.path / "notes").unlink()
    changed = light("one").replace("trials(38)", "trials(2)")
    suite.claims(TOOLS + changed + light("two", "time.sleep(600)"))
    provenance.code_digest.cache_clear()
    result = suite.run("--on", "local:1", "-x")
    assert result.ret == 10
    path = suite.reports / "records" / "tiny-random" / "one.json"
    result.stdout.fnmatch_lines([f"evidence: {path}", "*pytest *hypotheses/things.py::*--record"])
    result.stdout.no_fnmatch_line("*shards*")
    result.stdout.fnmatch_lines(["!* stopping after 1 failures !*"])
    assert_gone(suite)


def test_a_silent_worker_is_killed_and_its_claim_tried_again(suite, monkeypatch):
    hurry(suite, monkeypatch)
    suite.claims(LIGHT + light("one", HANG) + light("two"))
    result = run_light(suite, "--on", "local:1", "--shard-timeout", "600")
    assert (result.ret, notes(suite)) == (0, ["one", "two", "one"])
    assert_gone(suite)


def test_a_worker_with_other_code_is_refused(suite):
    suite.claims(LIGHT + "IS_WORKER and Path('hypotheses/more.py').write_text('')\n" + light("one"))
    result = run_light(suite, "--on", "local:1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["node * runs other code (*, and the controller *): another checkout, or a file that was edited*"]
    )
    assert not (suite.pytester.path / "notes").exists()


def test_missing_weights_are_one_line_per_claim(suite):
    suite.model = None
    suite.claims(suite.rate_claim(38))
    result = suite.run("--on", "local:2", "-m", "gemma and base", "-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["SKIPPED * weights of gemma-3-270m unavailable: *; to get them: vsg models fetch *"]
    )


def test_a_worker_that_cannot_write_gives_its_claims_back(suite):
    """The limit on the size of files stands for a full disk."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))"
    suite.claims(LIGHT + light("one") + light("two", full) + light("three"))
    result = run_light(suite, "--on", "local:1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    assert re.fullmatch("cannot write .*two.json: File too large", suite.record("two").not_run.reason)
    assert notes(suite) == ["one", "two", "three", "two"]
    assert not list(suite.reports.rglob(".*.json*"))


def test_a_claim_with_too_little_memory_is_tried_alone(suite):
    suite.claims(
        LIGHT
        + "from vsg_core.errors import NotEnoughMemory\n"
        + light("one", "if notes_of('one') < 2: raise NotEnoughMemory('too little')")
        + light("two", "raise NotEnoughMemory('far too little')")
        + "def notes_of(name): return Path('notes').read_text().count(name)\n"
    )
    result = run_light(suite, "--on", "local:1", "-rs")
    assert result.ret == 0
    assert notes(suite) == ["one", "two", "one", "two"]
    result.assert_outcomes(passed=1, skipped=1)
    assert suite.record("two").not_run.reason == "far too little"


class Repeating(LocalExecutor):
    """Runs every shard twice, one after the other, as a cluster does that has lost sight of the first."""

    def _read(self, child: Child) -> None:
        for event in child.events():
            if not isinstance(event, Ended):
                self._queue.put(event)
        again = Child(child.shard, child.folder.with_name("again"), self.place.directory, {})
        super()._read(again)


@pytest.fixture
def repeating(monkeypatch):
    monkeypatch.setitem(where.KINDS, "repeating", lambda _: lambda place: Repeating(1, place))


def test_a_repeated_shard_with_the_same_evidence_is_ignored(suite, repeating):
    suite.claims(LIGHT + light("one"))
    result = run_light(suite, "--on", "repeating")
    assert (result.ret, notes(suite)) == (0, ["one", "one"])
    result.assert_outcomes(passed=1)


def test_a_repeated_shard_with_other_evidence_is_not_reproducible(suite, repeating):
    """Both records are kept."""
    different = light("one").replace("trials(38)", "trials(30 + Path('notes').read_text().count('one'))")
    suite.claims(LIGHT + different)
    result = run_light(suite, "--on", "repeating")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*not reproducible: *"])
    kept = sorted(suite.reports.glob("not-reproducible/tiny-random/*"))
    assert [sum(trial.success is True for trial in read_record(path).evidence.trials) for path in kept] == [
        31,
        32,
    ]
    assert suite.record("one").outcome == "broken"


def started_apart(suite, where: str, *arguments: str) -> subprocess.Popen:
    """Start a run in a process group of its own, and wait until its second claim runs in a worker."""
    begun = len(notes(suite)) if (suite.pytester.path / "notes").exists() else 0
    controller = launched(suite, where, *arguments)
    until(lambda: (suite.pytester.path / "notes").exists() and "two" in notes(suite)[begun:])
    return controller


def launched(suite, where: str, *arguments: str, output: int = subprocess.DEVNULL) -> subprocess.Popen:
    """Start a run in a process group of its own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--model",
        str(suite.model),
        "--on",
        where,
        *NO_LOOK,
        *arguments,
    ]
    return subprocess.Popen(
        command,
        cwd=suite.pytester.path,
        stdout=output,
        start_new_session=True,
        # What starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end_by(controller: subprocess.Popen, sent: signal.Signals) -> None:
    """Send a signal to a run, and wait for its end."""
    try:
        controller.send_signal(sent)
        controller.wait(timeout=300)
    finally:
        controller.kill()


def until(condition) -> None:
    """Wait for a condition, for as long as a very busy machine may need."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within five minutes")


def is_running(process: int) -> bool:
    """Return whether a process runs; a dead one that is not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_gone(suite) -> None:
    """Check that no process is left in which a claim ran."""
    lines = (suite.pytester.path / "notes").read_text().splitlines()
    until(lambda: not any(is_running(int(line.split()[1])) for line in lines))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name)
def test_no_worker_outlives_its_controller(suite, sent):
    suite.claims(LIGHT + light("one") + light("two", "time.sleep(600)"))
    controller = started_apart(suite, "local:2")
    end_by(controller, sent)
    assert_gone(suite)
    assert controller.returncode == (-sent if sent == signal.SIGKILL else pytest.ExitCode.INTERRUPTED)
    # A controller that is killed while it takes a record over may leave the worker's copy too.
    kept = list(suite.reports.rglob("records/*/one.json"))
    assert {read_record(path).verdict for path in kept} == {"holds"}
    assert len(kept) == 1 or sent == signal.SIGKILL
    if sent != signal.SIGKILL:
        assert "It works: one" in (suite.reports / "claims.html").read_text()


@pytest.mark.parametrize("hook", ["logstart", "logreport", "logfinish"])
def test_a_claim_whose_replay_is_interrupted_is_shown(suite, hook):
    """Ctrl-C while the reports of a claim are handed over: the claim is on the page, and the run ends."""
    suite.claims(LIGHT + light("one") + light("two", "time.sleep(600)"))
    suite.pytester.makeconftest(f"""
{TOOLS}
pytest_plugins = ["vsg_core.plugin", "fixtures.models"]

def pytest_runtest_{hook}():
    if not IS_WORKER and not Path("interrupted").exists():
        Path("interrupted").touch()
        os.kill(os.getpid(), signal.SIGINT)
""")
    assert launched(suite, "local:2").wait(timeout=300) == pytest.ExitCode.INTERRUPTED
    assert_gone(suite)
    assert "It works: one" in (suite.reports / "claims.html").read_text()


def test_a_killed_controller_goes_on_with_resume(suite):
    """The record of its worker is adopted, and only the rest is run."""
    suite.claims(LIGHT + light("one") + light("two", HANG) + light("three"))
    controller = started_apart(suite, "local:2")
    # Before and after the record is handed over.
    controller.kill()
    controller.wait()
    assert_gone(suite)
    result = run_light(suite, "--on", "local:2", "--resume", "-v")
    assert result.ret == 0
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["resume: 1 kept, 2 to run: no record (2)", "*test_one*holds, new*"])
    assert notes(suite) == ["one", "two", "two", "three"]
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    assert not (suite.reports / "shards").exists()
    assert run_light(suite, "--on", "local:2", "--resume").ret == 0
    assert len(notes(suite)) == 4


def test_a_new_run_clears_what_a_killed_one_left(suite):
    suite.claims(LIGHT + light("one"))
    left = suite.reports / "shards" / "old" / "records"
    left.mkdir(parents=True)
    assert run_light(suite, "--on", "local:1").ret == 0
    assert not left.exists()


MEASURED = """
@pytest.fixture(scope="session")
def measured(lm):
    note("measured")

@pytest.fixture(scope="session")
def further(measured):
    note("further")
"""


def test_split_measures_nothing_twice(suite):
    suite.claims(
        LIGHT
        + MEASURED
        + light("one").replace("(lm)", "(lm, measured)")
        + light("two")
        + light("three").replace("(lm)", "(lm, further)")
        + light("four")
    )
    planned = suite.run("--on", "local:2", "--split", "--collect-only", "-q")
    planned.stdout.fnmatch_lines(
        ["2 shards with 4 claims on local:2, 2 at a time: not measured before", "  tiny-random-1  2 claims *"]
    )
    assert not (suite.pytester.path / "notes").exists()
    assert not suite.reports.exists()
    assert run_light(suite, "--on", "local:2", "--split").ret == 0
    assert sorted(notes(suite)) == ["four", "further", "measured", "one", "three", "two"]
    planned = suite.run("--on", "local:2", "--collect-only", "-q")
    planned.stdout.fnmatch_lines(["1 shard with 4 claims on local:2, 2 at a time: about * s"])


def test_a_line_per_claim_where_there_is_no_terminal(suite):
    suite.claims(LIGHT + light("one") + light("two"))
    result = run_light(suite, "--on", "local:1")
    result.stderr.fnmatch_lines(["[[]tiny-random] claim 1 of 2: one", "[[]tiny-random] claim 2 of 2: two"])
    assert not [line for line in run_light(suite, "--on", "local:1", "-q").errlines if line.startswith("[")]


def test_a_model_that_fits_nowhere_is_refused_before_it_runs(suite, monkeypatch):
    monkeypatch.setattr("vsg_core.runs.local.available", lambda: 1_000_000)
    suite.claims(LIGHT + light("one"))
    for more in ([], ["--collect-only"]):
        result = suite.run("--on", "local:1", *more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        line = "ERROR: --on: tiny-random takes 300.0 MB, and this machine has 1.0 MB of memory free: *"
        result.stderr.fnmatch_lines([line])


def test_two_runs_do_not_share_the_folder_of_shards(suite):
    suite.claims(LIGHT + light("one"))
    suite.reports.mkdir()
    with FileLock(suite.reports / ".shards.lock"):
        result = suite.run("--on", "local:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: another run with --on writes to *: wait for it, or give another folder*"]
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--on", "local:0"], "--on local:0: give the number of processes, say --on local:4"),
        (["--on", "local:x"], "--on local:x: give the number of processes, say --on local:4"),
        (["--on", "local"], "--on local: give the number of processes, say --on local:4"),
        (["--on", "mars:3"], "--on mars:3: there is no 'mars'; give local:N*"),
        (
            ["--on", "local:2", "-n", "2"],
            "claims run in one process*--on local:N runs the models in N processes",
        ),
        (["--on", "local:2", "--pdb"], "--pdb talks to the process that runs a claim*"),
        (["--on", "local:2", "-s"], "-s shows output at once, and workers have no terminal*"),
        (["--on", "local:2", "--shard-timeout", "0"], "--shard-timeout 0: give a number of seconds above 0"),
        (["--split"], "--split is about the workers of --on: add --on local:N"),
        (["--shard-timeout", "5"], "--shard-timeout is about the workers of --on: add --on local:N"),
    ],
)
def test_wrong_use_is_one_line(suite, arguments, line):
    suite.claims(LIGHT + light("one"))
    result = suite.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line}"])
    assert not suite.reports.exists()


def test_workers_run_without_the_plugin_for_terminals(suite):
    suite.claims(LIGHT + light("one"))
    assert run_light(suite, "-p", "no:terminal", "--on", "local:1").ret == 0
    assert len(evidence(suite)) == 1
