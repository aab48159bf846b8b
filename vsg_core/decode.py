"""The decoding loop, one for every writer: what a writer makes of the logits is fed back as the next position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from vsg_core.errors import WrongUse

if TYPE_CHECKING:
    from vsg_core.language_model import LanguageModel


@dataclass
class Written:
    """What a writer makes of one step, for each row of a batch."""

    inputs: Tensor  # ids [batch] or vectors [batch, hidden]: the next position
    kept: list[Any]  # what the trace keeps of each row
    stopped: list[str | None]  # why a row ends here, nothing of this step kept; None goes on


class Writer(Protocol):
    """Turns next-token logits into the next position, and says when to stop."""

    def __call__(self, logits: Tensor, rows: Tensor, step: int) -> Written:
        """Logits [batch, vocab] of the sequences numbered `rows` [batch], at the given step."""


@dataclass
class Trace:
    """What was written after one sequence, and why it ended."""

    steps: list[Any] = field(default_factory=list)
    stopped: str = "length"


def decode(lm: LanguageModel, sequences: Sequence[Tensor], writer: Writer, max_steps: int) -> list[Trace]:
    """Write up to `max_steps` positions after each sequence (ids [seq] or embeddings [seq, hidden]).

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    if max_steps < 0:
        raise WrongUse(f"max_new_tokens is {max_steps}: give at least 0")
    traces = [Trace() for _ in sequences]
    for rows, state in lm.prefill(sequences, room=max_steps):
        for step in range(max_steps):
            written = writer(state.logits, rows, step)
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
    return traces
