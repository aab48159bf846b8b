"""A process that takes decoding steps of batch 8 of the embedded model when its standard input asks for them.

It answers `SECONDS` with the milliseconds of the median step, and `go` with steps until the next line. Started by
test_neighbours.py with the variables of the environment that are compared.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from statistics import median

import torch

from vsg_core import LanguageModel, load_model
from vsg_core.weights.registry import DEFAULT_MODEL

BATCH, STEPS = 8, 32
# Steps before the first that is timed.
WARM_UP = 5
PROMPT = "A short list of what one should take along on a long walk in the mountains:"


def main() -> None:
    """Answer every line of standard input with one line."""
    with load_model(DEFAULT_MODEL, device="cpu") as lm, torch.no_grad():
        steps = step_times(lm)
        for _ in range(WARM_UP):
            next(steps)
        print("ready", flush=True)
        for line in sys.stdin:
            print(round(1e3 * median(timed(steps, line.strip())), 2), flush=True)


def step_times(lm: LanguageModel) -> Iterator[float]:
    """Step without end, after the same prompts again and again, and yield the seconds of each step."""
    while True:
        for _, state in lm.prefill([lm.tokenize(PROMPT)] * BATCH, room=STEPS):
            for _ in range(STEPS):
                began = time.perf_counter()
                state = lm.step(state, state.logits.argmax(-1))
                yield time.perf_counter() - began


def timed(steps: Iterator[float], request: str) -> list[float]:
    """Return the seconds of the steps that a request asks for."""
    seconds: list[float] = []
    if request == "go":
        while not seconds or not select.select([sys.stdin], [], [], 0)[0]:
            seconds.append(next(steps))
        # The line that ends them.
        sys.stdin.readline()
        return seconds
    end = time.perf_counter() + float(request)
    while time.perf_counter() < end or not seconds:
        seconds.append(next(steps))
    return seconds


if __name__ == "__main__":
    main()
