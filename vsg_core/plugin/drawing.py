"""Pools as the plugin sees them: what a claim draws from, and how many items and which a run makes it draw.

--trials N chooses how many; --confirm also deals items that were never drawn before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from vsg_core.records.registered import claim_seed


@dataclass(frozen=True, eq=False)
class Dealing:
    """The items that claims draw in a confirming run.

    Args:
        seed: of the run, which the freeze's bytes and the nonce determine.
        owners: the claims of the freeze, among which each pool is divided.
        explored: the names and seeds under which items were drawn before the freeze.
        trials: by claim, how many items it draws.
        shared: by fixture, how many items are drawn in it: the largest number of the claims that ask for it.
    """

    seed: str
    owners: tuple[str, ...]
    explored: tuple[tuple[str, int], ...]
    trials: Mapping[str, int]
    shared: Mapping[str, int]

    def claim_seed(self, claim: str) -> int:
        """The seed of a claim's random draws."""
        return claim_seed(self.seed, claim)


DEALING = pytest.StashKey[Dealing]()


def pytest_configure(config: pytest.Config) -> None:
    trials = config.option.vsg_trials
    if trials is not None and trials < 1:
        raise pytest.UsageError(f"--trials {trials}: give a whole number from 1 up")
    if trials is not None and config.option.vsg_record:
        raise pytest.UsageError(
            "--trials with --record: verdicts are recorded with each claim's own number of trials; leave one out"
        )


@pytest.fixture(scope="session")
def dealing(pytestconfig: pytest.Config) -> Dealing | None:
    """The items that claims draw in a run that confirms; None in any other run."""
    return pytestconfig.stash.get(DEALING, None)


@pytest.fixture(scope="session")
def chosen_trials(pytestconfig: pytest.Config) -> int | None:
    """The run's choice of how many items a claim draws from its pool; None for the claim's own number."""
    chosen: int | None = pytestconfig.option.vsg_trials
    return chosen


def trials_of(item: pytest.Item) -> int | None:
    """The run's choice where a claim draws from a pool, itself or through a fixture; else None.

    A run that confirms takes the number of the freeze.
    """
    if chosen_trials.__name__ not in getattr(item, "fixturenames", ()):
        return None
    if (dealing := item.config.stash.get(DEALING, None)) is not None:
        return dealing.trials.get(getattr(item, "originalname", item.name).removeprefix("test_"))
    chosen: int | None = item.config.option.vsg_trials
    return chosen


def population_of(item: pytest.Item) -> str:
    """Return what a claim's items are drawn from, in the words of those of its fixtures that have a `population`."""
    arguments = getattr(item, "funcargs", {}).values()
    named = dict.fromkeys(getattr(each, "population", None) for each in arguments)
    return "; ".join(each for each in named if isinstance(each, str))
