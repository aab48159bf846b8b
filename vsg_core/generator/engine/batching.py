"""Left-padded batches of sequences of any lengths, sized to fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.forward import Engine, State
from vsg_core.generator.engine.memory import available

MAX_BATCH = 128  # beyond this, tokens per second no longer grow on a CPU
WORTH_SHARING = 64  # positions saved; one more pass over a single sequence costs about as much


def check_sequences(engine: Engine, name: str, sequences: Sequence[Tensor]) -> None:
    """Raise an error for sequences that the model `name` cannot process.

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


def states_after(
    engine: Engine, sequences: Sequence[Tensor], room: int, keep_cache: bool
) -> Iterator[tuple[Tensor, State]]:
    """Compute states in batches of similar length: (the sequences' numbers [batch], the state after them).

    Args:
        room: number of further positions that each sequence will need.
        keep_cache: False if only the logits are needed.
    """
    for rows in length_batches(engine, sequences, room):
        batch = [sequences[row] for row in rows]
        shared = shared_length(engine, batch, room)
        if not shared:
            yield rows, engine.start(*left_pad(engine, batch), keep_cache)
            continue
        beginning = engine.start(*left_pad(engine, [batch[0][:shared]]))
        copies = engine.select(beginning, torch.zeros(len(rows), dtype=torch.long))
        yield rows, engine.step(copies, *left_pad(engine, [sequence[shared:] for sequence in batch]))


def shared_length(engine: Engine, sequences: Sequence[Tensor], room: int) -> int:
    """Length of the beginning that all sequences share; 0 if a pass for it is impossible or not worth its cost."""
    first, *others = sequences
    if not others or not engine.can_share(max(len(sequence) for sequence in sequences) + room):
        return 0
    # Each keeps at least one position of its own.
    shared = min(len(sequence) for sequence in sequences) - 1
    for other in others:
        if other.dtype != first.dtype or shared * len(others) < WORTH_SHARING:
            return 0
        differs = (other[:shared] != first[:shared]).reshape(shared, -1).any(-1)  # [shared]
        if differs.any():
            shared = int(differs.int().argmax())
    return shared if shared * len(others) >= WORTH_SHARING else 0


def left_padded_batches(
    engine: Engine, sequences: Sequence[Tensor], room: int = 0
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pad in batches of similar length: (sequence numbers [batch], inputs [batch, seq, ...], mask [batch, seq])."""
    for rows in length_batches(engine, sequences, room):
        yield rows, *left_pad(engine, [sequences[row] for row in rows])


def length_batches(engine: Engine, sequences: Sequence[Tensor], room: int) -> Iterator[Tensor]:
    """Group the sequences' numbers [batch]: those of similar length, as many as fit."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    rest = lengths.argsort(stable=True)
    size = batch_size(engine, int(lengths.max()) + room)
    while len(rest):
        shortest = int(lengths[rest[0]])
        longest = 2 * shortest + 8  # bounds the padding
        if engine.context is not None:
            # Near the context limit, batch only sequences of equal length, so that padding never exceeds it.
            longest = max(shortest, min(longest, engine.context - room))
        rows = rest[lengths[rest] <= longest][:size]
        rest = rest[len(rows) :]
        yield rows


def batch_size(engine: Engine, positions: int) -> int:
    """Number of sequences that a quarter of the free memory holds, at most MAX_BATCH."""
    each = positions * engine.bytes_per_position() + 16 * engine.vocab_size
    return max(1, min(MAX_BATCH, available(str(engine.device)) // 4 // each))


def left_pad(engine: Engine, sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad to ids [batch, seq], or embeddings [batch, seq, hidden] if any sequence has them; and a mask [batch, seq]."""
    if any(sequence.is_floating_point() for sequence in sequences):
        sequences = [s.to(engine.dtype) if s.is_floating_point() else engine.embed(s) for s in sequences]
    sequences = [sequence.to(engine.device) for sequence in sequences]
    masks = [torch.ones(len(sequence), dtype=torch.long, device=engine.device) for sequence in sequences]
    return pad_sequence(sequences, True, padding_side="left"), pad_sequence(masks, True, padding_side="left")
