"""What produced a piece of evidence: code, versions and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "statsmodels", "hypothesis")


@cache
def surroundings(folder: Path) -> dict[str, Any]:
    """What is the same for every claim of a run in `folder`: versions, commit, dirty, machine."""
    return {
        "engine": "transformers",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": machine(),
        **code(folder),
    }


def machine() -> str:
    """This machine in words: system, processor, cores, memory."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def code(folder: Path) -> dict[str, Any]:
    """The commit checked out in `folder`, and whether files differ from it; None where git cannot say."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
