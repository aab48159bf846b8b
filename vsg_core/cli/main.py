"""The command `vsg`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from vsg_core.cli.concept import concept
from vsg_core.errors import VsgError, WrongUse

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="vector-space-generation")
def vsg() -> None:
    """Claims about concept tokens, judged on real language models."""


@vsg.group(invoke_without_command=True)
@as_json
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models of the registry, and whether their weights are here."""
    if context.invoked_subcommand:
        return
    from vsg_core.weights import loading, registry

    rows = [
        {
            "name": entry.name,
            "family": entry.family,
            "kind": entry.kind,
            "sources": [str(source) for source in entry.sources],
            "size": entry.size,
            "size_approx": entry.size_approx,
            "parameters": entry.parameters,
            "licence": entry.licence,
            "revision": entry.revision,
            "sha256": entry.sha256,
            "named_only": entry.named_only,
            "here": loading.weights_here(entry),
        }
        for entry in registry.entries()
    ]
    if as_json:
        _print_json(rows)
    else:
        _print_models(rows)


@models.command()
@click.argument("name")
@as_json
def fetch(name: str, as_json: bool) -> None:
    """Get the weights of a model: NAME of the registry, or a Hugging Face id.

    They are verified by sha256. What was complete when a fetch was stopped is not fetched again.
    """
    from dataclasses import asdict

    from vsg_core.weights import loading, sources

    weights = sources.get(loading.describe(name))
    if as_json:
        _print_json(asdict(weights) | {"folder": str(weights.folder)})
    else:
        which = f"sha256 {weights.sha256}" if weights.sha256 else f"revision {weights.revision}"
        click.echo(f"{name} is here, from {weights.source} ({which}): {weights.folder}")


@vsg.command()
@as_json
@click.option("--claims", "folder", default="hypotheses", help="Folder of claims.", show_default=True)
def claims(as_json: bool, folder: str) -> None:
    """List every claim: its statement, source, rule and the kinds of model it is for. No model is loaded."""
    from vsg_core.judge.claims import load_claims

    if not Path(folder).is_dir():
        raise WrongUse(
            f"there is no folder {folder!r} here: run it in the project's folder, or give --claims"
        )
    rows: list[dict[str, Any]] = [
        {
            "id": claim.id,
            "question": claim.question,
            "statement": claim.statement,
            "source": claim.source,
            "link": claim.link,
            "reported": claim.reported,
            "rule": claim.rule_text,
            "kinds": list(claim.kinds),
            "headline": claim.headline,
        }
        for claim in load_claims(folder)
    ]
    if as_json:
        return _print_json(rows)
    for row in rows:
        click.secho(row["id"] + (" (headline)" if row["headline"] else ""), bold=True)
        click.echo(f"  {row['statement']}")
        for label in ("source", "reported", "rule"):
            click.echo(f"  {label + ':':10}{row[label]}")
        click.echo(f"  kinds:    {', '.join(row['kinds'])}\n")


@vsg.command()
@as_json
@click.option("--reports", "folder", default="reports", help="Folder of reports.", show_default=True)
def report(as_json: bool, folder: str) -> None:
    """Build the claim report again from the records in FOLDER/records, and print its path.

    Beside the page it writes claims.json, claims.csv and summary.md.
    """
    from vsg_core.records.files import read_records
    from vsg_core.report import write_report
    from vsg_core.report.text.summary import write_neighbours

    records = read_records(Path(folder) / "records")
    if not records:
        raise VsgError(f"no records in {Path(folder) / 'records'}: run pytest first, or give --reports")
    page = write_report(records, folder)
    write_neighbours(records, folder)
    if as_json:
        _print_json({"page": str(page), "records": len(records)})
    else:
        click.echo(page)


@vsg.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@as_json
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page to this file as well.")
def diff(a: Path, b: Path, as_json: bool, page: Path | None) -> None:
    """Compare two runs, A with B: which verdicts flipped, which estimates moved, what is new, what is gone.

    A and B are folders of reports, or of records.
    """
    from vsg_core.report.diff import compare_runs, diff_text, write_diff
    from vsg_core.report.text.claim_table import read_run

    found, names = compare_runs(read_run(a), read_run(b)), (str(a), str(b))
    if page:
        write_diff(found, names, page)
    if as_json:
        _print_json(found.as_json())
    else:
        click.echo(diff_text(found, names))
        if page:
            click.echo(f"\npage: {page}")


@vsg.command()
@click.argument("name", type=click.Choice(["record", "claims"]))
def schema(name: str) -> None:
    """Print the JSON schema of a record, or of claims.json."""
    from vsg_core.records.schemas import SCHEMAS

    _print_json(SCHEMAS[name]())


@vsg.command()
@click.option("--headline", is_flag=True, help="Only the headline claims.")
@click.option("--short", is_flag=True, help="Verdicts and estimates, without intervals.")
def table(headline: bool, short: bool) -> None:
    """Print the recorded verdicts as Markdown tables, claims by models."""
    from vsg_core.report.text.recorded_table import recorded_table

    click.echo(recorded_table(Path("hypotheses"), Path("hypotheses") / "recorded", headline, short))


vsg.add_command(concept)


def main() -> None:
    """Run the command; faults are one line on stderr, exit codes 0 done, 1 failed, 2 wrong use."""
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


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=1, ensure_ascii=False))


def _print_models(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from vsg_core.weights.cache import bytes_text

    columns = ("name", "family", "kind", "source", "size", "licence", "here")
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        shown = {
            **row,
            "source": "\n".join(row["sources"]),
            "size": ("~" if row["size_approx"] else "") + bytes_text(row["size"]),
            "here": "yes" if row["here"] else "no",
        }
        table.add_row(*(shown[column] for column in columns))
    # a pipe has no width of its own: rows stay whole in it
    Console(width=None if sys.stdout.isatty() else 200).print(table)
