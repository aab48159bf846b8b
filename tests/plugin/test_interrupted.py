"""An interrupted run says how far it came and which command continues it, and leaves no empty files."""

from __future__ import annotations

import shlex
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.plugin.test_scatter import LIGHT, launched, light, until
from vsg_core.plugin.interrupted import continuing_command
from vsg_core.plugin.options import SHORT
from vsg_core.projects import pytest_command

ENDS = "raise KeyboardInterrupt"


def last_line(result: pytest.RunResult) -> str:
    return [line for line in result.outlines if line][-1]


def test_the_last_line_is_a_command_that_continues_the_run(suite):
    suite.claims(LIGHT + light("one") + light("two", ENDS) + light("three"))
    result = suite.run("-m", "not across")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    said, _, command = last_line(result).partition("; continue with: ")
    assert said == "interrupted: 1 of 3 claims done"
    words = shlex.split(command)
    assert words == ["pytest", "--resume", f"--model={suite.model}", "-m", "not across"]
    suite.model = None
    again = suite.run(*words[1:])
    again.stdout.fnmatch_lines(["resume: 1 kept, 2 to run: no record (2)"])
    assert last_line(again) == f"interrupted: 1 of 3 claims done; continue with: {command}"


def test_a_run_without_a_verdict_leaves_no_report_and_no_folder(suite):
    suite.claims(LIGHT + light("one", ENDS))
    assert last_line(suite.run()).startswith(
        "interrupted: 0 of 1 claim done; continue with: pytest --resume "
    )
    assert not suite.reports.exists()
    suite.reports.mkdir()
    page = suite.reports / "pytest.html"
    page.write_text("of an earlier run")
    suite.run()
    assert page.read_text() == "of an earlier run"
    suite.run("--html=asked_for.html")
    assert (suite.pytester.path / "asked_for.html").exists()


def test_workers_without_a_verdict_leave_no_folder(suite):
    suite.claims(LIGHT + light("one", "time.sleep(600)"))
    run = launched(suite, "local:1", output=subprocess.PIPE)
    try:
        until((suite.pytester.path / "notes").exists)
        run.send_signal(signal.SIGINT)
        lines = run.communicate(timeout=300)[0].decode().splitlines()
    finally:
        run.kill()
    assert lines[-1].startswith("interrupted: 0 of 1 claim done; continue with: pytest --resume ")
    assert [path.name for path in suite.reports.iterdir()] == [".shards.lock"]


@pytest.mark.parametrize("body", ["pytest.exit('enough')", "1 / 0"])
def test_what_ends_a_run_of_its_own_accord_is_no_interruption(suite, body):
    suite.claims(LIGHT + light("one", body) + light("two"))
    suite.run("-x").stdout.no_fnmatch_line("interrupted:*")


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["-k", "a or b"], "vsg run --resume -k 'a or b'"),
        (["-x", "--vsg-resume"], "vsg run -x --vsg-resume"),
        (
            ["--model", "openai:a@http://me:secret@host/v1?key=1"],
            "vsg run --resume --model openai:a@http://host/v1",
        ),
    ],
)
def test_the_command_has_the_words_that_were_given(tmp_path, monkeypatch, given, command):
    """Not those that `vsg run` adds, nor a password."""
    monkeypatch.chdir(tmp_path)
    words = pytest_command(given, Path.cwd())
    config = SimpleNamespace(
        invocation_params=SimpleNamespace(args=words[words.index("pytest") + 1 :], dir=Path.cwd()),
        option=SimpleNamespace(vsg_resume="--vsg-resume" in given),
        stash={SHORT: ["resume"]},
    )
    assert continuing_command(cast(pytest.Config, config)) == command
