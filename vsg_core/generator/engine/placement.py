"""The device and dtype of a model."""

from __future__ import annotations

import torch

from vsg_core.errors import WrongUse


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
            f"device {device!r} cannot be used ({str(error).splitlines()[0]}): give auto or cpu"
        ) from None


def device_text(device: torch.device) -> str:
    """Name a device with the hardware that decides how its sums round: mps, cpu (AVX512), cuda:0 (NVIDIA H100)."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else str(device)
