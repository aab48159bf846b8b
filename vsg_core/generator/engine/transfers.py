"""Numbers between the processor and a graphics card, which stands still while the processor waits for one.

Inside `reading_together`, checks of numbers on a card are put off until the next numbers are read anyway. Elsewhere,
and on other devices, each is made at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor

# What must hold [] bool, and the error otherwise.
Demand: TypeAlias = "tuple[Tensor, Callable[[], Exception]]"
_put_off: ContextVar[list[Demand] | None] = ContextVar("put_off", default=None)
# Kinds of devices on which a read waits for all that was launched before.
QUEUED = {"cuda"}


@contextmanager
def reading_together() -> Iterator[None]:
    """Put off checks of numbers on a card inside the block, at most until its end.

    Raises:
        Exception: the error of the first demand that does not hold, at the next read or at the end.
    """
    if _put_off.get() is not None:
        yield
        return
    token = _put_off.set([])
    try:
        yield
        lists()
    finally:
        _put_off.reset(token)


def is_put_off(device: torch.device) -> bool:
    """Return whether a demand on numbers there would be put off now."""
    return device.type in QUEUED and _put_off.get() is not None


def demand(holds: Tensor, error: Callable[[], Exception]) -> None:
    """Raise an error unless a condition [] bool holds, at once or when numbers are read next.

    What is computed until then must not fail in a worse way: an id outside a table stops a card for good.
    """
    waiting = _put_off.get()
    if waiting is not None and is_put_off(holds.device):
        waiting.append((holds, error))
    elif not holds:
        raise error()


def lists(*columns: Tensor) -> list[list[Any]]:
    """Return tensors [n, ...] of any kinds as lists, from a card in one transfer.

    Raises:
        Exception: the error of the first demand that was put off and does not hold.
    """
    waiting = _put_off.get() or []
    demands = list(waiting)
    waiting.clear()
    holds = [each.reshape(1) for each, _ in demands]
    read = _read([*columns, *holds])
    for (kept,), (_, error) in zip(read[len(columns) :], demands, strict=True):
        if not kept:
            raise error()
    return read[: len(columns)]


def placed(numbers: Sequence[int], device: torch.device) -> Tensor:
    """Return whole numbers as a tensor [n] on a device, without waiting for it."""
    return sent(torch.tensor(numbers, dtype=torch.long), device)


def sent(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return a tensor on a device, without waiting for it: CUDA copies from the processor's memory before it returns.

    Other devices may read that memory later, when it is used for something else.
    """
    return tensor.to(device, tensor.dtype if dtype is None else dtype, non_blocking=device.type == "cuda")


def _read(tensors: Sequence[Tensor]) -> list[list[Any]]:
    on_cards = [tensor for tensor in tensors if tensor.device.type in QUEUED]
    # As bytes, so that every number arrives as it is.
    raw = [each.to(on_cards[0].device).contiguous().flatten().view(torch.uint8) for each in on_cards]
    arrived = iter(torch.cat(raw).cpu().split_with_sizes([each.nbytes for each in on_cards]) if raw else ())
    return [
        # A copy begins at an address that fits the kind.
        next(arrived).clone().view(each.dtype).view(each.shape).tolist()
        if each.device.type in QUEUED
        else each.tolist()
        for each in tensors
    ]
