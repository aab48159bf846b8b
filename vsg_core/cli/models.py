"""`vsg models`: the models in the registry, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import click

from vsg_core.cli.printing import as_json, paragraph, print_json, print_table, table_width, width

# In the order of the table. In a narrow terminal the columns with the highest numbers are left out first. 80 columns
# have room for all but the source, which `vsg models fetch` chooses and only a wide terminal shows.
COLUMNS = {"name": 0, "family": 5, "kind": 3, "form": 2, "size": 1, "licence": 4, "source": 6}


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Describe the models that are not downloaded, too.")
@as_json
@click.pass_context
def models(context: click.Context, everything: bool, as_json: bool) -> None:
    """List the models in the registry: those on this machine, then the names of the others."""
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
            "form": entry.form,
            "series": entry.series,
            "quantised": entry.quantised,
            "named_only": entry.named_only,
            "here": loading.weights_here(entry),
        }
        for entry in registry.entries()
    ]
    if as_json:
        print_json(rows)
    else:
        local, others = ([row for row in rows if row["here"] is here] for here in (True, False))
        hidden = [*_print_local(local), *_print_others(others, everything)]
        if hidden:
            names = ", ".join(dict.fromkeys(hidden))
            note = f"Columns left out to fit {width()} columns: {names}. --json prints everything."
            click.echo(f"\n{paragraph(note)}")


@models.command()
@click.argument("name")
@as_json
def fetch(name: str, as_json: bool) -> None:
    """Download the weights of a model.

    NAME is a name in the registry or a Hugging Face id: OWNER/NAME, or OWNER/NAME@REVISION. They are verified by
    sha256. An interrupted download is resumed.
    """
    from vsg_core.weights import loading, sources

    weights = sources.get(loading.describe(name))
    if as_json:
        print_json(weights.identity | {"folder": str(weights.folder)})
    else:
        which = f"sha256 {weights.sha256}" if weights.sha256 else f"revision {weights.revision}"
        form = weights.form.form
        click.echo(f"{name} is ready: {form}, from {weights.source} ({which}): {weights.folder}")


def _print_local(rows: list[dict[str, Any]]) -> list[str]:
    """Print the models on this machine; returns the columns that did not fit."""
    if rows:
        return _print_table(rows)
    click.echo("No model is downloaded.")
    return []


def _print_others(rows: list[dict[str, Any]], everything: bool) -> list[str]:
    """Name the models that are not on this machine, or describe each; returns the columns that did not fit."""
    if not rows:
        return []
    click.echo()
    if everything:
        click.echo(paragraph(f"{len(rows)} more, not downloaded; to get one: vsg models fetch NAME") + "\n")
        return _print_table(rows)
    names = ", ".join(row["name"] for row in rows)
    click.echo(paragraph(f"{len(rows)} more, not downloaded: {names}. --all describes them."))
    return []


def _print_table(rows: list[dict[str, Any]]) -> list[str]:
    """Print models as a table that fits the terminal; returns the columns that did not, except the source."""
    cells = [_cells(row) for row in rows]
    kept = list(COLUMNS)
    while len(kept) > 1 and table_width(kept, _columns(_with_licence(cells, 1), kept)) > width():
        kept.remove(max(kept, key=COLUMNS.__getitem__))
    # The licence gets the columns that the rest of the table leaves.
    others = table_width(kept, _columns([row | {"licence": ""} for row in cells], kept)) - len("licence")
    print_table(kept, _columns(_with_licence(cells, width() - others), kept), right=["size"])
    return [column for column in COLUMNS if column not in [*kept, "source"]]


def _with_licence(cells: list[dict[str, str]], columns: int) -> list[dict[str, str]]:
    """Break each licence between words into lines of at most this many columns, as far as its words allow."""
    lines = [
        wrap(row["licence"], max(columns, 1), break_long_words=False, break_on_hyphens=False) for row in cells
    ]
    return [row | {"licence": "\n".join(licence)} for row, licence in zip(cells, lines, strict=True)]


def _columns(cells: list[dict[str, str]], kept: list[str]) -> list[list[str]]:
    return [[row[column] for column in kept] for row in cells]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Format a row as text by column; of the sources only their kinds."""
    return {
        "name": row["name"],
        "family": row["family"],
        "kind": row["kind"],
        "form": row["form"] or "?",
        "size": ("~" if row["size_approx"] else "") + _size_text(row["size"]),
        "source": ", ".join(source.split()[0] for source in row["sources"]),
        "licence": row["licence"],
    }


def _size_text(count: int | None) -> str:
    """A number of bytes to two or three digits: 98 MB, 1.1 GB."""
    from vsg_core.weights.cache import bytes_text

    if count is None:
        return "?"
    number, unit = bytes_text(count).split()
    return f"{number if float(number) < 10 else round(float(number))} {unit}"
