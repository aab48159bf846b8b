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
        seq = past + key_states.shape[-2]
        if self._room is None or not self._filled() or self._room[0].shape[-2] < seq:
            self._room = _with_room(self.keys, seq), _with_room(self.values, seq)
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[..., past:seq, :] = new
        self.keys, self.values = (room[..., :seq, :] for room in self._room)
        return self.keys, self.values

    def _filled(self) -> bool:
        """Whether keys and values are those in the room: whoever picks rows or crops puts others in their place."""
        assert self._room is not None
        return all(
            filled.data_ptr() == room.data_ptr() and filled.shape[0] == room.shape[0]
            for filled, room in zip((self.keys, self.values), self._room, strict=True)
        )


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
