"""Pools as the plugin sees them: what a claim draws from, and the run's choice of how many trials, --trials N."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    trials = config.option.vsg_trials
    if trials is not None and trials < 1:
        raise pytest.UsageError(f"--trials {trials}: give a whole number from 1 up")
    if trials is not None and config.option.vsg_record:
        raise pytest.UsageError(
            "--trials with --record: verdicts are recorded with each claim's own number of trials; leave one out"
        )


@pytest.fixture(scope="session")
def chosen_trials(pytestconfig: pytest.Config) -> int | None:
    """The run's choice of how many items a claim draws from its pool; None for the claim's own number."""
    chosen: int | None = pytestconfig.option.vsg_trials
    return chosen


def trials_of(item: pytest.Item) -> int | None:
    """The run's choice where a claim draws from a pool, itself or through a fixture; else None."""
    draws = chosen_trials.__name__ in getattr(item, "fixturenames", ())
    chosen: int | None = item.config.option.vsg_trials if draws else None
    return chosen


def population_of(item: pytest.Item) -> str:
    """Return what a claim's items are drawn from, in the words of those of its fixtures that have a `population`."""
    arguments = getattr(item, "funcargs", {}).values()
    named = dict.fromkeys(getattr(each, "population", None) for each in arguments)
    return "; ".join(each for each in named if isinstance(each, str))
