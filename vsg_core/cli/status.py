"""`vsg status`: what is measured, stale and missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsg_core.cli.printing import as_json, print_json
from vsg_core.errors import WrongUse

if TYPE_CHECKING:
    from vsg_core.runs.status import ModelStatus


@click.command()
@as_json
@click.option("--model", "models", multiple=True, help="Only this model, as pytest takes it (repeatable).")
@click.option("--claims", "folder", default="hypotheses", help="Folder of claims.", show_default=True)
@click.option("--reports", default="reports", help="Folder of reports.", show_default=True)
@click.option("--dtype", help="Format of the weights, as pytest takes it.")
@click.option("--device", default="auto", help="cuda, mps or cpu, as pytest takes it.", show_default=True)
def status(
    as_json: bool, models: tuple[str, ...], folder: str, reports: str, dtype: str | None, device: str
) -> None:
    """List for each model what is measured, stale or missing, and how long `pytest --resume` will take.

    A record is stale if anything that its verdict rests on has changed since. Times are those of earlier records.
    """
    from vsg_core.runs.status import Status

    if not Path(folder).is_dir():
        raise WrongUse(f"there is no folder {folder!r}: run this in the project's folder, or give --claims")
    found = Status(Path(folder), Path(reports), dtype, device).models(models)
    if as_json:
        return print_json({"models": [each.as_json() for each in found]})
    for each in found:
        click.secho(each.model, bold=True)
        for line in _lines(each):
            click.echo(f"  {line}")


def _lines(status: ModelStatus) -> list[str]:
    counts = {"measured": status.measured, "stale": status.stale, "missing": status.missing}
    lines = [", ".join(f"{len(claims)} {name}" for name, claims in counts.items())]
    why = Counter(reason for reasons in status.stale.values() for reason in reasons)
    lines += [f"stale: {reason} ({count})" for reason, count in why.most_common()]
    return [*lines, *([_to_run(status)] if status.to_run else [])]


def _to_run(status: ModelStatus) -> str:
    """The estimated time, and the command that measures what is stale or missing."""
    from vsg_core.runs.estimates import duration_text

    known = status.to_run - status.unknown
    times = [f"about {duration_text(status.seconds)}"] if known else []
    if status.unknown:
        times.append(f"{'and ' if known else ''}{status.unknown} of unknown duration")
    options = ["--model", status.target] if status.target else ["-m", "across"]
    return f"to run: {status.to_run}, {', '.join(times)}: pytest --resume {' '.join(map(_quoted, options))}"


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
