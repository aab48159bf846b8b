"""Checks before a model is loaded: a run of claims can write its results, and is in one process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vsg_core.errors import VsgError
from vsg_core.plugin.options import check_names
from vsg_core.plugin.order import model_name
from vsg_core.plugin.places import is_worker, reports_folder, runs_claims, written_folders
from vsg_core.records import microscope
from vsg_core.records.files import FOLDER

WRITTEN = ("claims.html", "claims.json", "claims.csv", "summary.md", "pytest.html")
# Bytes; less than the smallest run writes, and more than a file system keeps in a directory entry.
PROBE = 1 << 16
ELSEWHERE = "give another folder with --reports DIR"


# Before pytest-xdist watches files with -f, which it does instead of a run.
@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if runs_claims(config) and config.getoption("looponfail", False):
        raise pytest.UsageError("claims run once per run, and -f (pytest-xdist) repeats them: leave it out")


# Before pytest-xdist starts workers and pytest-html makes folders.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or is_worker(config) or not runs_claims(config):
        return
    check_names(config)
    if config.option.collectonly:
        return
    if config.getoption("dist", "no") != "no" or config.getoption("tx", None):
        raise pytest.UsageError(
            "claims run in one process, so that each model is loaded once: leave out -n (pytest-xdist), "
            "or add -n 0; --on local:N runs the models in N processes"
        )
    if not config.option.vsg_dry:
        _check_places(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check the folders of the models that will run, and those of a run that was not pointed at hypotheses/."""
    config = session.config
    names = dict.fromkeys(filter(None, map(model_name, session.items)))
    writes = not (config.option.collectonly or config.option.vsg_dry)
    if not names or not writes or hasattr(config, "workerinput") or is_worker(config):
        return
    if not runs_claims(config):
        check_names(config)
        _check_places(config)
    _check(_present(reports_folder(config) / FOLDER, names), ELSEWHERE)


def _check_places(config: pytest.Config) -> None:
    """Check everything that the run will write, before it has measured anything."""
    folder = reports_folder(config)
    _check([folder, *_present(folder, (FOLDER, microscope.FOLDER))], ELSEWHERE)
    for name in WRITTEN:
        # A file, even one without write permission, is replaced.
        if (folder / name).is_dir():
            raise pytest.UsageError(f"cannot write {folder / name}: it is a folder; remove it")
    if config.option.vsg_record:
        _check(written_folders(config), "--record writes there")
    for option, name in (("--html", "htmlpath"), ("--junit-xml", "xmlpath")):
        if given := getattr(config.option, name, None):
            path = Path(os.path.expandvars(given)).expanduser()
            _check_file(path, f"give another file with {option}")
            if not path.exists():
                _check([path.absolute().parent], f"give another file with {option}")


def _check_file(path: Path, advice: str) -> None:
    """Check that a file can be written, if it is there."""
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        why = "it is a folder" if path.is_dir() else "permission denied"
        raise pytest.UsageError(f"cannot write {path}: {why}; {advice}")


def _present(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The existing ones of these names in the folder."""
    return (folder / name for name in names if os.path.lexists(folder / name))


def _check(folders: Iterable[Path], advice: str) -> None:
    try:
        for folder in folders:
            check_folder(folder)
    except VsgError as error:
        raise pytest.UsageError(f"{error}; {advice}") from None


def check_folder(folder: Path) -> None:
    """Check that files can be written to a folder, which need not exist. Leaves nothing behind.

    Raises:
        VsgError: they cannot.
    """
    created: list[Path] = []
    try:
        created += [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            # Some file systems, such as NFS, count the bytes only now.
            os.fsync(probe.fileno())
    except FileExistsError:
        raise VsgError(f"cannot write to {folder}: it is not a folder") from None
    except OSError as error:
        raise VsgError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        for place in created:
            with suppress(OSError):
                place.rmdir()
