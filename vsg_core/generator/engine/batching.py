"""Left-padded batches of sequences of any lengths, sized to fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vsg_core.generator.engine.forward import Engine, State
from vsg_core.generator.engine.memory import available

MAX_BATCH = 128  # beyond this, tokens per second no longer grow on a CPU
WORTH_SHARING = 64  # positions saved; one more pass over a single sequence costs about as much


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
            yield rows, engine.start(*together(engine, batch, room), keep_cache, room)
            continue
        yield rows, after_shared(engine, batch, shared)


def after_shared(engine: Engine, sequences: Sequence[Tensor], shared: int) -> State:
    """Compute the state after sequences whose first `shared` positions are the same, those only once."""
    beginning = engine.start(*left_pad(engine, [sequences[0][:shared]]))
    copies = engine.select(beginning, torch.zeros(len(sequences), dtype=torch.long))
    return engine.step(copies, *left_pad(engine, [sequence[shared:] for sequence in sequences]))


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


def input_batches(
    engine: Engine, sequences: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Group into batches of similar length: (sequence numbers [batch], inputs [batch, seq, ...], mask or None)."""
    for rows in length_batches(engine, sequences, room=0):
        yield rows, *together(engine, [sequences[row] for row in rows], room=0)


def length_batches(engine: Engine, sequences: Sequence[Tensor], room: int) -> Iterator[Tensor]:
    """Group the sequences' numbers [batch]: those whose lengths may run together, as many as fit."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    rest = lengths.argsort(stable=True)
    most = batch_size(engine, int(lengths.max()) + room)
    while len(rest):
        longest, size = _beside(engine, int(lengths[rest[0]]), room, most)
        rows = rest[lengths[rest] <= longest][:size]
        rest = rest[len(rows) :]
        yield rows


def _beside(engine: Engine, shortest: int, room: int, most: int) -> tuple[int, int]:
    """Return the longest sequence that may share a batch with the shortest one, and how many may."""
    paths = engine.paths
    if paths.batches == "single" or not paths.allow(shortest + room):
        return shortest, 1
    if paths.batches == "equal":
        return shortest, most
    # The factor bounds the padding. Near the context limit, and that of what was checked, padding must not exceed it.
    limits = [limit - room for limit in (engine.context, paths.limit) if limit is not None]
    return max(shortest, min([2 * shortest + 8, *limits])), most


def batch_size(engine: Engine, positions: int) -> int:
    """Number of sequences that a quarter of the free memory holds, at most MAX_BATCH."""
    each = positions * engine.bytes_per_position() + 16 * engine.vocab_size
    return max(1, min(MAX_BATCH, min(map(available, map(str, engine.devices))) // 4 // each))


def together(engine: Engine, sequences: Sequence[Tensor], room: int) -> tuple[Tensor, Tensor | None]:
    """Make one batch as `left_pad` does; the mask is None where sequences of equal length must go unpadded."""
    inputs, mask = left_pad(engine, sequences)
    padded = engine.paths.batches == "padded" and engine.paths.allow(inputs.shape[1] + room)
    return inputs, mask if padded else None


def left_pad(engine: Engine, sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad to ids [batch, seq], or embeddings [batch, seq, hidden] if any sequence has them; and a mask [batch, seq]."""
    if any(sequence.is_floating_point() for sequence in sequences):
        sequences = [s.to(engine.dtype) if s.is_floating_point() else engine.embed(s) for s in sequences]
    sequences = [sequence.to(engine.device) for sequence in sequences]
    masks = [torch.ones(len(sequence), dtype=torch.long, device=engine.device) for sequence in sequences]
    return pad_sequence(sequences, True, padding_side="left"), pad_sequence(masks, True, padding_side="left")
