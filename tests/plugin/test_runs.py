"""Runs in the world: places that cannot be written, signals, other plugins, other folders and other orders."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import fixtures.models
from vsg_core import LanguageModel, load_model

IN_PLACE = "In the way of a folder."


@pytest.fixture
def no_model(monkeypatch):
    """Let any attempt to load a model fail the test."""

    def load(target: str, **_: object) -> None:
        raise AssertionError(f"{target} was loaded")

    monkeypatch.setattr(fixtures.models, "load_model", load)


def refused(result: pytest.RunResult, line: str) -> None:
    """Check that a run ended as wrong use, with this line and no traceback."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line}"])
    assert len([text for text in result.errlines if text.strip()]) == 1
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_folder_that_cannot_be_written_is_refused_before_a_model_is_loaded(suite, no_model, tmp_path):
    suite.claims(suite.rate_claim(38))
    (tmp_path / "file").write_text(IN_PLACE)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone" / "away")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "records").write_text(IN_PLACE)
    (tmp_path / "page" / "claims.html").mkdir(parents=True)
    (tmp_path / "model" / "records").mkdir(parents=True)
    (tmp_path / "model" / "records" / "tiny-random").write_text(IN_PLACE)
    for place, why in {
        tmp_path / "file": "*/file: it is not a folder*",
        tmp_path / "file" / "below": "*/file/below: Not a directory*",
        Path("/dev/full"): "/dev/full: it is not a folder*",
        tmp_path / "dangling": "*/dangling: it is not a folder*",
        tmp_path / ("x" * 300): "*: File name too long*",
        tmp_path / "blocked": "*/blocked/records: it is not a folder*",
        tmp_path / "model": "*/model/records/tiny-random: it is not a folder*",
    }.items():
        refused(
            suite.run(f"--reports={place}"), f"cannot write to {why}; give another folder with --reports DIR"
        )
    refused(
        suite.run(f"--reports={tmp_path / 'page'}"), "cannot write */claims.html: it is a folder; remove it"
    )
    suite.reports.write_text(IN_PLACE)
    refused(suite.run(), "cannot write to */reports: it is not a folder*")
    assert suite.reports.read_text() == IN_PLACE


def test_other_reports_are_tried_before_a_model_is_loaded(suite, no_model, tmp_path):
    suite.claims(suite.rate_claim(38))
    (tmp_path / "file").write_text(IN_PLACE)
    refused(suite.run(f"--html={tmp_path}"), f"cannot write {tmp_path}: it is a folder; give *with --html")
    for option in ("--html", "--junit-xml"):
        refused(
            suite.run(f"{option}={tmp_path / 'file' / 'x'}"),
            f"cannot write to *; give another file with {option}",
        )


def test_claims_outside_the_folder_of_claims_are_checked_too(suite, no_model, tmp_path):
    suite.claims(suite.rate_claim(38))
    (suite.pytester.path / "hypotheses" / "things.py").rename(suite.pytester.path / "test_moved.py")
    suite.reports.write_text(IN_PLACE)
    refused(suite.run("test_moved.py"), "cannot write to */reports: it is not a folder*")


def test_a_refused_run_leaves_no_folder(suite, no_model, tmp_path):
    suite.claims(suite.rate_claim(38))
    refused(suite.run("--reports", tmp_path / "new" / "reports", "-n", "2"), "claims run in one process*")
    suite.run("--reports", tmp_path / "new" / "reports", "-p", "no:html", "-k", "nothing")
    assert not (tmp_path / "new").exists()


def test_recorded_verdicts_that_cannot_be_written_are_refused_before_a_model_is_loaded(suite, no_model):
    suite.claims(suite.rate_claim(38))
    (suite.pytester.path / "hypotheses" / "recorded").write_text(IN_PLACE)
    refused(
        suite.run("--record"),
        "cannot write to */hypotheses/recorded: it is not a folder; --record writes there",
    )


