"""The decoding loop, one for every writer: what a writer makes of the logits is fed back as the next position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.forward import State

Name = TypeVar("Name")


class Decodable(Protocol):
    """What the loop needs of a model; see LanguageModel for each method."""

    def prefill(
        self, sequences: Sequence[Tensor], room: int = 0, keep_cache: bool = True
    ) -> Iterator[tuple[Tensor, State]]: ...

    def step(self, state: State, inputs: Tensor) -> State: ...

    def select(self, state: State, rows: Tensor) -> State: ...

    def context_left(self, state: State, row: int) -> int: ...


@dataclass
class Written:
    """What a writer makes of one step, for each row of a batch."""

    inputs: Tensor  # ids [batch] or vectors [batch, hidden]: the next position
    kept: list[Any]  # what the trace keeps of each row
    stopped: list[str | None]  # why a row ends here, nothing of this step kept; None goes on


class Writer(Protocol):
    """Turns what the model says of the next token into the next position, and says when to stop."""

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        """What the sequences numbered `rows` [batch] get at the given step.

        Args:
            logits: [batch, vocab] of the next token.
            hidden: [batch, hidden] the last hidden state, as the model's head saw it.
        """


@dataclass
class Trace:
    """What was written after one sequence, and why it ended."""

    steps: list[Any] = field(default_factory=list)
    stopped: str = "length"


def decode(lm: Decodable, sequences: Sequence[Tensor], writer: Writer, max_steps: int) -> list[Trace]:
    """Write up to `max_steps` positions after each sequence (ids [seq] or embeddings [seq, hidden]).

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    return decode_each(lm, sequences, {"": writer}, max_steps)[""]


def decode_each(
    lm: Decodable, sequences: Sequence[Tensor], writers: Mapping[Name, Writer], max_steps: int
) -> dict[Name, list[Trace]]:
    """As `decode`, with several writers that each go on from the same pass over the sequences.

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    if max_steps < 0:
        raise WrongUse(f"max_new_tokens is {max_steps}: give at least 0")
    traces: dict[Name, list[Trace]] = {name: [Trace() for _ in sequences] for name in writers}
    for rows, state in lm.prefill(sequences, room=max_steps):
        *others, last = writers
        for name in others:
            branch = lm.select(state, torch.arange(len(rows)))
            _write(lm, rows, branch, writers[name], max_steps, traces[name])
        _write(lm, rows, state, writers[last], max_steps, traces[last])
    return traces


def _write(
    lm: Decodable, rows: Tensor, state: State, writer: Writer, max_steps: int, traces: list[Trace]
) -> None:
    """Go on from `state`, which changes, and keep what is written in the traces numbered `rows` [batch]."""
    for step in range(max_steps):
        written = writer(state.logits, rows, step, state.hidden)
        alive = []
        for i, row in enumerate(rows.tolist()):
            trace = traces[row]
            if trace.stopped != "length":
                continue  # ended earlier, still in the batch
            if written.stopped[i]:
                trace.stopped = written.stopped[i]
                continue
            trace.steps.append(written.kept[i])
            if lm.context_left(state, i) > 0:
                alive.append(i)
            elif step < max_steps - 1:
                trace.stopped = "context"
        if not alive or step == max_steps - 1:
            break
        inputs = written.inputs
        if 2 * len(alive) <= len(rows):  # worth the copy of the cache
            kept = torch.tensor(alive)
            state, rows, inputs = lm.select(state, kept), rows[kept], inputs[kept]
        state = lm.step(state, inputs)
