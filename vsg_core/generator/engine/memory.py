"""Check that this machine can hold a model, before loading it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.filesize import decimal

from vsg_core.errors import NotEnoughMemory

# Added to the weights: activations and key-value cache of a small batch, and the libraries themselves. accelerate's
# size helpers count weights only, and of a model that has been built; callers know that number before, from the
# headers of the weight files.
MARGIN, FIXED = 1.2, 300_000_000
# Bytes per weight, by the name of its dtype.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes per weight of a packed layer, with the scales: nf4 has a 4-byte scale per 64 weights.
PACKED_BYTES = {"nf4": 0.5625, "int8": 1.0}


def check_memory(what: str, weights: int, devices: str | Sequence[Any] = "cpu") -> None:
    """Refuse a model that the devices have too little free memory for; of several, the sum counts.

    Args:
        what: the model, as the message names it.
        weights: bytes of the weights once loaded.
        devices: "cpu", "mps", "cuda" or "cuda:1", or several of them.

    Raises:
        NotEnoughMemory: the message has the numbers.
    """
    names = [devices] if isinstance(devices, str) else list(map(str, devices))
    needed, free = bytes_needed(weights, len(names)), [available(name) for name in names]
    if needed > sum(free):
        each = [f"{name} has {decimal(bytes_free)}" for name, bytes_free in zip(names, free, strict=True)]
        total = f", {decimal(sum(free))} in all" if len(free) > 1 else ""
        raise NotEnoughMemory(
            f"{what} needs about {decimal(needed)} of memory ({decimal(weights)} of weights), "
            f"{' and '.join(each)} free{total}: close other programs, take bfloat16 or a smaller model"
        )


def bytes_needed(weights: int, devices: int = 1) -> int:
    """Bytes that a model needs on a number of devices together, from the bytes of its weights."""
    return int(weights * MARGIN) + FIXED * devices


def available(device: str = "cpu") -> int:
    """Free bytes: of the GPU, or of the machine within the limits of this process's cgroup."""
    if device.startswith("cuda"):
        import torch

        # What this process has freed stays reserved for it.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return min([int(psutil.virtual_memory().available), *cgroup_free()])


def cgroup_free(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Return the bytes left under each memory limit of this process (cgroup v2); page cache counts as free."""
    if not proc.is_file():
        return []
    own = next((line[3:] for line in proc.read_text().splitlines() if line.startswith("0::")), "/")
    group, free = mount / own.lstrip("/"), []
    for folder in (group, *group.parents):
        try:
            limit = (folder / "memory.max").read_text().strip()
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue  # the root has no limit; above it there are no groups
        if limit != "max":
            free.append(int(limit) - used + int(stat["inactive_file"]))
    return free
