"""The line of the running claim, in a real pseudo-terminal; and no line elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.screen import screen
from vsg_core.plugin.live import Progress, Row
from vsg_core.plugin.live_line import LiveLine
from vsg_core.runs.shards import Shard

# The claim waits until the file is there, so the test decides how long it runs; not for ever, if the test fails.
WAITING = """
import sys, time
from pathlib import Path

@claim("It mostly works", rule=rate(above=0.5), **ABOUT)
def test_one(lm):
    print("the claim speaks")
    print("and complains", file=sys.stderr)
    for _ in range(6000):
        if not Path("go-on").exists():
            time.sleep(0.01)
    return trials(38)

@claim("It mostly works", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    return trials(38)
"""
TEXT = "claim 1 of 2: one on tiny-random … 0:"


@dataclass
class Terminal:
    """pytest in a pseudo-terminal of 80 columns, and what it has written so far."""

    master: int
    output: bytes = b""

    def read_until(self, text: str, times: int = 1) -> bool:
        """Read until the text has appeared so often; return whether it did before the end."""
        while self.output.count(text.encode()) < times:
            try:
                piece = os.read(self.master, 4096)
            except OSError:
                # The end on Linux, where it is an error.
                return False
            if not piece:
                return False
            self.output += piece
        return True

    @property
    def lines(self) -> list[str]:
        return screen(self.output.decode())


@contextmanager
def in_a_terminal(arguments: list[str], folder: Path) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    os.set_inheritable(slave, True)
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    subprocess.run(["stty", "cols", "80", "rows", "24"], stdin=slave, check=True)
    command = [sys.executable, "-m", "pytest", "--color=no", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    with closing(os.fdopen(master, "rb", buffering=0)):
        try:
            yield Terminal(master)
        finally:
            process.kill()
            process.wait()


def test_a_terminal_shows_the_running_claim_below_the_progress_and_nothing_of_it_stays(suite):
    suite.claims(WAITING)
    folder = suite.pytester.path
    with in_a_terminal(["--model", str(suite.model), "-k", "one or two"], folder) as terminal:
        assert terminal.read_until(TEXT, times=2), terminal.lines
        *_, progress, last = terminal.lines
        assert progress == "hypotheses/things.py"
        assert last.startswith(TEXT)
        (folder / "go-on").touch()
        terminal.read_until("no such text")
    assert not [line for line in terminal.lines if "…" in line or "the claim" in line]
    assert [line for line in terminal.lines if line.startswith("hypotheses/things.py hh ")]
    assert [line for line in terminal.lines if "2 passed" in line]


def test_without_a_terminal_there_is_no_line(suite, monkeypatch):
    """Nor with output that is not captured, where it would mix with what a claim prints."""
    monkeypatch.setenv("TERM", "xterm")
    suite.claims(suite.rate_claim(38))
    for arguments in ([], ["-s"]):
        result = suite.run(*arguments)
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*…*")
        assert "\x1b" not in result.stdout.str()


LONG = "chat_embeddings_give_empty_output"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            120,
            "smollm2-135m-instruct  claim 12 of 116  chat_embeddings_give_empty_output  0:09  about 2 min left",
        ),
        (80, "smollm2-135m-instruct  claim 12 of 116  chat_embeddings…  0:09  about 2 min left"),
        (66, "smollm2-13…  claim 12 of 116  chat_embedd…  0:09  about 2 min left"),
    ],
)
def test_a_narrow_terminal_shortens_the_names_of_a_worker_s_line_alone(
    pytestconfig, monkeypatch, capsys, width, shown
):
    monkeypatch.setattr(time, "monotonic", lambda: 9.0)
    name = "smollm2-135m-instruct"
    shard = Shard(name, name, name, tuple(f"claim {number}" for number in range(116)), seconds=120)
    progress = Progress(pytestconfig, [shard])
    progress.rows = {name: Row(shard, since=0.0, claim=LONG, ended=11)}
    Console(width=width).print(progress.table(width))
    assert capsys.readouterr().out == shown + "\n"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (90, "claim 3 of 10: chat_embeddings_give_empty_output on smollm2-135m-instruct … 0:09"),
        (64, "claim 3 of 10: chat_embeddings_… on smollm2-135m-instruct … 0:09"),
        (50, "claim 3 of 10: chat_embedd… on smollm2-135… … 0:09"),
    ],
)
def test_a_narrow_terminal_shortens_the_names_of_the_running_claim_alone(
    pytestconfig, monkeypatch, width, shown
):
    monkeypatch.setattr(time, "monotonic", lambda: 9.0)
    line = LiveLine(pytestconfig, terminal=1)
    line.running, line.since = ("claim 3 of 10", LONG, "smollm2-135m-instruct"), 0.0
    assert line.line(width) == shown
