"""`vsg merge`: the records of several people or machines in one folder of reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import as_json, print_json

if TYPE_CHECKING:
    from vsg_core.records.history import Repeats
    from vsg_core.records.merging import Merged
    from vsg_core.records.record import Record


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option(
    "--into", required=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of reports that gets the runs; it is made if it is missing.",
)  # fmt: skip
@as_json
def merge(places: tuple[Path, ...], into: Path, as_json: bool) -> None:
    """Merge the runs in DIR... into one folder of reports, and build its page.

    DIR is a folder of reports, a folder of records, or an archive of records, of schema 1 or 2. Every run is kept in
    history/. records/ has the last finding of each claim on each model; models that differ in weights, form, engine or
    dtype have names of their own. A verdict is not reproduced where another run with the same rule, seed, weights,
    form, engine and dtype has a different one.
    """
    from vsg_core.errors import WrongUse
    from vsg_core.projects import real_path
    from vsg_core.records.confirmations import project_confirmations
    from vsg_core.records.files import read_reports
    from vsg_core.records.history import read_repeats
    from vsg_core.records.merging import merge
    from vsg_core.report import report_of, write_report
    from vsg_core.report.text.summary import write_neighbours

    if own := [place for place in places if real_path(place) == real_path(into)]:
        raise WrongUse(f"{own[0]} is the folder of --into, whose runs are kept anyway: give other folders")
    merged = merge(places, into)
    records = read_reports(into)
    run = report_of(records, read_repeats(into, records), project_confirmations(Path.cwd()))
    page = write_report(run, into)
    write_neighbours(run, into)
    if as_json:
        print_json(_as_json(merged, into, page))
    else:
        _print(merged, len(places), into, page)


def _print(merged: Merged, places: int, into: Path, page: Path) -> None:
    from vsg_core.report.view.repeats import differing_texts, run_text
    from vsg_core.wording import count_text

    repeats = merged.repeats
    cells = count_text(len(merged.cells), "cell")
    click.echo(
        f"{count_text(places, 'set')} merged into {into}: {merged.runs} runs of {cells}, {merged.new} new"
    )
    repeated = [each for each in repeats if each.others]
    if repeated:
        same = [each for each in repeated if each.reproduced]
        click.echo(f"repeated: {count_text(len(repeated), 'cell')}, with the same verdict {len(same)}")
    differing = [each for each in repeated if each.differing]
    if differing:
        click.secho("not reproduced:", bold=True)
    for each in differing:
        record = each.shown
        click.echo(f"  {record.claim.id} on {record.model.name}: {run_text(record)}")
        for text in differing_texts(each):
            click.echo(f"      another run: {text}")
    click.echo(f"page: {page}")


def _as_json(merged: Merged, into: Path, page: Path) -> dict[str, Any]:
    return {
        "into": str(into),
        "page": str(page),
        "runs": merged.runs,
        "new": merged.new,
        "cells": [
            _cell(repeats, runs) for repeats, (_, runs) in zip(merged.repeats, merged.cells, strict=True)
        ],
    }


def _cell(repeats: Repeats, runs: Any) -> dict[str, Any]:
    record = repeats.shown
    return {
        "claim": record.claim.id,
        "model": record.model.name,
        "weights": record.weights,
        "weights_form": record.model.form,
        "engine": record.evidence.engine,
        **_run(record),
        "runs": len(runs),
        "reproduced": repeats.reproduced,
        "differing": [_run(other) for other in repeats.differing],
    }


def _run(record: Record) -> dict[str, Any]:
    found, run = record.evidence, record.run
    return {
        "verdict": record.verdict,
        "estimate": found.estimate,
        "interval": found.interval,
        "n": found.n,
        "dtype": found.dtype,
        "started": run.started.isoformat(),
        "commit": run.commit,
        "dirty": run.dirty,
        "device": run.device,
        "machine": run.machine,
        "versions": run.versions,
    }
