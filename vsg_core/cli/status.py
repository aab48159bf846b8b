"""`vsg status`: what is measured, stale and missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import as_json, own_claims, print_json

if TYPE_CHECKING:
    from vsg_core.runs.status import ModelStatus


@click.command()
@as_json
@own_claims
@click.option("--model", "models", multiple=True, help="Only this model, as pytest takes it (repeatable).")
@click.option("--reports", default="reports", help="Folder of reports.", show_default=True)
@click.option("--weights", type=click.Choice(["nf4", "int8"]), help="Packing of the weights.")
@click.option("--dtype", help="Format of the weights, as pytest takes it.")
@click.option("--device", default="auto", help="cuda, mps or cpu, as pytest takes it.", show_default=True)
@click.option("--thinking", type=click.Choice(["on", "off"]), help="The reasoning of the chat format.")
def status(
    as_json: bool, given: tuple[str, ...], models: tuple[str, ...], reports: str, weights: Any,
    dtype: str | None, device: str, thinking: str | None,
) -> None:  # fmt: skip
    """List for each model what is measured, stale or missing, and how long `pytest --resume` will take.

    A record is stale if anything that its verdict rests on has changed since. Times are those of earlier records.
    """
    from vsg_core.projects import claim_folders
    from vsg_core.runs.status import Status

    folders = tuple(claim_folders(Path.cwd(), given))
    found = Status(folders, Path(reports), weights, dtype, device, thinking).models(models)
    if as_json:
        return print_json({"models": [each.as_json() for each in found]})
    chosen = {"weights": weights, "dtype": dtype, "device": device, "thinking": thinking, "reports": reports}
    usual = {"device": "auto", "reports": "reports"}
    choices = [
        *(part for name, value in chosen.items() if value != usual.get(name) for part in (f"--{name}", value)),
        *(part for name in given for part in ("--claims", name)),
    ]  # fmt: skip
    for each in found:
        click.secho(each.model, bold=True)
        for line in _lines(each, choices):
            click.echo(f"  {line}")


def _lines(status: ModelStatus, choices: list[str]) -> list[str]:
    counts = {"measured": status.measured, "stale": status.stale, "missing": status.missing}
    lines = [", ".join(f"{len(claims)} {name}" for name, claims in counts.items())]
    why = Counter(reason for reasons in status.stale.values() for reason in reasons)
    lines += [f"stale: {reason} ({count})" for reason, count in why.most_common()]
    return [*lines, *([_to_run(status, choices)] if status.to_run else [])]


def _to_run(status: ModelStatus, choices: list[str]) -> str:
    """The estimated time, and the command that measures what is stale or missing."""
    from vsg_core.projects import run_command
    from vsg_core.runs.estimates import duration_text

    known = status.to_run - status.unknown
    times = [f"about {duration_text(status.seconds)}"] if known else []
    if status.unknown:
        times.append(f"{'and ' if known else ''}{status.unknown} of unknown duration")
    options = ["--model", status.target] if status.target else ["-m", "across"]
    options += choices
    return f"to run: {status.to_run}, {', '.join(times)}: {run_command()} --resume {' '.join(map(_quoted, options))}"


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
