"""The cost of forward passes, measured without waiting for a graphics card."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

# Pairs of events that may wait to be read; beyond it the oldest is, which has long ended.
WAITING = 256


class Meter:
    """Seconds inside the model, number of passes, token positions fed.

    Passes on one graphics card are timed by events in its queue, read when `forward_seconds` is; those on several
    cards wait for all of them.
    """

    def __init__(self) -> None:
        self.passes = self.tokens = 0
        self._seconds = 0.0
        self._events: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    @property
    def forward_seconds(self) -> float:
        """Seconds of all passes so far."""
        while self._events:
            self._read()
        return self._seconds

    def reset(self) -> None:
        """Set all counts to 0."""
        self.passes = self.tokens = 0
        self._seconds = 0.0
        self._events.clear()

    @contextmanager
    def measured(self, devices: Sequence[torch.device], positions: int) -> Iterator[None]:
        """Count the block as one forward pass over that many positions on these devices."""
        cards = [device for device in devices if device.type == "cuda"]
        if len(devices) == len(cards) == 1:
            with self._by_events(cards[0]):
                yield
        else:
            began = time.perf_counter()
            yield
            for card in cards:
                torch.cuda.synchronize(card)
            self._seconds += time.perf_counter() - began
        self.passes += 1
        self.tokens += positions

    @contextmanager
    def _by_events(self, card: torch.device) -> Iterator[None]:
        begin, end = (
            torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own is untyped
            for _ in range(2)
        )
        stream = torch.cuda.current_stream(card)
        begin.record(stream)
        yield
        end.record(stream)
        self._events.append((begin, end))
        if len(self._events) > WAITING:
            self._read()

    def _read(self) -> None:
        begin, end = self._events.popleft()
        end.synchronize()
        self._seconds += begin.elapsed_time(end) / 1000
