"""Keep the memory of freed tensors in the process, so that the next tensor of that size finds its pages ready.

glibc, the C library of most Linux systems, returns a block of more than 32 MiB to the system as soon as it is freed.
The logits of 32 sequences over a vocabulary of 262,144 tokens are such a block. The system clears the 8,192 pages of
the next one again, which takes twice as long as a softmax over it.
"""

from __future__ import annotations

import ctypes
import os
import sys

# From malloc.h: how many bytes may stay free at the end of the heap, and how many blocks may lie outside of it.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# Freed memory above this is returned, as when a model is replaced by the next one.
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Keep up to 1 GiB of freed memory; return whether that is so.

    Nothing is changed if the C library is not glibc, or if the user has set variables of its allocator.
    """
    if sys.platform != "linux" or _chosen():
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def _chosen() -> bool:
    return "malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name.startswith("MALLOC_") for name in os.environ
    )
