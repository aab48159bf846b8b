"""A decoding step next to other processes: with torch's own way of waiting, and with the limit that runs set.

Goals, relative to a step of torch's own way with nothing else running: at most 1.05 alone, 2.3 next to a busy process
of one thread, 3 next to a second run. Fair shares of two cores are 1.5 and 2.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from vsg_core.runs.spinning import CHOICES, LIMIT, SPINS

ROOT = Path(__file__).parent.parent
WAYS: Mapping[str, Mapping[str, str]] = {"torch's own": {}, f"{SPINS}={LIMIT}": {SPINS: str(LIMIT)}}
ALONE, BUSY, SECOND = SITUATIONS = ("alone", "busy process", "second run")
# Seconds of one measurement, and the rounds, each with several short ones of a step alone.
SECONDS, ROUNDS, SHORT = 1.0, 4, 3


class Stepper:
    """A process of stepping.py, ready for requests.

    Args:
        way: the variables that say how its threads wait.
    """

    def __init__(self, way: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in CHOICES}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "stepping.py")],
            env={**inherited, **way, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Two that start at once would wait for each other.
        assert self.answer() == "ready"

    def ask(self, request: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, f"{self.process.args} ended"
        return line

    def milliseconds(self, seconds: float = SECONDS) -> float:
        """Return the time of the median step."""
        self.ask(str(seconds))
        return float(self.answer())


@contextmanager
def stepper(way: Mapping[str, str]) -> Iterator[Stepper]:
    """Start a process that steps, and kill it at the end."""
    started = Stepper(way)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        # Python has started by then.
        time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def second_run(other: Stepper) -> Iterator[None]:
    """Let the other process step all the time."""
    other.ask("go")
    try:
        yield
    finally:
        other.ask("stop")
        other.answer()


def test_neighbours(print_table: Callable[[str, list[str]], None]) -> None:
    """Time both ways of waiting in each situation, in turn, so that other load on the machine affects all equally."""
    times: dict[tuple[str, str], list[float]] = {
        (way, situation): [] for way in WAYS for situation in SITUATIONS
    }
    with ExitStack() as stack:
        pairs = {name: [stack.enter_context(stepper(way)) for _ in range(2)] for name, way in WAYS.items()}
        for _ in range(ROUNDS):
            for _ in range(SHORT):
                for name, (first, _) in pairs.items():
                    times[name, ALONE].append(first.milliseconds(SECONDS / 2))
            for name, (first, other) in pairs.items():
                with busy_process():
                    times[name, BUSY].append(first.milliseconds())
                with second_run(other):
                    times[name, SECOND].append(first.milliseconds())
    print_table(
        "batch 8 next to other processes: milliseconds per step, and relative to torch's own way alone",
        lines(times),
    )


def lines(times: Mapping[tuple[str, str], list[float]]) -> list[str]:
    """Return a line per way of waiting: the median of each situation, and its ratio to torch's own way alone."""
    found = [" " * 24 + "".join(f"{situation:>20}" for situation in SITUATIONS)]
    quiet = times[next(iter(WAYS)), ALONE]
    for way in WAYS:
        cells = []
        for situation in SITUATIONS:
            own = times[way, situation]
            # Measurements alone are pairs that ran one after the other.
            pairs = zip(own, quiet if situation == ALONE else [median(quiet)] * len(own), strict=True)
            cells.append(f"{median(own):11.1f} {median(each / alone for each, alone in pairs):8.2f}")
        found.append(f"{way:24}" + "".join(cells))
    return found
