"""The folders of a run: its project, wherever pytest was started and whatever it takes for its rootdir.

`vsg run` in another folder names the project (--vsg-project); what is written goes to the current folder then.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from vsg_core.projects import CLAIMS, PLUGIN, RECORDED, joined, real_path

if TYPE_CHECKING:
    from vsg_core.records.confirmations import Confirmations

# The project's folder, once it is known.
PROJECT = pytest.StashKey[Path]()


def project_folder(config: pytest.Config) -> Path:
    """The folder of the conftest.py that loads this plugin; the rootdir if none does.

    --rootdir and -c move the rootdir, but neither the claims nor their recorded verdicts.
    """
    if config.option.vsg_project:
        return Path(config.option.vsg_project)
    if PROJECT not in config.stash:
        found = _loading_folder(config)
        # Its conftest.py may not be loaded yet.
        if found is None:
            return config.rootpath
        config.stash[PROJECT] = found
    return config.stash[PROJECT]


def _loading_folder(config: pytest.Config) -> Path | None:
    """The folder of the first conftest.py that loads this plugin."""
    for _, plugin in config.pluginmanager.list_name_plugin():
        path = _conftest_path(plugin)
        if path is not None and PLUGIN in _plugins_of(plugin):
            return path.parent
    return None


def reports_folder(config: pytest.Config) -> Path:
    """The folder in which this process writes its records and reports: of a worker, one of its own."""
    own = getattr(config.option, "vsg_worker_reports", None)
    return Path(own) if own else shown_reports(config)


def shown_reports(config: pytest.Config) -> Path:
    """The folder of reports of the whole run, which messages name: a worker's records move to it."""
    chosen = config.option.vsg_reports
    return config.invocation_params.dir / chosen if chosen else _working_folder(config) / "reports"


def own_folders(start: Path, options: argparse.Namespace) -> list[Path]:
    """The folders of one's own claims: those of --claims, else with --vsg-project ./hypotheses, which may be missing.

    Args:
        start: the folder that pytest was started in.
    """
    names = options.vsg_claims or ([CLAIMS] if options.vsg_project else [])
    return [Path(os.path.normpath(start / name)) for name in names]


def claims_folders(config: pytest.Config) -> list[Path]:
    """The folders of claims: the project's, then one's own.

    Raises:
        WrongUse: a folder of --claims does not exist.
    """
    own = own_folders(config.invocation_params.dir, config.option)
    given = own if config.option.vsg_claims else [folder for folder in own if folder.is_dir()]
    return joined(project_folder(config) / CLAIMS, given)


def recorded_folders(config: pytest.Config) -> list[Path]:
    """The folders of the accepted verdicts; one in a later folder replaces that of the same claim and model."""
    own = own_folders(config.invocation_params.dir, config.option)
    return list(dict.fromkeys(folder / RECORDED for folder in (project_folder(config) / CLAIMS, *own)))


def confirmations_of(config: pytest.Config) -> Confirmations:
    """Read what the ledgers of the project and of one's own claims say.

    Raises:
        VsgError: a freeze or a ledger is damaged.
    """
    # Imported when a page is written: collecting claims does not need the judge.
    from vsg_core.records.confirmations import read_confirmations

    return read_confirmations(folder.parent for folder in recorded_folders(config))


def recorded_folder(config: pytest.Config, claim: Path) -> Path:
    """The folder into which --record writes the verdicts of the claims in a file: next to the file.

    With --vsg-project it is next to one's own claims, for nothing is written into the project.
    """
    folders = recorded_folders(config)
    own = folders[1:] or folders
    nearest = next((folder for folder in folders if claim.is_relative_to(folder.parent)), folders[0])
    return own[0] if config.option.vsg_project and nearest == folders[0] else nearest


def written_folders(config: pytest.Config) -> list[Path]:
    """Every folder into which --record may write."""
    folders = recorded_folders(config)
    return folders[1:] if config.option.vsg_project else folders


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process runs a shard for another one, which writes the reports of the run."""
    return bool(getattr(config.option, "vsg_task", None))


def runs_claims(config: pytest.Config) -> bool:
    """Return whether this run was pointed at claims: at hypotheses/, or at one's own."""
    start = config.invocation_params.dir
    folders = [
        real_path(folder) for folder in (project_folder(config) / CLAIMS, *own_folders(start, config.option))
    ]
    chosen = [real_path(start / name.partition("::")[0]) for name in config.args]
    pointed = any(
        path.is_relative_to(claims) or claims.is_relative_to(path) for path in chosen for claims in folders
    )
    return pointed or bool(folders[1:] and config.args_source != pytest.Config.ArgsSource.ARGS)


def _working_folder(config: pytest.Config) -> Path:
    """The folder into which reports are written: the project, or the current folder with --vsg-project."""
    return config.invocation_params.dir if config.option.vsg_project else project_folder(config)


def picks_claims(config: pytest.Config) -> bool:
    """Return whether this run was pointed at some claims only: by -k, paths or failures; -m names a set.

    A worker is pointed at the claims of its shard, and looks at its model unless it was started without that plugin.
    """
    if is_worker(config):
        return False
    claims = real_path(project_folder(config) / CLAIMS)
    chosen = [real_path(config.invocation_params.dir / name) for name in config.args if "::" not in name]
    # Each is an option of a plugin that may be left out.
    wanted = (getattr(config.option, name, None) for name in ("keyword", "deselect", "lf", "stepwise"))
    return any(wanted) or not any(claims.is_relative_to(path) for path in chosen)


def _conftest_path(plugin: object) -> Path | None:
    path = Path(plugin.__file__ or "") if isinstance(plugin, ModuleType) and plugin.__file__ else None
    return path if path is not None and path.name == "conftest.py" else None


def _plugins_of(plugin: object) -> list[str]:
    named = getattr(plugin, "pytest_plugins", [])
    return [named] if isinstance(named, str) else list(named)
