"""Rows of several states put together into one batch, so that decoding steps stay wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicSlidingWindowLayer

from vsg_core.errors import VsgError
from vsg_core.generator.engine.cache import GrowingLayer, growing_cache
from vsg_core.generator.engine.forward import PaddedEngine, PaddedState
from vsg_core.generator.engine.transfers import placed, sent

# A state, and the numbers [n] of the rows to take from it.
Piece: TypeAlias = "tuple[PaddedState, Tensor]"


def gather(engine: PaddedEngine, pieces: Sequence[Piece]) -> PaddedState:
    """Copy rows of states that have a cache and a mask, as all do for which `PaddedEngine.can_share` is true.

    Each row's positions move to the right, also those before padding that lies within it.

    Raises:
        VsgError: a layer keeps more than keys and values.
    """
    lengths = [state.lengths[row] for state, rows in pieces for row in rows.tolist()]
    pieces = [(state, sent(rows, engine.device)) for state, rows in pieces]
    width = max(lengths)
    columns = [_columns(state, rows, width) for state, rows in pieces]
    cache = growing_cache(engine.model.config)
    for number, layer in enumerate(cache.layers):
        if type(layer) not in (GrowingLayer, DynamicSlidingWindowLayer):
            raise VsgError(f"a cache with a {type(layer).__name__} cannot be put together from several")
        parts = [
            (state.cache.layers[number], rows, own)
            for (state, rows), own in zip(pieces, columns, strict=True)
        ]
        # Layers that use another one's keys stay empty.
        if parts[0][0].is_initialized:
            layer.update(
                torch.cat([_to_right(part.keys, rows, own, width) for part, rows, own in parts]),
                torch.cat([_to_right(part.values, rows, own, width) for part, rows, own in parts]),
            )
    places = torch.arange(width, device=engine.device)  # [width]
    mask = places >= width - placed(lengths, engine.device).unsqueeze(1)  # [batch, width]
    logits, hidden = (
        torch.cat([getattr(state, name)[rows] for state, rows in pieces]) for name in ("logits", "hidden")
    )
    return PaddedState(logits, hidden, cache, mask.long(), lengths)


def narrow(engine: PaddedEngine, state: PaddedState) -> None:
    """Drop padding that the next step would take beyond a border (of a window, of the context) that no row reaches."""
    if state.attention_mask is None or state.cache is None:
        return
    fits = engine.can_share(state.attention_mask.shape[1] + 1)
    if not fits and engine.can_share(max(state.lengths) + 1):
        vars(state).update(vars(gather(engine, [(state, torch.arange(len(state.lengths)))])))


def _columns(state: PaddedState, rows: Tensor, width: int) -> Tensor | None:
    """Find the columns [n, up to width] of each row's last positions; None if these are the last columns."""
    mask = state.attention_mask
    assert mask is not None
    mask = mask[rows]  # [n, past]
    # A card would be waited for, longer than the columns take.
    if mask.device.type == "cpu" and bool((mask.diff(dim=-1) >= 0).all()):
        return None
    # A stable sort keeps the positions in order, after all padding; counted from the end, as a window drops the first.
    return mask.argsort(dim=-1, stable=True)[:, -width:] - mask.shape[1]


def _to_right(past: Tensor, rows: Tensor, columns: Tensor | None, width: int) -> Tensor:
    """Take rows and columns of keys or values [batch, heads, past, head] -> [n, heads, width, head]."""
    chosen = past.index_select(0, rows.to(past.device))
    if columns is not None:
        heads, head = chosen.shape[1], chosen.shape[3]
        index = (
            (columns.to(past.device) + chosen.shape[2])
            .clamp(min=0)[:, None, :, None]
            .expand(-1, heads, -1, head)
        )
        chosen = chosen.gather(2, index)
    chosen = chosen[:, :, -width:]
    return pad(chosen, (0, 0, width - chosen.shape[2], 0))
