"""A key-value cache that grows in place, instead of being copied at each step."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

SPARE = 64  # positions by which a buffer grows


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """A DynamicLayer whose next positions are written into a buffer; transformers' own copies all past ones each step.

    `keys` and `values` [batch, heads, seq, head] view the filled part of the buffer.
    """

    _buffer: tuple[Tensor, Tensor] | None = None  # [batch, heads, seq + spare, head] each
    _filled: tuple[Tensor, Tensor] | None = None  # views of the filled part

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append keys and values [batch, heads, n, head]; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        past = self.get_seq_length()
        if not past:  # a whole prompt needs no buffer until a step follows
            self.keys, self.values = key_states.contiguous(), value_states.contiguous()
            return self.keys, self.values
        new = key_states.shape[-2]
        if self._buffer is None or not self._is_filled() or self._buffer[0].shape[-2] < past + new:
            self._buffer = _buffer_of(self.keys, past + new), _buffer_of(self.values, past + new)
        keys, values = self._buffer
        keys.narrow(-2, past, new).copy_(key_states)
        values.narrow(-2, past, new).copy_(value_states)
        self._filled = keys.narrow(-2, 0, past + new), values.narrow(-2, 0, past + new)
        self.keys, self.values = self._filled
        return self._filled

    def _is_filled(self) -> bool:
        """Return whether `keys` and `values` still view the buffer; selecting rows or cropping replaces them."""
        return self._filled is not None and self.keys is self._filled[0] and self.values is self._filled[1]


def _buffer_of(filled: Tensor, seq: int) -> Tensor:
    """Copy the filled positions into a buffer [batch, heads, seq + SPARE, head]."""
    batch, heads, past, head = filled.shape
    buffer = filled.new_empty(batch, heads, seq + SPARE, head)
    buffer[..., :past, :] = filled
    return buffer


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """Make the cache that transformers uses for a model, with layers that grow in place where they have no window."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def selected(cache: Any, rows: Tensor) -> Any:
    """Copy the given rows [n] of a cache of any kind, repeated ones several times."""
    if all(
        type(layer) in (GrowingLayer, DynamicSlidingWindowLayer) for layer in getattr(cache, "layers", [None])
    ):
        # Choosing rows makes new tensors, so that nothing else needs to be copied.
        chosen = copy.copy(cache)
        chosen.layers = [copy.copy(layer) for layer in cache.layers]
    else:
        chosen = copy.deepcopy(cache)
    # Unlike batch_select_indices, every kind of layer has it, recurrent ones included.
    chosen.reorder_cache(rows)
    return chosen
