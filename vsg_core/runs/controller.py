"""The controller's decisions: which shard starts next, what is tried again, and what is lost.

It knows neither processes nor pytest: an executor runs shards and hands over events, and the caller replays what comes
out.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vsg_core.records.files import parse_record
from vsg_core.records.record import Record
from vsg_core.runs.child import GAVE_UP
from vsg_core.runs.events import Ended, Event, Hello, Reported, Started, Warned, Wrote
from vsg_core.runs.executor import Executor
from vsg_core.runs.shards import Shard

# How often a claim is begun.
TRIES = 2
# How many workers of a shard may end in a row before a claim ends in one of them: fewer where no claim is to blame.
FRUITLESS, BLAMELESS = 3, 2
# Seconds between two looks at workers that are silent.
WAIT = 0.2
OUT_OF_MEMORY = -9


@dataclass(frozen=True)
class Launched:
    """A worker is being started for a shard."""

    shard: Shard


@dataclass(frozen=True)
class Finished:
    """A claim has ended.

    Args:
        reports: pytest's, as data, in their order; the teardown's is missing if the worker died in it.
        record: None where there is none.
    """

    shard: Shard
    claim: str
    reports: tuple[dict[str, Any], ...]
    record: Record | None


@dataclass(frozen=True)
class Lost:
    """A claim will not be run."""

    shard: Shard
    claim: str
    reason: str


@dataclass(frozen=True)
class Differed:
    """A claim was run twice, and the evidence of the second run is not that of the first."""

    shard: Shard
    claim: str
    first: Record
    second: Record


@dataclass(frozen=True)
class Done:
    """Nothing of a shard is left to run."""

    shard: Shard


Outcome = Launched | Finished | Lost | Differed | Done | Started | Warned | Wrote


@dataclass
class Attempt:
    """One start of a shard.

    Args:
        alone: nothing else ran on its machine.
        heard: when its last event came.
        begun: the claims that its workers have begun, by worker.
        parts: the reports of claims that have not ended, by worker and claim.
        hungry: claims that had too little memory.
        ended: how many claims have ended.
        fault: why it is being killed.
        ignored: workers that may not run claims.
    """

    shard: Shard
    alone: bool
    heard: float
    begun: dict[str, str] = field(default_factory=dict)
    parts: dict[tuple[str, str], list[Reported]] = field(default_factory=dict)
    hungry: list[str] = field(default_factory=list)
    ended: int = 0
    fault: str = ""
    ignored: set[str] = field(default_factory=set)


class Controller:
    """Runs shards until every claim has ended or is lost.

    Args:
        silence: seconds without an event after which a worker is killed; None for no limit.
        clock: seconds that pass.
        between: called between two turns, when every event that came has been handed over; may end the run by raising.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        executor: Executor,
        silence: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.executor = executor
        self.silence = silence
        self.clock = clock
        self.between = between
        self.waiting: list[tuple[Shard, bool]] = [(shard, False) for shard in shards]
        self.running: dict[str, Attempt] = {}
        self.records: dict[str, Record | None] = {}
        self.tries: Counter[str] = Counter()
        self.fruitless: Counter[str] = Counter()
        self._shards = {shard.name: shard for shard in shards}
        self._fed: set[str] = set()

    def run(self) -> Iterator[Outcome]:
        """Yield what happens to the claims, as it happens."""
        while self.waiting or self.running:
            yield from self._start()
            for event in self.executor.events(WAIT):
                yield from self._take(event)
            self._end_silent()
            self.between()

    def rest(self) -> Iterator[Finished]:
        """Yield the claims that had ended unseen when the executor was closed."""
        taken = [outcome for event in self.executor.events(0) for outcome in self._take(event)]
        yield from (outcome for outcome in taken if isinstance(outcome, Finished))

    def _start(self) -> Iterator[Outcome]:
        """Start what can start: the longest first, so that none is left over at the end."""
        self.waiting.sort(key=lambda each: (each[1], -each[0].seconds, -each[0].memory, -len(each[0].claims)))
        for shard, alone in list(self.waiting):
            if why := self.executor.misfit(shard):
                self.waiting.remove((shard, alone))
                yield from self._lose(shard, shard.claims, why)
                yield Done(shard)
            elif self.executor.free(shard, alone):
                self.waiting.remove((shard, alone))
                self.running[shard.name] = Attempt(shard, alone, self.clock())
                self.executor.start(shard, alone)
                yield Launched(shard)

    def _take(self, event: Event) -> Iterator[Outcome]:
        attempt = self.running.get(event.shard)
        if isinstance(event, Ended):
            if attempt:
                yield from self._end(attempt, event)
            return
        # A task that ran twice may still send events when its shard is done.
        attempt = attempt or Attempt(self._shards[event.shard], False, self.clock())
        attempt.heard = self.clock()
        if event.worker in attempt.ignored:
            return
        if isinstance(event, Hello):
            self._greet(attempt, event)
        elif isinstance(event, Started):
            attempt.begun[event.worker] = event.claim
            yield event
        elif isinstance(event, Reported):
            parts = attempt.parts.setdefault((event.worker, event.claim), [])
            parts.append(event)
            if event.report.get("when") == "teardown":
                del attempt.parts[event.worker, event.claim]
                yield from self._finish(attempt, parts)
        else:
            yield event

    def _greet(self, attempt: Attempt, hello: Hello) -> None:
        """Refuse what a worker without the controller's code would report, and its machine."""
        wanted = attempt.shard.code
        if hello.code != wanted:
            attempt.fault = (
                f"node {hello.node} runs other code ({hello.code}, and the controller {wanted}): another checkout, "
                "or a file that was edited since the run began; run again with --resume"
            )
            attempt.ignored.add(hello.worker)
            self.executor.avoid(hello.node)
            self.executor.stop(attempt.shard.name)

    def _finish(self, attempt: Attempt, parts: list[Reported]) -> Iterator[Outcome]:
        """A claim has ended: hand it over, unless it is to run again with more memory, or has ended before."""
        claim = parts[-1].claim
        text = next((part.record for part in reversed(parts) if part.record), None)
        record = parse_record(claim, text) if text else None
        attempt.ended += 1
        if claim in self.records:
            yield from self._compare(attempt.shard, claim, record)
        elif self._is_hungry(record) and not attempt.alone and claim not in self._fed:
            attempt.hungry.append(claim)
        else:
            self.records[claim] = record
            yield Finished(attempt.shard, claim, tuple(part.report for part in parts), record)

    def _compare(self, shard: Shard, claim: str, second: Record | None) -> Iterator[Outcome]:
        first = self.records[claim]
        if first and second and first.evidence_bytes != second.evidence_bytes:
            yield Differed(shard, claim, first, second)

    @staticmethod
    def _is_hungry(record: Record | None) -> bool:
        return bool(record and record.not_run and record.not_run.cause == "memory")

    def _end(self, attempt: Attempt, ended: Ended) -> Iterator[Outcome]:
        """A worker is gone: try again what it has not done, or give it up."""
        del self.running[attempt.shard.name]
        for parts in attempt.parts.values():
            if any(part.record for part in parts) and parts[-1].claim not in self.records:
                yield from self._finish(attempt, parts)
        left = [claim for claim in attempt.shard.claims if claim not in self.records]
        again = [claim for claim in left if claim not in attempt.hungry]
        cut_off = [claim for claim in again if claim in attempt.begun.values()]
        lost = self._given_up(attempt, ended, again, cut_off)
        yield from self._lose(attempt.shard, lost, attempt.fault or _reason(ended))
        starved = ended.code == OUT_OF_MEMORY and not attempt.fault and bool(again)
        # Claims that may end their worker come after those that do not.
        order = [claim for claim in again if claim not in cut_off] + cut_off + attempt.hungry
        next_claims = tuple(claim for claim in order if claim not in lost)
        self._fed.update(attempt.hungry)
        if next_claims:
            self.waiting.append((attempt.shard.of(next_claims), starved or bool(attempt.hungry)))
        else:
            yield Done(attempt.shard)

    def _given_up(
        self, attempt: Attempt, ended: Ended, again: list[str], cut_off: list[str]
    ) -> Sequence[str]:
        """The claims that are not tried again, among the ones that a worker left."""
        self.tries.update(cut_off)
        fruitless = self.fruitless[attempt.shard.name] + 1 if again and not attempt.ended else 0
        self.fruitless[attempt.shard.name] = fruitless
        blameless = not cut_off or ended.code == GAVE_UP
        if fruitless >= (BLAMELESS if blameless else FRUITLESS):
            return again
        return [claim for claim in cut_off if self.tries[claim] >= TRIES]

    def _lose(self, shard: Shard, claims: Sequence[str], reason: str) -> Iterator[Outcome]:
        for claim in claims:
            self.records[claim] = None
            yield Lost(shard, claim, reason)

    def _end_silent(self) -> None:
        for attempt in self.running.values():
            silent = self.silence is not None and self.clock() - attempt.heard > self.silence
            if silent and not attempt.fault:
                attempt.fault = f"no claim ended within {self.silence:g} s"
                self.executor.stop(attempt.shard.name)


def _reason(ended: Ended) -> str:
    """Why a worker ended, in one line."""
    if ended.reason:
        return ended.reason
    if ended.code is None:
        return "worker lost"
    if ended.code < 0:
        return f"worker died (signal {-ended.code})"
    return f"worker ended without it (exit code {ended.code})"
