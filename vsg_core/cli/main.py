"""The command `vsg`: its subcommands; an error is reported as one line and an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from vsg_core.cli.claims import claims
from vsg_core.cli.concept import concept
from vsg_core.cli.freeze import freeze
from vsg_core.cli.merge import merge
from vsg_core.cli.models import models
from vsg_core.cli.new import new
from vsg_core.cli.printing import flush_errors, open_output, os_error_text
from vsg_core.cli.publish import publish
from vsg_core.cli.reports import diff, report, schema, table
from vsg_core.cli.run import run
from vsg_core.cli.status import status
from vsg_core.cli.verify import verify
from vsg_core.errors import VsgError, WrongUse
from vsg_core.runs.tuning import tune_process


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="vector-space-generation")
def vsg() -> None:
    """Claims about concept tokens, judged on real language models."""


for command in (
    run, new, models, claims, status, report, diff, merge, publish, freeze, verify, schema, table, concept,
):  # fmt: skip
    vsg.add_command(command)


def main() -> None:
    """Run the command. An error is one line on stderr; the exit code is 0 for done, 1 for failed, 2 for wrong use.

    As with other tools, a reader that closes the pipe ends the command silently, with the code of SIGPIPE.
    """
    # Before any command loads torch.
    tune_process()
    try:
        with open_output():
            code = _run()
    except BrokenPipeError:
        code = 128 + 13
    except OSError as error:
        code = _complain(os_error_text(error), 1)
    flush_errors()
    sys.exit(code)


def _run() -> int:
    try:
        code = vsg.main(standalone_mode=False)
    except WrongUse as error:
        return _complain(str(error), 2)
    except VsgError as error:
        return _complain(str(error), 1)
    except click.ClickException as error:
        # Where stderr cannot be written either, the exit code is all there is.
        with suppress(OSError):
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _complain("stopped", 130)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    with suppress(OSError):
        click.echo(f"vsg: {message}", err=True)
    return code
