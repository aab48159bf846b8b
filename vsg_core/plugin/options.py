"""The command line options. An entry point, since they must be known before pytest loads conftest.py.

An entry point is loaded in every project of the environment, so the options are named --vsg-... there. In a project of
claims each also has its short name (--model), unless another plugin has an option of that name.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from vsg_core.plugin.own_claims import collect_own_claims, early_folders, is_neighbour, joins
from vsg_core.projects import PLUGIN, loads_plugin
from vsg_core.runs.tuning import tune_process
from vsg_core.vocabulary import DTYPES, ENGINES, WEIGHTS

PREFIX = "--vsg-"
OPTIONS: dict[str, dict[str, Any]] = {
    "model": {
        "action": "append", "metavar": "NAME_OR_PATH", "dest": "vsg_models",
        "help": "run claims on this model: a registry name, a Hugging Face id, a folder, a .gguf file or "
        "openai:NAME@URL (repeatable)",
    },
    "dtype": {"choices": DTYPES, "help": "format of the weights"},
    "device": {
        "default": "auto", "metavar": "DEVICE", 
        "help": "cuda, mps or cpu (default: the first that this machine has; all cards for a model that none holds)",
    },
    "engine": {
        "choices": ENGINES, "help": "what computes (default: transformers; another's records have names of their own)",
    },
    "weights": {
        "choices": WEIGHTS,
        "help": "pack the weights with bitsandbytes (under a name of their own); as-is: use the kernels of a quantised "
        "file, on llama.cpp",
    },
    "thinking": {
        "choices": ["on", "off"], "help": "reasoning of chat formats (default: off, unless a claim asks)",
    },
    "trials": {
        "type": int, "metavar": "N", "help": "trials of each claim that draws from a pool (default: each claim's own)",
    },
    "record": {"action": "store_true", "help": "accept the verdicts measured by this run"},
    "resume": {
        "action": "store_true",
        "help": "run only the claims without a record under their present key; the others are shown from their records",
    },
    "require-models": {"action": "store_true", "help": "fail, not skip, claims that cannot run"},
    "on": {"metavar": "WHERE", "help": "run the claims in worker processes: local:N, ray or ray:ADDRESS"},
    "split": {
        "action": "store_true", "help": "cut the claims of a model into several shards, if --on has workers for them",
    },
    "shard-timeout": {
        "type": float, "metavar": "SECONDS", "help": "kill a worker of --on that ends no claim for so long",
    },
    "confirm": {
        "metavar": "NAME", "help": "run the claims of this freeze once, on fresh items; verdicts go to its ledger",
    },
    "nonce": {"metavar": "TEXT", "help": "the nonce that the freeze commits to, for --confirm"},
    "dry": {
        "action": "store_true",
        "help": "try each claim on a tiny random model: shapes and arms only, no verdicts, nothing is written",
    },
    "reports": {"metavar": "DIR", "help": "folder for records and reports (default: reports/)"},
    "claims": {
        "action": "append", "metavar": "DIR",
        "help": "folder of claims of your own, which join the project's (repeatable)",
    },
}  # fmt: skip
TAKE_PATHS = ("model", "reports", "claims")
# The short names of this run, those of other plugins left out.
SHORT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    group = parser.getgroup("claims", "claims about language models")
    for name, settings in OPTIONS.items():
        group.addoption(PREFIX + name, **_settings(name) | settings)
    group.addoption(
        f"{PREFIX}project",
        metavar="DIR",
        help="run the claims of this project and write into the current folder, as `vsg run` does",
    )
    # With autoloading off, conftest.py brings this plugin, and pytest_load_initial_conftests is already being called.
    if any(Path(name).name == "conftest.py" for name, _ in pluginmanager.list_name_plugin()):
        tune_process()
        _add_short_names(parser, pluginmanager.getplugin("pytestconfig"))


# Before conftest.py is looked for among the arguments, and after all other entry points have added their options.
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Add the short names and tune the process if this is a project of claims."""
    if early_config.pluginmanager.has_plugin(PLUGIN) or any(map(loads_plugin, _folders(early_config, args))):
        # Now, because conftest.py may load torch.
        tune_process()
        _add_short_names(parser, early_config)
        # Values of the short options are not paths of tests.
        given = parser.parse_known_args(args)
        early_config.known_args_namespace.file_or_dir = [
            *early_folders(early_config, given),
            *given.file_or_dir,
        ]


