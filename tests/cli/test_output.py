"""The output of the commands on a full disk, in a closed pipe or file, and in another encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "models",
    "models --json",
    "claims --json",
    "table",
    "schema record",
    "--help",
    "--version",
    "report -h",
]


def start(command: str, shell: str = "", **environment: str) -> subprocess.Popen[str]:
    """Start `vsg COMMAND`, followed by shell syntax such as a redirection."""
    script = f"{sys.executable} -c 'from vsg_core.cli.main import main; main()' {command} {shell}"
    return subprocess.Popen(
        ["bash", "-c", script], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


@pytest.mark.parametrize(
    ("shell", "code", "errors"),
    [
        ("> /dev/full", 1, "vsg: cannot write the output: No space left on device\n"),
        (">&-", 1, "vsg: cannot write the output: standard output is closed\n"),
        # As a tool that SIGPIPE ended.
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
    ids=["full", "closed", "pipe"],
)
def test_output_that_cannot_be_written_is_one_line_at_most(shell, code, errors):
    started = {command: start(command, shell) for command in COMMANDS}
    found = {command: ended(process) for command, process in started.items()}
    assert found == dict.fromkeys(COMMANDS, (code, "", errors))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_exit_code_does_not_depend_on_stderr(unbuffered):
    wrong, failed = (
        start(command, "2> /dev/full", PYTHONUNBUFFERED=unbuffered)
        for command in ("nonsense", "report --reports nowhere")
    )
    assert [ended(wrong), ended(failed)] == [(2, "", ""), (1, "", "")]


def test_an_encoding_without_some_characters_loses_none_of_them():
    plain = start("claims --json", PYTHONIOENCODING="utf-8"), start("claims --json", PYTHONIOENCODING="ascii")
    (_, whole, _), (code, escaped, errors) = map(ended, plain)
    assert (code, errors) == (0, "")
    assert json.loads(escaped) == json.loads(whole)
    assert not whole.isascii()
    assert escaped.isascii()
    assert ended(start("claims", PYTHONIOENCODING="ascii"))[0] == 0
