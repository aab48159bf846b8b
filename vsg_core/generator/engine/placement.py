"""The devices and dtype of a model, and how its layers are placed over several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import infer_auto_device_map  # type: ignore[import-untyped]
from accelerate.utils import get_balanced_memory  # type: ignore[import-untyped]
from rich.filesize import decimal
from transformers import PreTrainedModel

from vsg_core.errors import NotEnoughMemory, WrongUse, first_line_of
from vsg_core.generator.engine.memory import FIXED, MARGIN, available, bytes_needed, check_memory
from vsg_core.generator.engine.packing import Packing, packed_dtypes


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """Look up float32, bfloat16 or float16 by name; None is float32.

    Raises:
        WrongUse: another name.
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    names = {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
        None: torch.float32,
    }
    if dtype not in names:
        raise WrongUse(f"dtype {dtype!r} is not known: give float32, bfloat16 or float16")
    return names[dtype]


def as_device(device: str) -> torch.device:
    """Open a torch device; "auto" prefers CUDA, then MPS, then the CPU.

    Raises:
        WrongUse: this machine has no such device.
    """
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        placed = torch.empty(0, device=device).device
        if placed.type not in ("cuda", "mps", "cpu"):
            raise RuntimeError("none of cuda, mps and cpu")
        return placed
    except (RuntimeError, AssertionError) as error:
        raise WrongUse(
            f"device {device!r} cannot be used ({first_line_of(error)}): give auto or cpu"
        ) from None


def as_devices(device: str, what: str, weights: int) -> list[torch.device]:
    """Choose the devices of a model: with "auto", the first card that holds it, else all cards together.

    Args:
        what: the model, as the message names it.
        weights: bytes of the weights once loaded.

    Raises:
        WrongUse: this machine has no such device.
        NotEnoughMemory: the message has the numbers.
    """
    first = as_device(device)
    cards = [first]
    if device == "auto" and first.type == "cuda" and torch.cuda.device_count() > 1:
        cards = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
        free = [available(str(card)) for card in cards]
        cards = [cards[number] for number in chosen(bytes_needed(weights), free)]
    check_memory(what, weights, cards)
    return cards


def chosen(needed: int, free: Sequence[int]) -> list[int]:
    """Return the number of the first card whose free bytes suffice; of all cards if none does."""
    alone = next((number for number, bytes_free in enumerate(free) if bytes_free >= needed), None)
    return list(range(len(free))) if alone is None else [alone]


def device_map(
    model: PreTrainedModel, dtype: torch.dtype, free: Sequence[int], packing: Packing | None = None
) -> dict[str, int]:
    """Place the modules of a sketch over several cards, none of which holds it alone, in equal parts.

    Args:
        free: bytes that are free on each card.

    Raises:
        NotEnoughMemory: the layers cannot be shared out so that each card holds its part.
    """
    room: dict[int | str, int] = {
        card: max(int((bytes_free - FIXED) / MARGIN), 0) for card, bytes_free in enumerate(free)
    }
    options: dict[str, Any] = {
        "no_split_module_classes": sorted(model._no_split_modules or ()),
        "dtype": dtype,
        "special_dtypes": packed_dtypes(model, packing),
    }
    # Only the first is a plain sum; a part of equal size may not fit on a smaller card.
    for most in (get_balanced_memory(model, dict(room), **options), room):
        places: dict[str, Any] = infer_auto_device_map(model, {**most, "disk": 1 << 60}, **options)
        if all(isinstance(place, int) for place in places.values()):
            return places
    numbers = " and ".join(f"cuda:{card} has {decimal(bytes_free)}" for card, bytes_free in enumerate(free))
    raise NotEnoughMemory(
        f"the layers of {type(model).__name__} cannot be shared out so that each card holds its part: {numbers} free; "
        "close other programs, take bfloat16 or a smaller model"
    )


def device_text(device: torch.device) -> str:
    """Name a device with the hardware that decides how its sums round: mps, cpu (AVX512), cuda:0 (NVIDIA H100)."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else str(device)