def _settings(name: str) -> dict[str, Any]:
    return {"dest": f"vsg_{name.replace('-', '_')}"}


def _add_short_names(parser: pytest.Parser, config: pytest.Config) -> None:
    if SHORT in config.stash:
        return
    group = parser.getgroup("claims")
    config.stash[SHORT] = []
    for name, settings in OPTIONS.items():
        explained = {"help": f"the same as {PREFIX}{name}"}
        try:
            group.addoption(f"--{name}", **_settings(name) | settings | explained)
        except (argparse.ArgumentError, ValueError):
            # Another plugin's; `check_names` refuses it where it may have been meant for claims.
            continue
        config.stash[SHORT].append(name)


def _folders(config: pytest.Config, args: Iterable[str]) -> set[Path]:
    """Every folder that is, or is above, the rootdir, the current folder or a path among the arguments."""
    start = config.invocation_params.dir
    paths = [start / value for arg in args if _exists(start / (value := re.sub("^--[^=]*=|::.*", "", arg)))]
    places = [config.rootpath, start, *paths]
    return {folder for place in places for folder in (place.resolve(), *place.resolve().parents)}


def _exists(path: Path) -> bool:
    """Return whether a path exists; one that is too long or may not be looked at does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | pytest.ExitCode | None:
    """Start over as `--model=PATH` where `--model PATH` names a path that exists.

    pytest determines its rootdir before plugin options are parsed, so it would treat the path as a test path and could
    miss pytest.ini and conftest.py.
    """
    # A worker of pytest-xdist has the rootdir of the process that started it.
    if hasattr(config, "workerinput"):
        return None
    collect_own_claims(config)
    takers = {PREFIX + name for name in TAKE_PATHS} | {
        f"--{name}" for name in config.stash.get(SHORT, []) if name in TAKE_PATHS
    }
    given = list(config.invocation_params.args)
    from_environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    joined, added = join_paths(given, takers), join_paths(from_environment, takers)
    if (joined, added) == (given, from_environment):
        return None
    with pytest.MonkeyPatch.context() as patch:
        if added:
            patch.setenv("PYTEST_ADDOPTS", shlex.join(added))
        return pytest.main(joined, plugins=config.invocation_params.plugins)


def join_paths(arguments: list[str], takers: Collection[str]) -> list[str]:
    """Join each existing path to the option that takes it."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in takers and _exists(Path(argument)):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if is_neighbour(config, collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Name claims outside the rootdir by their whole path, which the terminal shortens and a command line takes."""
    if not joins(parent.config) or module_path.is_relative_to(parent.config.rootpath):
        return None
    # pytest's own name would start at the folder that was given, and be shown as one in the rootdir.
    return pytest.Module.from_parent(parent, path=module_path, nodeid=str(module_path))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that nothing here would look at."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin(PLUGIN):
        return
    for word in _words(map(str, config.invocation_params.args)):
        if word.startswith(PREFIX):
            raise pytest.UsageError(f"{word}: there are no claims here, for no conftest.py loads {PLUGIN}")


def _words(arguments: Iterable[str]) -> set[str]:
    """The arguments without what follows a `=`."""
    return {argument.partition("=")[0] for argument in arguments}


def check_names(config: pytest.Config) -> None:
    """Check that no option meant for claims goes to another plugin that has an option of the same name.

    Raises:
        UsageError: one may have.
    """
    from_environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    words = _words([*config.getini("addopts"), *from_environment, *map(str, config.invocation_params.args)])
    for name in OPTIONS:
        if f"--{name}" in words and name not in config.stash.get(SHORT, []):
            raise pytest.UsageError(
                f"--{name} is an option of another plugin here, and claims would not see it: use {PREFIX}{name}"
            )
