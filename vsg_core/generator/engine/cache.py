"""Key-value caches: one that grows in place, instead of being copied at each step, and one of a fixed length."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

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


class FixedLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """Keys and values in buffers [rows, heads, length, head] that never move, as a CUDA graph needs them.

    The attention mask alone says which columns hold a position. The model takes each step for the last of `length`
    positions, so that neither a causal mask nor a window (of at least `length`) hides a column.

    Args:
        rows, length: the size of the buffers.
        column: [1] where `update` writes; changed in place by the owner.
    """

    # transformers then builds masks without reading numbers back from the device.
    is_compileable = True
    is_sliding = False

    def __init__(self, rows: int, length: int, column: Tensor) -> None:
        super().__init__()
        self.rows, self.length, self.column = rows, length, column

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate the buffers for keys and values like the given ones [batch, heads, n, head]."""
        self.keys, self.values = (
            like.new_zeros(self.rows, like.shape[1], self.length, like.shape[3])
            for like in (key_states, value_states)
        )
        self.is_initialized = True

    def hold(self, key_states: Tensor, value_states: Tensor) -> None:
        """Replace all that the buffers hold by keys and values [batch, heads, past, head], in the first columns."""
        for buffer, given in ((self.keys, key_states), (self.values, value_states)):
            # An old NaN would outlast its mask: 0 times NaN is NaN.
            buffer.zero_()
            buffer[: given.shape[0], :, : given.shape[2]] = given

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write keys and values [rows, heads, 1, head] into the column; return the whole buffers."""
        self.keys.index_copy_(2, self.column, key_states)
        self.values.index_copy_(2, self.column, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number of columns that the mask covers, and its offset."""
        return self.length, 0

    def get_seq_length(self) -> int:
        """Return the position that the model takes a step for: the last."""
        return self.length - 1

    def get_max_length(self) -> int:
        """Return the number of columns."""
        return self.length


@dataclass(frozen=True)
class Filled:
    """Views of the keys and values [batch, heads, past, head] that a fixed layer holds for a state."""

    keys: Tensor | None
    values: Tensor | None

    @property
    def is_initialized(self) -> bool:
        """Return whether the layer has keys; one that uses those of another has none."""
        return self.keys is not None


class HeldCache:
    """The cache of a state whose keys and values are in the fixed layers of `holder`, until it is dropped or left.

    Args:
        holder: owns the layers, and lends them to one state at a time.
        config: the model's configuration.
        fixed: the layers.
        batch: rows of the state, the first ones of the buffers.
        past: columns that are filled.
    """

    def __init__(
        self, holder: Any, config: PreTrainedConfig, fixed: list[FixedLayer], batch: int, past: int
    ) -> None:
        self.holder, self.config, self.fixed = holder, config, fixed
        self.batch, self.past = batch, past

    @property
    def layers(self) -> list[Filled]:
        """The filled part of each layer."""
        return [
            Filled(layer.keys[: self.batch, :, : self.past], layer.values[: self.batch, :, : self.past])
            if layer.is_initialized
            else Filled(None, None)
            for layer in self.fixed
        ]

    def copied(self, rows: Tensor) -> DynamicCache:
        """Copy rows [n] into a cache that grows."""
        cache = growing_cache(self.config)
        for layer, held in zip(cache.layers, self.layers, strict=True):
            if held.keys is not None and held.values is not None:
                layer.update(held.keys.index_select(0, rows), held.values.index_select(0, rows))
        return cache

    def left(self) -> DynamicCache:
        """Copy all rows into a cache that grows."""
        return self.copied(torch.arange(self.batch, device=self.fixed[0].column.device))


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """Make the cache that transformers uses for a model, with layers that grow in place where they have no window."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def selected(cache: Any, rows: Tensor) -> Any:
    """Copy the given rows [n] of a cache of any kind, repeated ones several times."""
    if isinstance(cache, HeldCache):
        return cache.copied(rows)
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
