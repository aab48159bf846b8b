"""The folders of a run: its project, wherever pytest was started and whatever it takes for its rootdir."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

PLUGIN = "vsg_core.plugin"


def project_folder(config: pytest.Config) -> Path:
    """The folder of the conftest.py that loads this plugin; the rootdir if none does.

    --rootdir and -c move the rootdir, but neither the claims nor their recorded verdicts.
    """
    for _, plugin in config.pluginmanager.list_name_plugin():
        path = _conftest_path(plugin)
        if path is not None and PLUGIN in _plugins_of(plugin):
            return path.parent
    return config.rootpath


def reports_folder(config: pytest.Config) -> Path:
    """The folder in which this process writes its records and reports: of a worker, one of its own."""
    own = getattr(config.option, "vsg_worker_reports", None)
    return Path(own) if own else shown_reports(config)


def shown_reports(config: pytest.Config) -> Path:
    """The folder of reports of the whole run, which messages name: a worker's records move to it."""
    chosen = config.option.vsg_reports
    return config.invocation_params.dir / chosen if chosen else project_folder(config) / "reports"


def recorded_folder(config: pytest.Config) -> Path:
    """The folder of the accepted verdicts."""
    return project_folder(config) / "hypotheses" / "recorded"


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process runs a shard for another one, which writes the reports of the run."""
    return bool(getattr(config.option, "vsg_task", None))


def runs_claims(config: pytest.Config) -> bool:
    """Return whether this run was pointed at hypotheses/."""
    claims = _real(project_folder(config) / "hypotheses")
    chosen = [_real(config.invocation_params.dir / name.partition("::")[0]) for name in config.args]
    return any(path.is_relative_to(claims) or claims.is_relative_to(path) for path in chosen)


def picks_claims(config: pytest.Config) -> bool:
    """Return whether this run was pointed at some claims only: by -k, paths or failures; -m names a set.

    A worker is pointed at the claims of its shard, and looks at its model unless it was started without that plugin.
    """
    if is_worker(config):
        return False
    claims = _real(project_folder(config) / "hypotheses")
    chosen = [_real(config.invocation_params.dir / name) for name in config.args if "::" not in name]
    # Each is an option of a plugin that may be left out.
    wanted = (getattr(config.option, name, None) for name in ("keyword", "deselect", "lf", "stepwise"))
    return any(wanted) or not any(claims.is_relative_to(path) for path in chosen)


def _real(path: Path) -> Path:
    """The path without symlinks. Path.resolve raises for a circle of them."""
    return Path(os.path.realpath(path))


def _conftest_path(plugin: object) -> Path | None:
    path = Path(plugin.__file__ or "") if isinstance(plugin, ModuleType) and plugin.__file__ else None
    return path if path is not None and path.name == "conftest.py" else None


def _plugins_of(plugin: object) -> list[str]:
    named = getattr(plugin, "pytest_plugins", [])
    return [named] if isinstance(named, str) else list(named)
