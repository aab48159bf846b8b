"""The provenance of a record besides its claim: code, versions and machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from vsg_core.projects import CLAIMS, PACKAGE, RECORDED, REGISTERED

# Hexadecimal digits of the code's digest.
DIGITS = 16
# Threads of the libraries that compute, and graphics cards.
LIMITS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
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
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def environment() -> dict[str, str]:
    """The variables that are set and limit what of the machine this process may use."""
    return {name: os.environ[name] for name in LIMITS if name in os.environ}


@cache
def code(folder: Path) -> Code:
    """The state of the code in `folder`."""
    try:
        return Code(_git(folder, "rev-parse", "HEAD"), bool(_git(folder, "status", "--porcelain")))
    except (OSError, subprocess.CalledProcessError):
        return Code(None, None)


def changed_files(folder: Path, but: Iterable[Path]) -> list[str] | None:
    """The files that differ from the commit in the repository of `folder`, new ones too; None if git cannot tell.

    Args:
        but: what is left out, from `folder`.
    """
    left_out = (f":(exclude){path}" for path in but)
    try:
        found = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ":/", *left_out)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [line.split(maxsplit=1)[1] for line in found.splitlines()]


def uncommitted(files: Iterable[Path]) -> list[Path]:
    """Those of the files that are new or changed in their git repository; none where git cannot tell."""
    found: list[Path] = []
    by_folder: dict[Path, list[str]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file.name)
    for folder, names in by_folder.items():
        with suppress(OSError, subprocess.CalledProcessError):
            # One question for all, since mostly nothing has changed.
            if _changes(folder, names):
                found += [folder / name for name in names if _changes(folder, [name])]
    return found


def _changes(folder: Path, names: Iterable[str]) -> str:
    """Ask git which files of a folder are new or changed; empty if none is."""
    return _git(folder, "status", "--porcelain", "--", *(f":(literal){name}" for name in names))


@cache
def code_digest(folder: Path) -> str:
    """A digest of the code: of every file of vsg_core, and of `folder`/hypotheses and `folder`/fixtures.

    Of the bytes, so that a comment changes it. Accepted verdicts, freezes and hidden files are left out. It is the
    same for the whole process: what is edited during a run was not what ran.
    """
    total = hashlib.sha256()
    for room in (PACKAGE, folder / "fixtures", folder / CLAIMS):
        for path in sorted(filter(_is_code, room.rglob("*"))):
            if not {RECORDED, REGISTERED} & {*path.relative_to(room).parts[:1]}:
                content = _content(path)
                total.update(
                    f"{room.name}/{path.relative_to(room).as_posix()}:{len(content)}:".encode() + content
                )
    return total.hexdigest()[:DIGITS]


def _content(path: Path) -> bytes:
    """The bytes of a file; none of one that may not be read, which cannot have run."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_code(path: Path) -> bool:
    hidden = path.name.startswith(".") or "__pycache__" in path.parts
    return not hidden and path.suffix != ".pyc" and path.is_file()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
