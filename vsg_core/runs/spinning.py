"""How long threads of OpenMP wait actively (spin) before they sleep: a limit, set before torch is loaded.

By default a thread of libgomp, which computes for torch on Linux, spins for milliseconds. Between two products of a
decoding step that costs nothing on idle cores; on cores that another process shares, it takes the time of the threads
that it waits for.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SPINS = "GOMP_SPINCOUNT"
# Each of them says how threads wait. libgomp reads the first two, the OpenMP of LLVM and Intel the others.
CHOICES = (SPINS, "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
# Turns of the waiting loop: more than the gap between two products takes, less than a slice of the scheduler.
LIMIT = 10_000


def limit_spinning() -> None:
    """Set the limit, unless the user chose how threads wait, or a library has read the variables already."""
    if sys.platform == "linux" and not chosen() and not _openmp_is_loaded():
        os.environ[SPINS] = str(LIMIT)


def chosen() -> dict[str, str]:
    """The variables that are set and say how threads wait, for the record."""
    return {name: os.environ[name] for name in CHOICES if name in os.environ}


def _openmp_is_loaded() -> bool:
    try:
        return "libgomp" in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "torch" in sys.modules
