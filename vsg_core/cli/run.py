"""`vsg run`: pytest on the claims of this package, from any folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST_ARGUMENTS]...")
def run(arguments: tuple[str, ...]) -> None:
    """Run claims: pytest with these arguments, in any folder.

    For example: vsg run --model gpt2 -k translate. In a clone this is the same as pytest. Elsewhere the claims that
    came with vsg run, joined by those in ./hypotheses (or in --claims DIR); records and the report are written to
    ./reports, and --record writes to ./hypotheses/recorded. The exit code is pytest's, and 10 where changed verdicts
    are the only failures.
    """
    from vsg_core.projects import INSTALLED, pytest_command

    command = pytest_command(arguments, Path.cwd())
    environment = dict(os.environ)
    if INSTALLED.is_dir():
        # Nothing is written into an installed package.
        environment.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.stdout.flush()
    os.execve(command[0], command, environment)
