"""Freed memory stays in the process, unless the user has set how the allocator works."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")

# Print how many MB of a freed block of 64 MB the process still holds.
SCRIPT = """
import ctypes
import psutil
from vsg_core.runs.memory import keep_freed_memory
kept = keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
process = psutil.Process()
before = process.memory_info().rss
block = library.malloc(1 << 26)
ctypes.memset(block, 1, 1 << 26)
library.free(block)
print(kept, (process.memory_info().rss - before) >> 20)
"""


def held(**variables: str) -> tuple[str, int]:
    cleared = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))
    }
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=cleared | variables, capture_output=True, text=True, check=True
    )
    kept, megabytes = result.stdout.split()
    return kept, int(megabytes)


def test_a_freed_block_stays_in_the_process() -> None:
    kept, megabytes = held()
    assert kept == "True"
    assert 60 <= megabytes <= 68


@pytest.mark.parametrize(
    "variables",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}],
    ids=["variable", "tunable"],
)
def test_a_choice_of_the_user_is_kept(variables: dict[str, str]) -> None:
    kept, megabytes = held(**variables)
    assert kept == "False"
    assert megabytes < 8
