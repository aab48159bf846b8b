"""Sequences as callers give them (tensors, lists, arrays), turned into tensors that the model can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.forward import Engine


def as_sequences(engine: Engine, name: str, sequences: Sequence[Any]) -> list[Tensor]:
    """Turn each into ids [seq] or embeddings [seq, hidden] on the model's device.

    Args:
        name: the model, as the messages name it.
        sequences: tensors, lists of ids, or arrays.

    Raises:
        WrongUse: no sequence, an empty one, one longer than the context, or one that is neither ids nor embeddings
            of this model.
    """
    if not len(sequences):
        raise WrongUse("no sequence given: give at least one")
    tensors = [_as_tensor(engine, f"sequence {place}", each) for place, each in enumerate(sequences)]
    for place, tensor in enumerate(tensors):
        _check_shape(engine, f"sequence {place}", tensor)
        if engine.context is not None and len(tensor) > engine.context:
            raise WrongUse(
                f"sequence {place} has {len(tensor)} tokens, above the {engine.context} positions "
                f"of {name}: shorten it"
            )
    return tensors


def as_ids(engine: Engine, ids: Any, what: str = "input_ids") -> Tensor:
    """Turn ids of any shape, from a tensor, list or array, into int64 on the model's device.

    Raises:
        WrongUse: they are not integers, or are not rows of the embedding table.
    """
    tensor = _as_tensor(engine, what, ids)
    if tensor.is_floating_point():
        raise WrongUse(f"{what} has dtype {_dtype(tensor)}: give integers")
    return tensor


def _as_tensor(engine: Engine, what: str, value: Any) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise WrongUse(
            f"{what} is a {type(value).__name__} that is not numbers ({reason}): give text, ids or embeddings"
        ) from None
    if not tensor.numel():
        return tensor.to(engine.device)
    if tensor.is_floating_point():
        return _checked_vectors(what, tensor).to(engine.device)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise WrongUse(f"{what} has dtype {_dtype(tensor)}: give ids or embeddings")
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= engine.vocab_size:
        wrong = low if low < 0 else high
        raise WrongUse(
            f"{what} contains the id {wrong}: the embedding table has rows 0 to {engine.vocab_size - 1}"
        )
    return tensor.to(engine.device, torch.long)


def _checked_vectors(what: str, vectors: Tensor) -> Tensor:
    if not vectors.isfinite().all():
        raise WrongUse(f"{what} contains NaN or infinity: give finite embeddings")
    return vectors


def _check_shape(engine: Engine, what: str, tensor: Tensor) -> None:
    if tensor.dim() and not len(tensor):
        raise WrongUse(f"{what} is empty: give at least one token")
    hidden = engine.hidden_size
    wanted = [len(tensor) if tensor.dim() else 1, hidden] if tensor.is_floating_point() else [tensor.numel()]
    if list(tensor.shape) != wanted:
        raise WrongUse(
            f"{what} has shape {list(tensor.shape)} and dtype {_dtype(tensor)}: "
            f"give ids [seq] or embeddings [seq, {hidden}]"
        )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
