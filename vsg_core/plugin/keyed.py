"""The key of each claim of a run, from the sources as they are when the run has collected its claims."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vsg_core.errors import VsgError
from vsg_core.judge.claims import Claim
from vsg_core.plugin.drawing import trials_of
from vsg_core.plugin.places import own_folders, project_folder, reports_folder
from vsg_core.plugin.pytest_options import OWN_OPTIONS
from vsg_core.plugin.selection import Selected, claim_of
from vsg_core.projects import CLAIMS
from vsg_core.records import provenance
from vsg_core.records.record import Key
from vsg_core.runs.keys import (
    Project,
    claim_key,
    device_class,
    measured_on,
    measured_over,
    weights_of,
)
from vsg_core.runs.sources import is_of_project


@dataclass
class Keys:
    """The keys of a run.

    Args:
        project: None until the run has claims.
    """

    config: pytest.Config
    project: Project | None = None
    _sources: dict[str, dict[str, str] | None] = field(default_factory=dict)
    _weights: dict[str, str] = field(default_factory=dict)
    _device: list[str | None] = field(default_factory=list)

    def read(self, items: Iterable[pytest.Item]) -> None:
        """Read the sources of these claims; what is edited later is not what runs."""
        functions = [item for item in items if is_claim(item)]
        if not functions:
            return
        root = project_folder(self.config)
        folders = (root / CLAIMS, *own_folders(self.config.invocation_params.dir, self.config.option))
        self.project = Project(root, folders, _further_modules(self.config, root), _options(self.config))
        provenance.code_digest(root)
        for item in functions:
            try:
                self._sources[item.nodeid] = self.project.parts(
                    item.path, _name(item), _fixture_files(item, root)
                )
            except (OSError, ValueError, SyntaxError):
                # Its record has no key, and so is measured again each time.
                self._sources[item.nodeid] = None

    def key(
        self, item: pytest.Function, claim: Claim, selected: Selected | None, weights: str = ""
    ) -> Key | None:
        """The key of a claim; None where something of it is not known.

        Args:
            weights: identifies the bytes of the loaded model; empty to ask for those on this machine.
        """
        sources = self._sources.get(item.nodeid)
        if sources is None or self.device is None:
            return None
        if (trials := trials_of(item)) is not None:
            sources = sources | {"trials": str(trials)}
        if selected is None:
            return claim_key(claim, sources, measured_over(reports_folder(self.config)))
        weights = weights or self.weights(selected)
        option = self.config.option
        given = measured_on(selected.entry, weights, option.vsg_dtype, self.device, option.vsg_thinking)
        return claim_key(claim, sources, given)

    def weights(self, selected: Selected) -> str:
        """Identify the weights of a model on this machine; those of a pinned revision need not be there."""
        if not self._weights.get(selected.target):
            self._weights[selected.target] = weights_of(selected.entry)
        return self._weights[selected.target]

    @property
    def device(self) -> str | None:
        """The kind of device that models run on; None where there is no such device."""
        if not self._device:
            try:
                self._device.append(device_class(self.config.option.vsg_device))
            except VsgError:
                self._device.append(None)
        return self._device[0]


KEYS = pytest.StashKey[Keys]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEYS] = Keys(config)


# Around all others, which may need keys.
@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Generator[None, None, None]:
    config = session.config
    if (config.option.vsg_resume or not config.option.collectonly) and not hasattr(config, "workerinput"):
        config.stash[KEYS].read(session.items)
    yield


def is_claim(item: pytest.Item) -> bool:
    """Return whether a test is a claim on a model or across models."""
    return claim_of(item) is not None and hasattr(item, "callspec")


def _name(item: pytest.Item) -> str:
    """The name at the top of its file by which a claim is found: that of its function, or of the class it is in."""
    if not isinstance(item, pytest.Function):
        return item.name
    return item.cls.__name__ if item.cls else item.originalname


def _options(config: pytest.Config) -> dict[str, str]:
    """The options that are given, by name, without those of the suite and of how pytest runs and reports."""
    default = config._parser.optparser.get_default
    given = {name: value for name, value in vars(config.option).items() if value != default(name)}
    own = (name for name in given if not name.startswith("vsg_") and name not in OWN_OPTIONS)
    return {name: repr(given[name]) for name in own}


def _fixture_files(item: pytest.Item, root: Path) -> dict[str, Path]:
    """The file of each fixture of the project that pytest sets up for a test."""
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    codes = {name: getattr(defs[-1].func, "__code__", None) for name, defs in known.items() if defs}
    files = {name: Path(code.co_filename) for name, code in codes.items() if code}
    return {name: path for name, path in sorted(files.items()) if is_of_project(path, root)}


def _further_modules(config: pytest.Config, root: Path) -> tuple[Path, ...]:
    """The files of plugins that belong to the project, besides conftest.py files: they may define fixtures."""
    names = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
    paths = {Path(name) for name in names if name}
    return tuple(sorted(path for path in paths if path.name != "conftest.py" and is_of_project(path, root)))
