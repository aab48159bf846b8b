"""Where a model is put, and in which numbers."""

from __future__ import annotations

import torch

from vsg_core.errors import WrongUse


def as_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """float32, bfloat16 or float16 by name; None is float32."""
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
    """A torch device; auto is CUDA where there is one, then MPS, then the CPU."""
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        found = torch.empty(0, device=device).device
        if found.type not in ("cuda", "mps", "cpu"):
            raise RuntimeError("none of cuda, mps and cpu")
        return found
    except (RuntimeError, AssertionError) as error:
        raise WrongUse(
            f"device {device!r} cannot be used ({str(error).splitlines()[0]}): give auto or cpu"
        ) from None


def device_text(device: torch.device) -> str:
    """A device as a record names it, with what decides how its sums round: mps, cpu (AVX512), cuda:0 (NVIDIA H100)."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else str(device)
