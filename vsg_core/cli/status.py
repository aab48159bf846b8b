"""`vsg status`: what is measured, stale and missing."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import (
    as_json,
    device,
    dtype,
    engine,
    own_claims,
    print_json,
    reports_option,
    thinking,
    weights,
)

if TYPE_CHECKING:
    from vsg_core.runs.status import ModelStatus


@click.command()
@as_json
@own_claims
@reports_option
@click.option(
    "--model", "models", multiple=True, metavar="NAME_OR_PATH",
    help="Only this model: a registry name, a Hugging Face id, a folder or a .gguf file (repeatable).",
)  # fmt: skip
@dtype
@device
@engine
@weights
@thinking
@click.option(
    "--freeze", metavar="NAME",
    help="Estimate for each model how long confirming this freeze will take, in place of the rest.",
)  # fmt: skip
def status(
    as_json: bool, given: tuple[str, ...], reports: str, models: tuple[str, ...],
    dtype: str | None, device: str, engine: Any, weights: Any, thinking: str | None,
    freeze: str | None,
) -> None:  # fmt: skip
    """List for each model what is measured, stale or missing, and how long `pytest --resume` will take.

    A record is stale if anything that its verdict rests on has changed since. Times are those of earlier records.
    """
    from vsg_core.projects import claim_folders, option_words
    from vsg_core.runs.status import Status

    folders = tuple(claim_folders(Path.cwd(), given))
    if freeze is not None:
        return _to_confirm(freeze, folders, Path(reports), as_json)
    found = Status(folders, Path(reports), weights, dtype, device, thinking, engine).models(models)
    if as_json:
        return print_json({"models": [each.as_json() for each in found]})
    places = [word for folder in given for word in option_words({"--claims": folder})]
    places += option_words({"--reports": reports if reports != "reports" else None})
    on = {"--dtype": dtype, "--device": device if device != "auto" else None}
    how = option_words({**on, "--engine": engine, "--weights": weights, "--thinking": thinking})
    for each in found:
        click.secho(each.model, bold=True)
        for line in _lines(each, [*how, *places] if each.target else places):
            click.echo(f"  {line}")


def _to_confirm(name: str, folders: tuple[Path, ...], reports: Path, as_json: bool) -> None:
    """Print how long confirming a freeze takes; without records in `reports`, by those of the recorded example."""
    from vsg_core.judge.claims import load_claims
    from vsg_core.projects import EXAMPLE, option_words, run_command
    from vsg_core.records.files import FOLDER
    from vsg_core.records.registered import read_registration
    from vsg_core.registration.duration import Durations
    from vsg_core.registration.freezing import registered_folder
    from vsg_core.runs.estimates import duration_text
    from vsg_core.runs.keys import Project
    from vsg_core.vocabulary import FIRST_ENGINE

    freeze = read_registration(registered_folder(folders), name).freeze
    root = folders[0].parent
    measured = reports if (reports / FOLDER).is_dir() else root / EXAMPLE
    found = Durations(freeze, load_claims(*folders), Project(root, folders), measured).expected()
    if as_json:
        return print_json({
            "freeze": name,
            "models": [
                {
                    "model": each.model.name,
                    "engine": each.model.engine,
                    "claims": each.claims,
                    "seconds": round(each.seconds, 1),
                    "unknown": each.unknown,
                }
                for each in found
            ],
        })  # fmt: skip
    for each in found:
        unknown = f", and {len(each.unknown)} of unknown duration" if each.unknown else ""
        click.echo(f"{each.model.name}: {each.claims} claims, about {duration_text(each.seconds)}{unknown}")
    for which in dict.fromkeys(each.model.engine for each in found):
        on = option_words({"--engine": which if which != FIRST_ENGINE else None})
        click.echo(shlex.join([*run_command().split(), "--confirm", name, "--nonce", "NONCE", *on]))


def _lines(status: ModelStatus, options: list[str]) -> list[str]:
    lines = [", ".join(f"{count} {state}" for state, count in status.counts.items())]
    lines += [f"stale: {reason} ({count})" for reason, count in status.stale_reasons]
    return [*lines, *([_to_run(status, options)] if status.to_run else [])]


def _to_run(status: ModelStatus, options: list[str]) -> str:
    """The estimated time, and the command that measures all the rest, with these further options."""
    from vsg_core.projects import option_words, run_command
    from vsg_core.runs.estimates import duration_text

    known = status.to_run - status.unknown
    times = [f"about {duration_text(status.seconds)}"] if known else []
    if status.unknown:
        times.append(f"{'and ' if known else ''}{status.unknown} of unknown duration")
    which = option_words({"--model": status.target}) or ["-m", "across"]
    command = shlex.join([*run_command().split(), "--resume", *which, *options])
    return f"to run: {status.to_run}, {', '.join(times)}: {command}"
