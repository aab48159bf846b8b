"""The project of a run: the claims that came with this package, or those of a clone, joined by one's own.

A wheel contains the project (conftest.py, pytest.ini, hypotheses/, fixtures/) in vsg_core/project/. In an editable
installation the project is the checkout itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from vsg_core.errors import VsgError, WrongUse

# What a project's conftest.py loads.
PLUGIN = "vsg_core.plugin"
PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "project"
# The folder of claims in a project, and of one's own claims where there is no project.
CLAIMS = "hypotheses"
# The folder of accepted verdicts in one of claims.
RECORDED = "recorded"
# The reports of a project behind its accepted verdicts.
EXAMPLE = Path("reports", "example")
# The folder of freezes in one of claims.
REGISTERED = "registered"


def loads_plugin(folder: Path) -> bool:
    """Return whether the folder's conftest.py names the plugin, as that of a project does."""
    try:
        text = (folder / "conftest.py").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return False
    return bool(re.search(rf"['\"]{re.escape(PLUGIN)}['\"]", text))


def project_around(folder: Path) -> Path | None:
    """The project that a folder is in; None for none."""
    return next(filter(loads_plugin, (folder, *folder.parents)), None)


def own_project() -> Path:
    """The project that this package came with.

    Raises:
        VsgError: it came with none.
    """
    for folder in (INSTALLED, PACKAGE.parent):
        if loads_plugin(folder):
            return folder
    raise VsgError(
        f"no claims came with {PACKAGE}: install it from a wheel, or from a checkout with pip install ."
    )


def run_command() -> str:
    """The command that runs claims in the current folder: `pytest` in a project, else `vsg run`."""
    return "pytest" if _in_project(Path.cwd()) else "vsg run"


def option_words(options: Mapping[str, str | None]) -> list[str]:
    """Options and their values as words of a command; those without a value are left out."""
    words: list[str] = []
    for name, value in options.items():
        # What begins with a hyphen would be taken for an option.
        words += [] if not value else [f"{name}={value}"] if value.startswith("-") else [name, value]
    return words


@cache
def _in_project(folder: Path) -> bool:
    return project_around(folder) is not None


def joined(claims: Path, own: Iterable[Path]) -> list[Path]:
    """The project's folder of claims and one's own, each once; one inside another counts as that one.

    Raises:
        WrongUse: there is no such folder.
    """
    folders = [claims]
    for folder in own:
        if not folder.is_dir():
            raise WrongUse(f"there is no folder {str(folder)!r}: give a folder of claims with --claims")
        if not any(real_path(folder).is_relative_to(real_path(known)) for known in folders):
            folders.append(folder)
    return folders


def claim_folders(folder: Path, given: Sequence[str]) -> list[Path]:
    """The folders of claims that a command started in `folder` is about, the project's first.

    Args:
        given: the values of --claims; without any, ./hypotheses is one's own where there is no project.

    Raises:
        WrongUse: there is no such folder.
    """
    project = project_around(folder)
    own = [Path(name) for name in given]
    if not own and project is None and (folder / CLAIMS).is_dir():
        own = [Path(CLAIMS)]
    return joined((project or own_project()) / CLAIMS, own)


def pytest_command(arguments: Sequence[str], folder: Path) -> list[str]:
    """The command that runs claims in a folder: that of its project, else the one that this package came with.

    Raises:
        VsgError: there is neither.
    """
    # Without -P, `python -m` would import modules of the current folder in place of installed ones.
    start = [sys.executable, "-P", "-m", "pytest"]
    if project_around(folder):
        return [*start, *arguments]
    project = own_project()
    cache = f"cache_dir={folder / '.pytest_cache'}"
    of_project = ["-c", str(project / "pytest.ini"), f"--rootdir={project}", f"--vsg-project={project}"]
    return [*start, *of_project, "-o", cache, *arguments]


def real_path(path: Path) -> Path:
    """The path without symlinks. Path.resolve raises for a circle of them."""
    return Path(os.path.realpath(path))
