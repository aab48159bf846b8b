"""`vsg report`, `vsg diff`, `vsg table` and `vsg schema`: records turned into pages, tables and text."""

from __future__ import annotations

from pathlib import Path

import click

from vsg_core.cli.printing import as_json, own_claims, print_json, reports_option
from vsg_core.errors import VsgError


@click.command()
@as_json
@reports_option
@click.option("--archive", is_flag=True, help="Also pack all records into DIR/records.zip.")
def report(as_json: bool, reports: str, archive: bool) -> None:
    """Build the claim report from the records in DIR/records or DIR/records.zip, and print its path.

    claims.json, claims.csv and summary.md are written next to it. Which verdicts are confirmed is read from the project
    that the current folder is in.
    """
    from vsg_core.collector import no_collection
    from vsg_core.projects import run_command
    from vsg_core.records.confirmations import project_confirmations
    from vsg_core.records.files import ARCHIVE, read_reports, write_archive
    from vsg_core.records.history import read_history, read_repeats
    from vsg_core.report import report_of, write_report
    from vsg_core.report.text.summary import write_neighbours

    with no_collection():
        records = read_reports(reports)
        if not records:
            raise VsgError(
                f"no records in {Path(reports) / 'records'}: make some with `{run_command()}`, or give --reports"
            )
        if archive:
            write_archive(records, Path(reports, ARCHIVE), read_history(reports))
        run = report_of(records, read_repeats(reports, records), project_confirmations(Path.cwd()))
        page = write_report(run, reports)
        write_neighbours(run, reports)
    if as_json:
        print_json({"page": str(page), "records": len(records)})
    else:
        click.echo(page)


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option(
    "--across-engines", is_flag=True,
    help="Compare the engines of each model, MODEL and MODEL+llama.cpp, in A and B together.",
)  # fmt: skip
@as_json
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write a page to this file.")
def diff(a: Path, b: Path | None, across_engines: bool, as_json: bool, page: Path | None) -> None:
    """Compare two runs, A and B: verdicts that flipped, estimates that moved, claims that are new or gone.

    A and B are folders of reports, folders of records, or archives of records. With A alone, or with --across-engines,
    the records of two engines are compared: which verdicts of the first the second one replicates.
    """
    from vsg_core.records.files import read_run
    from vsg_core.report.diff import compare_engines, compare_runs, diff_text, engines_text, write_diff

    if b is None or across_engines:
        if page:
            raise click.UsageError("--html compares two runs: `vsg report` shows engines next to each other")
        engines = compare_engines([record for run in (a, b) if run for record in read_run(run)])
        return print_json(engines.as_json()) if as_json else click.echo(engines_text(engines))
    differences, names = compare_runs(read_run(a), read_run(b)), (str(a), str(b))
    if page:
        write_diff(differences, names, page)
    if as_json:
        print_json(differences.as_json())
    else:
        click.echo(diff_text(differences, names))
        if page:
            click.echo(f"\npage: {page}")


@click.command()
@click.argument("name", type=click.Choice(["record", "claims"]))
def schema(name: str) -> None:
    """Print the JSON schema of a record or of claims.json."""
    from vsg_core.records.schemas import SCHEMAS

    print_json(SCHEMAS[name]())


@click.command()
@click.option("--headline", is_flag=True, help="Print only the headline claims.")
@click.option("--short", is_flag=True, help="Print verdicts and estimates without intervals.")
@click.option(
    "--engines", is_flag=True,
    help="Print the verdicts of both engines of a model instead, and which of them the second one replicates.",
)  # fmt: skip
@own_claims
def table(headline: bool, short: bool, engines: bool, given: tuple[str, ...]) -> None:
    """Print the recorded verdicts as Markdown tables, claims by models."""
    from vsg_core.projects import RECORDED, claim_folders
    from vsg_core.report.text.recorded_table import recorded_table
    from vsg_core.report.text.replication_table import replication_table

    claims, *own = claim_folders(Path.cwd(), given)
    if engines:
        return click.echo(replication_table(claims, claims / RECORDED, own=own))
    click.echo(recorded_table(claims, claims / RECORDED, headline, short, own))
