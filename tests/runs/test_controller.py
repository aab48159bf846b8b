"""Decisions of the controller, on scripted workers: the order of shards, and what is tried again."""

from __future__ import annotations

from collections.abc import Iterator

from vsg_core.runs.controller import Controller, Done, Finished, Lost
from vsg_core.runs.events import Ended, Event, Hello, Reported, Started
from vsg_core.runs.shards import Shard, packed, sharing

CODE = "abc"


class Scripted:
    """Runs one shard at a time; each attempt ends as the next entry of the script says.

    Args:
        script: for each attempt, how many of its claims end, and the exit code of its worker.
    """

    number = 1

    def __init__(self, script: list[tuple[int, int | None]], too_large: str = "") -> None:
        self.script: Iterator[tuple[int, int | None]] = iter(script)
        self.started: list[tuple[str, tuple[str, ...], bool]] = []
        self.too_large = too_large
        self.silent = False
        self._events: list[Event] = []

    def misfit(self, shard: Shard) -> str:
        return "too large" if shard.name == self.too_large else ""

    def free(self, shard: Shard, alone: bool = False) -> bool:
        return not self._events

    def start(self, shard: Shard, alone: bool = False) -> None:
        self.started.append((shard.name, shard.claims, alone))
        ended, code = next(self.script, (len(shard.claims), 0))
        self._events = [Hello(shard.name, "node/1", CODE)]
        for claim in shard.claims[:ended]:
            self._events += [Started(shard.name, "node/1", claim)]
            self._events += [
                Reported(shard.name, "node/1", claim, {"when": when})
                for when in ("setup", "call", "teardown")
            ]
        if code != 0 and ended < len(shard.claims):
            self._events.append(Started(shard.name, "node/1", shard.claims[ended]))
        if not self.silent:
            self._events.append(Ended(shard.name, code))

    def events(self, seconds: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def avoid(self, node: str) -> None:
        """There is one node."""

    def stop(self, shard: str) -> None:
        self._events = [Ended(shard, -9)]

    def close(self) -> None:
        """Nothing is open."""


def shard(name: str, *claims: str, seconds: float = 0.0, memory: int = 0) -> Shard:
    return Shard(name, name, name, claims, code=CODE, seconds=seconds, memory=memory)


def outcomes(executor: Scripted, *shards: Shard) -> tuple[list[str], list[tuple[str, str]]]:
    """The claims that finished, and those lost with their reasons."""
    seen = list(Controller(shards, executor).run())
    assert sum(isinstance(each, Done) for each in seen) == len(shards)
    finished = [each.claim for each in seen if isinstance(each, Finished)]
    return finished, [(each.claim, each.reason) for each in seen if isinstance(each, Lost)]


def test_the_longest_shard_starts_first():
    executor = Scripted([])
    outcomes(executor, shard("short", "a", seconds=1), shard("long", "b", seconds=9), shard("new", "c", "d"))
    assert [name for name, _, _ in executor.started] == ["long", "short", "new"]


def test_a_claim_that_ran_when_its_worker_died_is_tried_once_more_and_last():
    executor = Scripted([(1, -15), (1, -15)])
    finished, lost = outcomes(executor, shard("m", "a", "b", "c"))
    assert [claims for _, claims, _ in executor.started] == [("a", "b", "c"), ("c", "b")]
    assert finished == ["a", "c"]
    assert lost == [("b", "worker died (signal 15)")]


def test_after_signal_9_a_shard_has_the_machine_to_itself():
    executor = Scripted([(1, -9)])
    finished, lost = outcomes(executor, shard("m", "a", "b"))
    assert [alone for _, _, alone in executor.started] == [False, True]
    assert (finished, lost) == (["a", "b"], [])


def test_workers_that_end_before_any_claim_are_given_up():
    executor = Scripted([(0, -11)] * 9)
    finished, lost = outcomes(executor, shard("m", "a", "b", "c", "d"))
    assert len(executor.started) == 3
    assert finished == []
    assert {claim for claim, _ in lost} == {"a", "b", "c", "d"}


def test_a_worker_that_runs_less_than_its_claims_is_tried_again_once():
    executor = Scripted([(0, 0), (0, 0)])
    _, lost = outcomes(executor, shard("m", "a"))
    assert lost == [("a", "worker ended without it (exit code 0)")]
    assert len(executor.started) == 2


def test_a_shard_that_fits_nowhere_any_more_is_lost_with_the_reason():
    finished, lost = outcomes(Scripted([], too_large="m"), shard("m", "a"), shard("n", "b"))
    assert (finished, lost) == (["b"], [("a", "too large")])


def test_silence_ends_a_worker_with_the_reason():
    """Without the machine to itself: its memory is not to blame."""
    executor = Scripted([(0, None)] * 2)
    executor.silent = True
    seconds = iter(range(0, 1000, 3))
    seen = list(Controller([shard("m", "a")], executor, 5, lambda: next(seconds)).run())
    assert [each.reason for each in seen if isinstance(each, Lost)] == ["no claim ended within 5 s"]
    assert [alone for _, _, alone in executor.started] == [False, False]


def test_claims_are_grouped_through_what_they_share():
    groups = sharing({"a": {"x"}, "b": {"y"}, "c": set(), "d": {"x", "y"}, "e": {"z"}})
    assert sorted(map(sorted, groups)) == [["a", "b", "d"], ["c"], ["e"]]


def test_parts_are_of_about_the_same_duration():
    parts = packed([["a"], ["b"], ["c", "d"]], {"a": 5.0, "b": 1.0, "c": 2.0, "d": 2.0}, 2)
    assert sorted(map(sorted, parts)) == [["a"], ["b", "c", "d"]]
