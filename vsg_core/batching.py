"""Sequences of any lengths as left-padded batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vsg_core.engine import Engine
from vsg_core.errors import WrongUse
from vsg_core.memory import available

MAX_BATCH = 64  # beyond this, tokens per second no longer grow on a CPU


def check_sequences(engine: Engine, name: str, sequences: Sequence[Tensor]) -> None:
    """Refuse what the model called `name` cannot take.

    Raises:
        WrongUse: no sequence, an empty one, or one longer than the context.
    """
    if not len(sequences):
        raise WrongUse("no sequence given: give at least one")
    for place, sequence in enumerate(sequences):
        if not len(sequence):
            raise WrongUse(f"sequence {place} is empty: give at least one token")
        if engine.context is not None and len(sequence) > engine.context:
            raise WrongUse(
                f"sequence {place} has {len(sequence)} tokens, above the {engine.context} positions "
                f"of {name}: shorten it"
            )


def left_padded_batches(
    engine: Engine, sequences: Sequence[Tensor], room: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Sequences of like length together: (which they are [batch], inputs [batch, seq, ...], mask [batch, seq]).

    Args:
        room: how many further positions each will need.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    rest = lengths.argsort(stable=True)
    size = batch_size(engine, int(lengths.max()) + room)
    while len(rest):
        shortest = int(lengths[rest[0]])
        longest = 2 * shortest + 8  # bounds what is spent on padding
        if engine.context is not None:
            # Whoever reaches the end of the context does so beside its equals: padding cannot run past it.
            longest = max(shortest, min(longest, engine.context - room))
        rows = rest[lengths[rest] <= longest][:size]
        rest = rest[len(rows) :]
        inputs, attention_mask = left_pad(engine, [sequences[row] for row in rows])
        yield rows, inputs, attention_mask


def batch_size(engine: Engine, positions: int) -> int:
    """Sequences that go through together: as many as a quarter of the free memory holds, at most MAX_BATCH."""
    each = positions * engine.bytes_per_position() + 16 * engine.vocab_size
    return max(1, min(MAX_BATCH, available(str(engine.device)) // 4 // each))


def left_pad(engine: Engine, sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ids [batch, seq], or embeddings [batch, seq, hidden] if any sequence is one; and the mask [batch, seq]."""
    if any(sequence.is_floating_point() for sequence in sequences):
        sequences = [s.to(engine.dtype) if s.is_floating_point() else engine.embed(s) for s in sequences]
    sequences = [sequence.to(engine.device) for sequence in sequences]
    masks = [torch.ones(len(sequence), dtype=torch.long, device=engine.device) for sequence in sequences]
    return pad_sequence(sequences, True, padding_side="left"), pad_sequence(masks, True, padding_side="left")
