"""The meter of forward passes; the events of a card are played by ones that count."""

from __future__ import annotations

import pytest
import torch

from vsg_core.generator.engine import Meter
from vsg_core.generator.engine.metering import WAITING


class Event:
    """An event that ends 2 ms after the one before it, and notes that it was waited for."""

    made = waited = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        Event.made += 1
        self.time = 2.0 * Event.made

    def record(self, stream: str) -> None:
        assert stream == "queue of cuda:1"

    def synchronize(self) -> None:
        Event.waited += 1

    def elapsed_time(self, end: Event) -> float:
        return end.time - self.time


@pytest.fixture
def card(monkeypatch) -> torch.device:
    monkeypatch.setattr(Event, "made", 0)
    monkeypatch.setattr(Event, "waited", 0)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"queue of {device}")
    return torch.device("cuda:1")


def test_passes_on_a_card_do_not_wait(card):
    """Their seconds are known when they are asked for, once."""
    meter = Meter()
    for _ in range(3):
        with meter.measured([card], 5):
            assert not Event.waited
    assert (meter.passes, meter.tokens, Event.waited) == (3, 15, 0)
    assert meter.forward_seconds == pytest.approx(0.006)
    assert meter.forward_seconds == pytest.approx(0.006)
    assert Event.waited == 3
    meter.reset()
    assert (meter.passes, meter.tokens, meter.forward_seconds) == (0, 0, 0)


def test_few_events_are_kept(card):
    """A long run does not gather events without end."""
    meter = Meter()
    for _ in range(WAITING + 10):
        with meter.measured([card], 1):
            pass
    assert Event.waited == 10
    assert meter.forward_seconds == pytest.approx(0.002 * (WAITING + 10))


def test_a_pass_that_fails_does_not_count(card):
    """On a card and elsewhere."""
    meter = Meter()
    for device in (card, torch.device("cpu")):
        with pytest.raises(RuntimeError), meter.measured([device], 1):
            raise RuntimeError
    assert (meter.passes, meter.tokens, meter.forward_seconds) == (0, 0, 0)
    with meter.measured([torch.device("cpu")], 4):
        pass
    assert (meter.passes, meter.tokens) == (1, 4)
    assert meter.forward_seconds > 0
