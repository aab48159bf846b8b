"""Workers of this machine: who may start, with which part of it."""

from __future__ import annotations

import pytest

from vsg_core.runs.cards import Cards
from vsg_core.runs.events import Ended, Event
from vsg_core.runs.executor import Place
from vsg_core.runs.local import THREADS, LocalExecutor
from vsg_core.runs.shards import Shard

GB = 10**9


def shard(name: str, memory: int) -> Shard:
    return Shard(name, name, name, ("a",), memory=memory)


@pytest.fixture
def executor(tmp_path, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    executor = LocalExecutor(2, Place(tmp_path, tmp_path / "shards", "cpu"))
    executor.memory = 10 * GB
    yield executor
    executor.close()


def test_a_worker_starts_when_its_model_fits_beside_the_others(executor):
    executor.start(shard("first", 6 * GB))
    assert not executor.free(shard("large", 5 * GB))
    assert executor.free(shard("small", 4 * GB))
    assert not executor.free(shard("small", 4 * GB), alone=True)
    events: list[Event] = []
    while not events:
        events = executor.events(1)
    assert isinstance(events[-1], Ended)
    assert events[-1].code == 4, "there is no such claim"
    assert executor.free(shard("small", 4 * GB), alone=True)


def test_a_model_that_fits_nowhere_has_its_numbers(executor):
    assert executor.misfit(shard("m", 10 * GB)) == ""
    line = "m takes 11.0 GB, and this machine has 10.0 GB of memory free: take a smaller --dtype or another machine"
    assert executor.misfit(shard("m", 11 * GB)) == line


def test_small_models_share_cards_and_a_large_one_takes_several():
    cards = Cards({"0": 24 * GB, "1": 24 * GB, "2": 24 * GB})
    for name, chosen in {
        "a": {"0": 5 * GB},
        "b": {"1": 5 * GB},
        "c": {"2": 5 * GB},
        "d": {"0": 5 * GB},
    }.items():
        assert cards.fit(5 * GB) == chosen
        cards.taken[name] = cards.fit(5 * GB)
    assert cards.fit(40 * GB) == {}
    for name in ("a", "b", "d"):
        del cards.taken[name]
    assert list(cards.fit(40 * GB)) == ["0", "1"]
