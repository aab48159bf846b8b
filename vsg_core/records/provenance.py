"""The provenance of a record besides its claim: code, versions and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "statsmodels", "hypothesis")
OWN = "vector-space-generation"


class Code(NamedTuple):
    """The commit that is checked out, and whether files differ from it; None if git cannot tell."""

    commit: str | None
    dirty: bool | None


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a verdict may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in (*PACKAGES, OWN)}}


@cache
def machine() -> str:
    """The machine in words: system, processor, cores, memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


@cache
def code(folder: Path) -> Code:
    """The state of the code in `folder`."""
    try:
        return Code(_git(folder, "rev-parse", "HEAD"), bool(_git(folder, "status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return Code(None, None)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
