"""The model to be timed, the race between contestants, and the final table of ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from vsg_core import LanguageModel, load_model
from vsg_core.weights.registry import DEFAULT_MODEL

# Does the work once and returns how many positions it wrote.
Work = Callable[[], int]


@dataclass(frozen=True)
class Race:
    """The seconds of every contestant's rounds; round i of each ran right before or after round i of the others."""

    positions: int
    seconds: Mapping[str, list[float]]

    def speed(self, contestant: str) -> float:
        """Return the tokens per second of the median round."""
        return self.positions / median(self.seconds[contestant])

    def ratio(self, contestant: str, other: str) -> float:
        """Return the speed relative to the other contestant, as the median over the rounds."""
        rounds = zip(self.seconds[contestant], self.seconds[other], strict=True)
        return median(theirs / ours for ours, theirs in rounds)


RACES = pytest.StashKey[dict[str, Race]]()
# The lines of other tables, by title.
TABLES = pytest.StashKey[dict[str, list[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the model of the benchmark that runs all claims."""
    parser.addoption("--bench-model", default=DEFAULT_MODEL, help="model whose whole catalogue is timed")


@pytest.fixture(scope="session")
def endless() -> Iterator[LanguageModel]:
    """Load the embedded model without end tokens, so that all contestants do the same work."""
    with load_model(DEFAULT_MODEL) as loaded:
        yield LanguageModel(loaded.engine, loaded.tokenizer, end_ids=())


@pytest.fixture
def race(benchmark: Any, pytestconfig: pytest.Config) -> Callable[[str, Mapping[str, Work], int], None]:
    """Run the contestants in turn, A B C A B C, so that other load on the machine affects all equally.

    pytest-benchmark times the first one and runs the others between its rounds.
    """

    def run(name: str, contestants: Mapping[str, Work], rounds: int) -> None:
        # The warm-up.
        written = {contestant: work() for contestant, work in contestants.items()}
        assert len(set(written.values())) == 1, f"the contestants did not do equal work: {written}"
        (first, timed), *others = contestants.items()
        seconds: dict[str, list[float]] = {contestant: [] for contestant in contestants}

        def run_others() -> None:
            for contestant, work in others:
                began = time.perf_counter()
                work()
                seconds[contestant].append(time.perf_counter() - began)

        benchmark.pedantic(timed, setup=run_others, rounds=rounds)
        if benchmark.stats is None:
            # With --benchmark-disable they run without being timed.
            return
        seconds[first] = benchmark.stats.stats.data
        result = Race(written[first], seconds)
        benchmark.extra_info |= {contestant: result.speed(contestant) for contestant in contestants}
        pytestconfig.stash.setdefault(RACES, {})[name] = result

    return run


@pytest.fixture
def print_table(pytestconfig: pytest.Config) -> Callable[[str, list[str]], None]:
    """Print a table of its own, given its title and lines, after those of the races."""
    return pytestconfig.stash.setdefault(TABLES, {}).__setitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print, for every race, each contestant's tokens per second and its speed relative to each of the others."""
    for name, result in config.stash.get(RACES, {}).items():
        contestants = list(result.seconds)
        terminalreporter.section(f"{name}: tokens per second, and speed relative to contestant 1, 2, ...")
        numbers = "".join(f"{f'x {number}':>8}" for number, _ in enumerate(contestants, 1))
        terminalreporter.line(f"{'tokens/s':>37}{numbers}")
        for number, contestant in enumerate(contestants, 1):
            ratios = "".join(f"{result.ratio(contestant, other):8.2f}" for other in contestants)
            terminalreporter.line(f"{number}  {contestant:24}{result.speed(contestant):10.1f}{ratios}")
    for title, lines in config.stash.get(TABLES, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
