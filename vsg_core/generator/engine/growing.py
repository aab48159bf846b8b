"""A key-value cache that grows in place."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

ROOM = 64  # positions by which the room of a layer grows


class GrowingLayer(DynamicLayer):
    """transformers' DynamicLayer, which copies all that came before at each step, with room to write the next into.

    `keys` and `values` [batch, heads, seq, head] are what is filled of it.
    """

    _room: tuple[Tensor, Tensor] | None = None  # [batch, heads, seq and more, head] each
    _filled: tuple[Tensor, Tensor] | None = None  # what is filled of it

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add the next keys and values [batch, heads, n, head]; returns all there are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        past = self.get_seq_length()
        if not past:  # a whole prompt stays as it is until a step follows
            self.keys, self.values = key_states.contiguous(), value_states.contiguous()
            return self.keys, self.values
        new = key_states.shape[-2]
        if self._room is None or not self._is_filled() or self._room[0].shape[-2] < past + new:
            self._room = _with_room(self.keys, past + new), _with_room(self.values, past + new)
        keys, values = self._room
        keys.narrow(-2, past, new).copy_(key_states)
        values.narrow(-2, past, new).copy_(value_states)
        self._filled = keys.narrow(-2, 0, past + new), values.narrow(-2, 0, past + new)
        self.keys, self.values = self._filled
        return self._filled

    def _is_filled(self) -> bool:
        """Whether keys and values are those in the room: whoever picks rows or crops puts others in their place."""
        return self._filled is not None and self.keys is self._filled[0] and self.values is self._filled[1]


def _with_room(filled: Tensor, seq: int) -> Tensor:
    """A copy [batch, heads, seq and more, head] of what is filled so far, for `seq` positions and further ones."""
    batch, heads, past, head = filled.shape
    room = filled.new_empty(batch, heads, seq + ROOM, head)
    room[..., :past, :] = filled
    return room


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """The cache that transformers makes for a model; layers without a window grow in place."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
