"""The command line options. An entry point, since they must be known before pytest loads conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest

TAKE_PATHS = ("--model", "--reports")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claims", "claims about language models")
    group.addoption(
        "--model", action="append", metavar="NAME_OR_PATH", dest="models",
        help="run on this model: a registry name, a Hugging Face id, a folder or a .gguf file (repeatable)",
    )  # fmt: skip
    group.addoption("--dtype", choices=["float32", "bfloat16", "float16"], help="format of the weights")
    group.addoption("--device", default="auto", help="cuda, mps or cpu (default: the first of them there is)")
    group.addoption("--record", action="store_true", help="accept the verdicts measured by this run")
    group.addoption("--require-models", action="store_true", help="fail, not skip, what cannot run")
    group.addoption("--reports", metavar="DIR", help="folder for records and reports (default: reports/)")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | pytest.ExitCode | None:
    """Start over as `--model=PATH` where `--model PATH` names a path that exists.

    pytest determines its rootdir before plugin options are parsed, so it would treat the path as a test path and could
    miss pytest.ini and conftest.py.
    """
    arguments = list(config.invocation_params.args)
    joined = join_paths(arguments)
    if joined == arguments:
        return None
    return pytest.main(joined, plugins=config.invocation_params.plugins)


def join_paths(arguments: list[str]) -> list[str]:
    """Join each existing path to the option that takes it."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in TAKE_PATHS and Path(argument).exists():
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
