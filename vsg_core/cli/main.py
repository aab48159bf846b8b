"""The command `vsg`: its subcommands; an error is reported as one line and an exit code."""

from __future__ import annotations

import sys

import click

from vsg_core.cli.claims import claims
from vsg_core.cli.concept import concept
from vsg_core.cli.models import models
from vsg_core.cli.reports import diff, report, schema, table
from vsg_core.errors import VsgError, WrongUse


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="vector-space-generation")
def vsg() -> None:
    """Claims about concept tokens, judged on real language models."""


for command in (models, claims, report, diff, schema, table, concept):
    vsg.add_command(command)


def main() -> None:
    """Run the command. An error is one line on stderr; the exit code is 0 for done, 1 for failed, 2 for wrong use."""
    try:
        code = vsg.main(standalone_mode=False)
    except WrongUse as error:
        code = _complain(str(error), 2)
    except VsgError as error:
        code = _complain(str(error), 1)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _complain("stopped", 130)
    sys.exit(code)


def _complain(message: str, code: int) -> int:
    click.echo(f"vsg: {message}", err=True)
    return code
