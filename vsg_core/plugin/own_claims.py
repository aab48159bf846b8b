"""One's own claims, which join those of the project: the folders of --claims, and ./hypotheses with `vsg run`."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from vsg_core.errors import VsgError
from vsg_core.plugin.places import claims_folders, own_folders, project_folder
from vsg_core.projects import CLAIMS


def early_folders(config: pytest.Config, given: argparse.Namespace) -> list[str]:
    """The folders, besides the arguments, whose conftest.py is loaded; they and their neighbours can be imported.

    Args:
        given: the options, as far as they are known before conftest.py is loaded.
    """
    start = config.invocation_params.dir
    own = own_folders(start, given)
    folders = [folder for folder in own if folder.is_dir()]
    for folder in folders:
        # As `pythonpath` in pytest.ini does for a project's claims; at the end, so that they hide nothing.
        sys.path.append(str(folder.parent))
        config.add_cleanup(partial(sys.path.remove, str(folder.parent)))
    if given.vsg_project:
        folders.insert(0, Path(given.vsg_project, CLAIMS))
    elif folders and not given.file_or_dir:
        folders.insert(0, start)
    return list(map(str, folders))


def collect_own_claims(config: pytest.Config) -> None:
    """Collect one's own claims too, where no paths were given.

    Raises:
        UsageError: a folder of --claims does not exist.
    """
    if not joins(config):
        return
    try:
        folders = claims_folders(config)
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None
    for folder in folders[1:]:
        # Any file there may hold claims, as in hypotheses/.
        config.addinivalue_line("python_files", f"{glob.escape(str(folder))}/*.py")
    config.args = chosen(config, folders)


def joins(config: pytest.Config) -> bool:
    """Return whether claims of one's own may join those of the project."""
    return bool(config.option.vsg_project or config.option.vsg_claims)


def chosen(config: pytest.Config, folders: Sequence[Path]) -> list[str]:
    """The paths that this run collects."""
    if config.args_source == pytest.Config.ArgsSource.ARGS:
        return config.args
    started = [str(project_folder(config) / CLAIMS)] if config.option.vsg_project else config.args
    return [*started, *(str(folder) for folder in folders[1:] if str(folder) not in started)]


def is_neighbour(config: pytest.Config, path: Path) -> bool:
    """Return whether a path is none of what is collected, but next to it.

    pytest looks into every folder above a path outside its rootdir, and some may not be read.
    """
    if not joins(config):
        return False
    start = config.invocation_params.dir
    paths = [os.path.normpath(start / name.partition("::")[0]) for name in config.args]
    return not any(path.is_relative_to(collected) for collected in paths)