def test_a_disk_that_fails_in_mid_run_ends_it(suite):
    """Everything measured later would be lost."""
    suite.claims(
        suite.rate_claim(38)
        + """
@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    from pathlib import Path
    Path("reports/records/tiny-random").rename("reports/kept")
    Path("reports/records/tiny-random").write_text("full")
    return trials(38)
"""
        + suite.rate_claim(38, name="three")
    )
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "broken, no verdict: two on tiny-random: cannot write */two.json: * is not a folder",
            "! stopping: cannot write *!",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert [path.name for path in (suite.reports / "kept").iterdir()] == ["one.json"]


def test_a_full_disk_for_another_plugin_is_one_line(suite):
    """The claim report is written all the same."""
    suite.claims(suite.rate_claim(38))
    result = suite.run("--junit-xml=/dev/full")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "claim report: reports/claims.html",
            "cannot write /dev/full or */pytest.html: No space left on device; it is not whole",
        ]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "It mostly works" in (suite.reports / "claims.html").read_text()


@pytest.fixture
def default_signals():
    """Give SIGTERM and SIGHUP their default action, as in a process of its own."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("Python runs signal handlers in the main thread alone")
    kept = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    after = [signal.signal(number, handler) for number, handler in kept.items()]
    assert after == [signal.SIG_DFL] * 2, "the plugin gives back what it took"


STOPPED = """
import os, signal

@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    try:
        os.kill(os.getpid(), signal.{name})
        lm.next_logits([lm.embed_text("the cat")])
    finally:
        os.kill(os.getpid(), signal.{name})
    return trials(38)
"""
SWALLOWED = """
import os, signal

@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    try:
        os.kill(os.getpid(), signal.{name})
    except BaseException:
        pass
    return trials(38)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("body", [STOPPED, SWALLOWED], ids=["raised twice", "swallowed"])
def test_a_signal_ends_a_run_with_its_report(suite, default_signals, name, body):
    suite.claims(suite.rate_claim(38) + body.format(name=name) + suite.rate_claim(38, name="three"))
    result = suite.run("--record")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["nothing recorded: the run was cut short*", f"!*stopped by {name} !*"])
    assert suite.record("one").verdict == "holds"
    assert not list(suite.reports.glob("records/*/three.json"))
    assert "It mostly works" in (suite.reports / "claims.html").read_text()


