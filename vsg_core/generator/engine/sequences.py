"""Sequences as callers give them (tensors, lists, arrays), turned into tensors that the model can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.protocol import Engine, State
from vsg_core.generator.engine.transfers import demand, is_put_off


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


def as_inputs(engine: Engine, state: State, inputs: Any) -> Tensor:
    """Turn the next position of each row into ids [batch] or vectors [batch, hidden] in the model's dtype.

    Raises:
        WrongUse: they do not fit the state or the model, or a row is at the end of the context.
    """
    tensor = _as_tensor(engine, "the next position", inputs)
    batch = len(state.logits)
    wanted = [batch, engine.hidden_size] if tensor.is_floating_point() else [batch]
    if list(tensor.shape) != wanted:
        raise WrongUse(
            f"the next position has shape {list(tensor.shape)} and dtype {_dtype(tensor)}: "
            f"give ids [{batch}] or vectors [{batch}, {engine.hidden_size}], one per row of the state"
        )
    if engine.context is not None and min(engine.context_left(state, row) for row in range(batch)) < 1:
        raise WrongUse(
            f"a row of the state fills the {engine.context} positions of the model: it cannot continue"
        )
    return tensor.to(engine.dtype) if tensor.is_floating_point() else tensor


def as_rows(state: State, rows: Any) -> Tensor:
    """Turn numbers of rows of a state into int64 [n].

    Raises:
        WrongUse: they are not whole numbers, or the state has fewer rows.
    """
    tensor, batch = torch.as_tensor(rows), len(state.logits)
    if tensor.dtype == torch.bool or tensor.is_floating_point() or tensor.dim() != 1:
        raise WrongUse(f"rows have shape {list(tensor.shape)} and dtype {_dtype(tensor)}: give numbers [n]")
    if tensor.numel() and not 0 <= int(tensor.min()) <= int(tensor.max()) < batch:
        raise WrongUse(
            f"rows {tensor.tolist()} of a state with rows 0 to {batch - 1}: give those of its rows"
        )
    return tensor.to(torch.long)


def _as_tensor(engine: Engine, what: str, value: Any) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise WrongUse(
            f"{what} is a {type(value).__name__} that is not numbers ({reason}): give text, ids or embeddings"
        ) from None
    if tensor.is_meta or tensor.layout != torch.strided:
        kind = "on the meta device" if tensor.is_meta else f"of layout {tensor.layout}"
        raise WrongUse(f"{what} is {kind}: give a dense tensor with its numbers")
    if not tensor.numel():
        return tensor.to(engine.device)
    if tensor.is_floating_point():
        return _checked_vectors(what, tensor).to(engine.device)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise WrongUse(f"{what} has dtype {_dtype(tensor)}: give ids or embeddings")
    # Unsigned types have no minimum in torch.
    tensor = tensor.to(torch.long)
    rows = engine.vocab_size
    if is_put_off(tensor.device):
        demand((tensor.amin() >= 0) & (tensor.amax() < rows), lambda: _no_rows(what, tensor, rows))
        return tensor.clamp(0, rows - 1)
    if int(tensor.min()) < 0 or int(tensor.max()) >= rows:
        raise _no_rows(what, tensor, rows)
    return tensor.to(engine.device, torch.long)


def _no_rows(what: str, ids: Tensor, rows: int) -> WrongUse:
    low, high = int(ids.min()), int(ids.max())
    wrong = low if low < 0 else high
    return WrongUse(f"{what} contains the id {wrong}: the embedding table has rows 0 to {rows - 1}")


def _checked_vectors(what: str, vectors: Tensor) -> Tensor:
    demand(
        vectors.isfinite().all(),
        lambda: WrongUse(f"{what} contains NaN or infinity: give finite embeddings"),
    )
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
