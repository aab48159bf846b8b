"""Limit how long threads of OpenMP wait actively (spin) before they sleep; set before torch is loaded.

By default a thread of libgomp, the OpenMP of torch on Linux, spins for milliseconds. On idle cores that is the fastest
way to wait; on cores that another process shares, it takes the time of the threads that it waits for. The number of
threads stays as it is, since it decides how sums are split and so how they are rounded.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SPINS = "GOMP_SPINCOUNT"
# Each of them says how threads wait. libgomp reads the first two, the OpenMP of LLVM and Intel the others.
CHOICES = (SPINS, "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
# Turns of the waiting loop. With fewer, threads sleep between two products of a decoding step, and have to be woken;
# with more, a step next to another process takes longer (`make bench`).
LIMIT = 2_500


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