def test_a_signal_during_collection_or_setup_ends_the_run(suite, default_signals):
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"
    suite.claims(kill + suite.rate_claim(38))
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["!*stopped by SIGTERM !*"])
    assert not suite.reports.joinpath("records").exists()

    fixture = (
        "@pytest.fixture\ndef words(lm):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    suite.claims(suite.rate_claim(38) + fixture + suite.rate_claim(38, name="two").replace("(lm)", "(words)"))
    assert suite.run().ret == pytest.ExitCode.INTERRUPTED
    assert [path.stem for path in suite.reports.glob("records/*/*")] == ["one"]


def test_a_handler_of_the_host_is_kept(suite, default_signals):
    seen = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    suite.claims(STOPPED.format(name="SIGTERM"))
    assert suite.run().ret == 0
    assert seen == [signal.SIGTERM] * 2
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.parametrize(
    "arguments",
    [["-n", "2"], ["-n", "auto"], ["--dist", "each", "--tx", "2*popen"], ["--dist=loadgroup", "-n1"]],
)
def test_several_processes_are_refused(suite, no_model, arguments):
    suite.claims(suite.rate_claim(38))
    refused(
        suite.run(*arguments), "claims run in one process, so that each model is loaded once: leave out -n *"
    )
    assert not suite.reports.exists()


def test_several_processes_are_refused_from_the_environment_and_when_watching(suite, no_model, monkeypatch):
    suite.claims(suite.rate_claim(38))
    refused(suite.run("-f"), "claims run once per run, and -f (pytest-xdist) repeats them: leave it out")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-n 2")
    refused(suite.run(), "claims run in one process*")
    assert suite.run("--collect-only").ret == 0


def test_one_process_of_xdist_is_none(suite):
    suite.claims(suite.rate_claim(38))
    suite.run("-n", "0").assert_outcomes(passed=1)


def test_ordinary_tests_of_the_project_may_run_in_several_processes(suite, tmp_path):
    """A folder of reports that is not there yet does not make the workers start over."""
    suite.claims(suite.rate_claim(38))
    suite.pytester.makepyfile(test_plain="def test_plain():\n    pass\n")
    result = suite.run_apart("-n", "1", "test_plain.py", "--reports", tmp_path / "not" / "there")
    result.assert_outcomes(passed=1)


TAKEN = """
def pytest_addoption(parser):
    for name in {names}:
        parser.addoption("--" + name, default="theirs")
"""
SHORT = ["model", "dtype", "device", "weights", "thinking", "record", "require-models", "reports"]


@pytest.fixture(params=["-p", "PYTEST_PLUGINS"], ids=["before", "after"])
def taken(request, pytester, monkeypatch):
    """Build a plugin that adds options of the given names, before or after the entry points are loaded."""

    def build(names: list[str]) -> list[str]:
        pytester.makepyfile(taken_names=TAKEN.format(names=names))
        pytester.syspathinsert()
        if request.param == "-p":
            return ["-p", "taken_names"]
        monkeypatch.setenv("PYTEST_PLUGINS", "taken_names")
        return []

    return build


def test_other_projects_keep_every_short_name(pytester, taken):
    """The entry point is loaded in every project of the environment."""
    arguments = taken(SHORT)
    pytester.makepyfile("""
        def test_options(pytestconfig):
            for name in ("model", "dtype", "device", "record", "reports"):
                assert getattr(pytestconfig.option, name) == "mine"
        """)
    mine = [f"--{name}=mine" for name in SHORT]
    pytester.runpytest_inprocess(*arguments, *mine).assert_outcomes(passed=1)


def test_other_projects_have_no_short_names(pytester):
    pytester.makepyfile("def test_plain():\n    pass\n")
    for name in SHORT:
        result = pytester.runpytest_inprocess(f"--{name}=x")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*unrecognized arguments: --{name}=x"])
    result = pytester.runpytest_inprocess("--vsg-model=x")
    refused(result, "--vsg-model: there are no claims here, for no conftest.py loads vsg_core.plugin")
    help_text = pytester.runpytest_inprocess("--help").stdout.str()
    assert all(f"--vsg-{name}" in help_text for name in SHORT)


def test_a_short_name_of_another_plugin_is_refused_for_claims(suite, taken):
    suite.claims(suite.rate_claim(38))
    arguments = taken(["device"])
    refused(
        suite.run(*arguments, "--device", "cpu"),
        "--device is an option of another plugin here, and claims would not see it: use --vsg-device",
    )
    suite.run(*arguments, "--vsg-device", "cpu", "--dtype", "bfloat16").assert_outcomes(passed=1)
    assert suite.record("one").evidence.dtype == "bfloat16"
    suite.pytester.makepyfile(
        test_plain="def test_plain(pytestconfig):\n    assert pytestconfig.option.device == 'phone'\n"
    )
    suite.run(*arguments, "--device", "phone", "test_plain.py").assert_outcomes(passed=1)


def test_options_work_without_entry_points(suite, monkeypatch, tiny_llama):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.claims(suite.rate_claim(38))
    suite.model = None
    suite.run(f"--model={tiny_llama}", "--dtype", "bfloat16").assert_outcomes(passed=1)
    assert suite.record("one").evidence.dtype == "bfloat16"


def test_paths_of_the_environment_are_not_paths_of_tests(suite, monkeypatch, tiny_llama):
    suite.claims(suite.rate_claim(38))
    suite.model = None
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--model {tiny_llama}")
    suite.run().assert_outcomes(passed=1)
    assert suite.record("one").verdict == "holds"


@pytest.mark.parametrize("plugin", ["capture", "cacheprovider", "html", "junitxml", "terminal"])
def test_a_run_needs_none_of_these_plugins(suite, plugin):
    suite.claims(suite.rate_claim(38))
    assert suite.run("-p", f"no:{plugin}").ret == 0
    assert suite.record("one").verdict == "holds"
    assert (suite.reports / "claims.html").exists()


def test_another_rootdir_moves_neither_reports_nor_recorded_verdicts(suite, tmp_path, monkeypatch):
    suite.claims(suite.rate_claim(38), file="test_things.py")
    suite.run("--record")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.ini").write_text("[pytest]\n")
    claims = suite.pytester.path / "hypotheses"
    for arguments in ([f"--rootdir={tmp_path}"], ["-c", tmp_path / "other.ini"], []):
        suite.reports.joinpath("claims.json").unlink()
        result = suite.run(*arguments, claims, "-v")
        result.assert_outcomes(passed=1)
        assert suite.record("one").outcome == "same"
        assert suite.reports.joinpath("claims.json").exists()
        assert suite.reports.joinpath("pytest.html").exists()


SHUFFLED = """
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    yield
    items.sort(key=lambda item: item.name)
    items.reverse()
"""


def test_claims_are_grouped_by_model_in_any_order(suite, other_llama, monkeypatch):
    """A plugin that sorts or shuffles tests makes no model load twice, nor one that does not load be tried twice."""
    loaded = []

    def counted(target: str, **options: Any) -> LanguageModel:
        loaded.append(Path(target).name)
        if target == str(other_llama):
            raise ValueError("weights of\nanother kind")
        return load_model(target, **options)

    monkeypatch.setattr(fixtures.models, "load_model", counted)
    conftest = suite.pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text().replace("models", "models', 'fixtures.records").replace('"', "'") + SHUFFLED
    )
    suite.claims(
        suite.rate_claim(38, name="z_last").replace("(lm)", "(records)")
        + "".join(suite.rate_claim(38, name=name) for name in "abc")
    )
    result = suite.run("--model", other_llama, "-v")
    assert sorted(loaded) == ["other-random", "tiny-random"]
    reason = "other-random cannot be loaded: ValueError: weights of another kind"
    for name in "abc":
        result.stdout.fnmatch_lines([f"broken, no verdict: {name} on other-random: error: {reason}"])
    assert result.stdout.str().count("Traceback") == 1, "where it failed is shown once"
    names = [line.split("::")[1].split("]")[0] for line in result.outlines if line.startswith("hypotheses/")]
    models = [name.partition("[")[2] for name in names]
    assert len(names) == 7
    assert models[-1] == "across-models"
    assert models == sorted(models, key=models.index)


RETRIED = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for attempt in range(3):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_failed_claim_is_not_retried_into_passing(suite):
    suite.claims("""
        seen = []

        @claim("It works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm):
            seen.append(1)
            print(f"attempt {len(seen)}")
            return trials(38 if len(seen) > 1 else 1 / 0)
        """)
    conftest = suite.pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text() + RETRIED)
    result = suite.run("-s")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["broken, no verdict: one on tiny-random: error: ZeroDivisionError*"])
    result.stdout.no_fnmatch_line("*attempt 2*")
    assert suite.record("one").outcome == "broken"


def test_a_repeated_claim_is_refused(suite, no_model):
    suite.claims(suite.rate_claim(38))
    conftest = suite.pytester.path / "conftest.py"
    repeat = "\ndef pytest_generate_tests(metafunc):\n    metafunc.fixturenames.append('again')\n"
    conftest.write_text(conftest.read_text() + repeat + "    metafunc.parametrize('again', [1, 2])\n")
    refused(
        suite.run(), "*are one claim, one, twice: a claim runs once per model, so nothing may repeat it *"
    )
