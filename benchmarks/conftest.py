"""The model that is timed, and the table of ratios at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vsg_core import LanguageModel, load_model
from vsg_core.concept_command import DEFAULT_MODEL

RESULTS = pytest.StashKey[dict[tuple[str, str], float]]()


@pytest.fixture(scope="session")
def endless() -> Iterator[LanguageModel]:
    """The embedded model, for which no token ends an answer: every contestant does the same work."""
    lm = load_model(DEFAULT_MODEL)
    lm.__dict__["end_ids"] = frozenset()
    yield lm
    lm.close()


@pytest.fixture
def race(
    benchmark: Any, request: pytest.FixtureRequest
) -> Callable[[str, str, int, Callable[[], object]], None]:
    """Time a contestant of a group, and keep its tokens a second: the median of 5 rounds after a warm-up."""

    def run(group: str, contestant: str, tokens: int, work: Callable[[], object]) -> None:
        benchmark.group = group
        benchmark.pedantic(work, rounds=5, warmup_rounds=1)
        results = request.config.stash.setdefault(RESULTS, {})
        results[group, contestant] = tokens / benchmark.stats.stats.median

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Every contestant's tokens a second, and how it stands to the first and the last of its group."""
    results = config.stash.get(RESULTS, {})
    if not results:
        return
    terminalreporter.section("tokens a second, and ratios within the group")
    for group in dict.fromkeys(group for group, _ in results):
        entries = {contestant: rate for (g, contestant), rate in results.items() if g == group}
        for contestant, rate in entries.items():
            ratios = "  ".join(
                f"{rate / other:5.2f} x {name}" for name, other in entries.items() if name != contestant
            )
            terminalreporter.line(f"{group:18} {contestant:22} {rate:8.1f}   {ratios}")
