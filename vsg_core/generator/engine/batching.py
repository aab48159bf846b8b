"""Left-padded batches of sequences of any lengths, sized to fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vsg_core.generator.engine.forward import PaddedEngine, PaddedState
from vsg_core.generator.engine.gathering import gather
from vsg_core.generator.engine.internals import Pass
from vsg_core.generator.engine.memory import available
from vsg_core.generator.engine.static import rounded

MAX_BATCH = 128  # beyond this, tokens per second no longer grow on a CPU
# On a graphics card memory is the limit; beyond this, a pass is bound by arithmetic even for small models, and the
# copies of the logits that writers make [batch, vocab] cost more than the passes that are saved.
MAX_BATCH_CARD = 1024
PASS = 64  # positions whose computation takes about as long as reading the weights for a pass


def states_after(
    engine: PaddedEngine, sequences: Sequence[Tensor], room: int, keep_cache: bool
) -> Iterator[tuple[Tensor, PaddedState]]:
    """Compute states in batches, the shortest sequences first: (the sequences' numbers [batch], the state after them).

    Args:
        room: number of further positions that each sequence will need.
        keep_cache: False if only the logits are needed.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    positions = int(lengths.max()) + room
    joined = keep_cache and engine.can_share(positions)
    for rows in by_length(engine, lengths, positions):
        parts = _passes(engine, sequences, rows, room, keep_cache)
        if joined:
            # One batch for all steps, however many passes the sequences themselves took.
            yield _joined(engine, list(parts))
        else:
            yield from parts


def _joined(engine: PaddedEngine, parts: list[tuple[Tensor, PaddedState]]) -> tuple[Tensor, PaddedState]:
    if len(parts) == 1:
        return parts[0]
    state = gather(engine, [(state, torch.arange(len(rows))) for rows, state in parts])
    return torch.cat([rows for rows, _ in parts]), state


def _passes(
    engine: PaddedEngine, sequences: Sequence[Tensor], rows: Tensor, room: int, keep_cache: bool
) -> Iterator[tuple[Tensor, PaddedState]]:
    """Compute the sequences numbered `rows` [n], in an order of length, in as many passes as cost least."""
    for shared, alike in beginnings(engine, sequences, rows, room):
        common = engine.begin(*left_pad(engine, [sequences[int(alike[0])][:shared]])) if shared else None
        for group in length_groups(engine, sequences, alike, shared, room):
            batch = [sequences[row][shared:] for row in group]
            if common is None:
                yield group, engine.begin(*together(engine, batch, room), keep_cache, room)
            else:
                yield group, after_beginning(engine, common, batch)


def after_beginning(engine: PaddedEngine, common: PaddedState, sequences: Sequence[Tensor]) -> PaddedState:
    """Compute the state after sequences that continue the one row of `common`, which can be used again."""
    copies = engine.select(common, torch.zeros(len(sequences), dtype=torch.long))
    return engine.feed(copies, *left_pad(engine, sequences))


def beginnings(
    engine: PaddedEngine, sequences: Sequence[Tensor], rows: Tensor, room: int
) -> list[tuple[int, Tensor]]:
    """Group sequences by a beginning that is worth a pass of its own: (its length, the sequences' numbers [n]).

    Those without one come last, with length 0.
    """
    longest = max(len(sequences[row]) for row in rows)
    if len(rows) < 2 or not engine.can_share(longest + room):
        return [(0, rows)]
    spelled = {row: _spelled(sequences[row]) for row in rows.tolist()}
    groups = [(shared, alike) for shared, alike in _alike(spelled, rows.tolist(), 0)[1] if shared]
    apart = set(rows.tolist()).difference(*(alike for _, alike in groups))
    groups += [(0, [row for row in rows.tolist() if row in apart])] if apart else []
    return [(shared, torch.tensor(alike)) for shared, alike in groups]


def _alike(
    spelled: Mapping[int, Sequence[int | bytes]], rows: list[int], known: int
) -> tuple[int, list[tuple[int, list[int]]]]:
    """Divide rows that share their first `known` positions: (positions saved, [(shared positions, rows)])."""
    # Each keeps at least one position of its own.
    most = min(len(spelled[row]) for row in rows) - 1
    first, shared = spelled[rows[0]], known
    while shared < most and all(spelled[row][shared] == first[shared] for row in rows):
        shared += 1
    saved = shared * (len(rows) - 1) - PASS
    branches: dict[Any, list[int]] = defaultdict(list)
    for row in rows:
        # One that has only its last position left is alone.
        branches[spelled[row][shared] if len(spelled[row]) > shared + 1 else ("last", row)].append(row)
    divided = [_alike(spelled, branch, shared) for branch in branches.values() if 1 < len(branch) < len(rows)]
    # Each further group is a pass more.
    saved_divided = sum(more - PASS for more, _ in divided if more > 0)
    if saved_divided > max(saved, 0):
        return saved_divided, [group for more, groups in divided if more > 0 for group in groups]
    return saved, [(shared if saved >= 0 and shared else 0, rows)]


def _spelled(sequence: Tensor) -> list[int] | list[bytes]:
    """Return each position in a form that can be compared: ids, or the bytes of vectors."""
    if not sequence.is_floating_point():
        ids: list[int] = sequence.tolist()
        return ids
    rows = sequence.contiguous().view(torch.uint8).cpu().numpy()
    return [row.tobytes() for row in rows]


def last_positions(engine: PaddedEngine, sequences: Sequence[Tensor]) -> Iterator[tuple[Tensor, Pass]]:
    """Divide into passes of a causal model that end at the sequences' last positions: (their numbers [batch], pass).

    Sequences that differ in their last position alone share a pass over what comes before it.
    """
    alike = _by_beginning(engine, sequences)
    if alike is None:
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        for rows in by_length(engine, lengths, int(lengths.max())):
            for group in length_groups(engine, sequences, rows, 0, room=0):
                batch = together(engine, [sequences[row] for row in group], room=0)
                yield group, partial(engine.forward, *batch)
        return
    begun = [sequences[numbers[0]][:-1] for numbers in alike]
    for rows, state in states_after(engine, begun, room=1, keep_cache=True):
        places = torch.tensor([place for place, row in enumerate(rows.tolist()) for _ in alike[row]])
        numbers = torch.tensor([number for row in rows.tolist() for number in alike[row]])
        size = batch_size(engine, max(state.lengths) + 1)
        for some in torch.split(torch.arange(len(numbers)), size):
            last, _ = left_pad(engine, [sequences[number][-1:] for number in numbers[some]])
            yield numbers[some], partial(engine.extend, engine.select(state, places[some]), last, 1)


def _by_beginning(engine: PaddedEngine, sequences: Sequence[Tensor]) -> list[list[int]] | None:
    """Group the numbers of sequences that differ in their last position alone; None if that saves no pass."""
    longest = max(map(len, sequences))
    if min(map(len, sequences)) < 2 or not engine.can_share(longest):
        return None
    alike: dict[Any, list[int]] = defaultdict(list)
    for number, sequence in enumerate(sequences):
        alike[tuple(_spelled(sequence[:-1]))].append(number)
    saved = sum((len(numbers) - 1) * (len(sequences[numbers[0]]) - 1) for numbers in alike.values())
    return list(alike.values()) if saved > PASS else None


def by_length(engine: PaddedEngine, lengths: Tensor, positions: int) -> list[Tensor]:
    """Divide the numbers of sequences with these lengths [n], the shortest first, into batches that fit."""
    order, size = lengths.argsort(stable=True), batch_size(engine, positions)
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def length_groups(
    engine: PaddedEngine, sequences: Sequence[Tensor], rows: Tensor, shared: int, room: int
) -> list[Tensor]:
    """Cut sequences [n], in an order of length, into groups whose passes over all but `shared` positions cost least."""
    lengths = [len(sequences[row]) for row in rows]
    # The cost of the first sequences, and where their last group begins.
    costs, begins = [0], [0]
    for end in range(1, len(rows) + 1):
        longest = lengths[end - 1]
        cost, begin = min(
            (costs[begin] + PASS + (end - begin) * (longest - shared), begin)
            for begin in range(end)
            if begin == end - 1 or _together(engine, lengths[begin], longest, room)
        )
        costs.append(cost)
        begins.append(begin)
    groups, end = [], len(rows)
    while end:
        groups.append(rows[begins[end] : end])
        end = begins[end]
    return groups[::-1]


def _together(engine: PaddedEngine, shortest: int, longest: int, room: int) -> bool:
    """Return whether sequences of these lengths may share a batch."""
    paths = engine.paths
    if paths.batches == "single" or not paths.allow(shortest + room):
        return False
    if shortest == longest:
        return True
    # Near the context limit, and that of what was checked, padding must not exceed it.
    limits = (engine.context, paths.limit)
    return paths.batches == "padded" and all(longest + room <= limit for limit in limits if limit is not None)


def batch_size(engine: PaddedEngine, positions: int) -> int:
    """Number of sequences that a quarter of the free memory holds, at most MAX_BATCH, or MAX_BATCH_CARD on cards.

    Where steps run in fixed buffers it is a power of two, which fills them, and room for the buffers is left.
    """
    on_cards = all(device.type == "cuda" for device in engine.devices)
    most = MAX_BATCH_CARD if on_cards else MAX_BATCH
    fixed = engine.paths.static and engine.can_share(positions)
    if fixed:
        # The state before it moves, and the buffers.
        positions += rounded(engine, most, positions)[1]
    each = positions * engine.bytes_per_position() + 16 * engine.vocab_size
    free = min(map(available, map(str, engine.devices))) + engine.runners.free_bytes
    size = max(1, min(most, free // 4 // each))
    return 1 << (size.bit_length() - 1) if fixed else size


def together(engine: PaddedEngine, sequences: Sequence[Tensor], room: int) -> tuple[Tensor, Tensor | None]:
    """Make one batch as `left_pad` does; the mask is None where sequences of equal length must go unpadded."""
    inputs, mask = left_pad(engine, sequences)
    padded = engine.paths.batches == "padded" and engine.paths.allow(inputs.shape[1] + room)
    return inputs, mask if padded else None


def left_pad(engine: PaddedEngine, sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad to ids [batch, seq], or embeddings [batch, seq, hidden] if any sequence has them; and a mask [batch, seq]."""
    if any(sequence.is_floating_point() for sequence in sequences):
        sequences = [s.to(engine.dtype) if s.is_floating_point() else engine.embed(s) for s in sequences]
    sequences = [sequence.to(engine.device) for sequence in sequences]
    masks = [torch.ones(len(sequence), dtype=torch.long, device=engine.device) for sequence in sequences]
    return pad_sequence(sequences, True, padding_side="left"), pad_sequence(masks, True, padding_side="left")
