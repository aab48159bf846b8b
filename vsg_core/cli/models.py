"""`vsg models`: the models in the registry, and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vsg_core.cli.printing import as_json, paragraph, print_json, print_table, table_width, width

# In the order of the table. In a narrow terminal the columns with the highest numbers are left out first.
COLUMNS = {"name": 0, "family": 6, "kind": 4, "form": 2, "size": 1, "source": 5, "local": 3, "licence": 7}


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models in the registry, and whether their weights are on this machine."""
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
            "note": entry.note,
            "here": loading.weights_here(entry),
        }
        for entry in registry.entries()
    ]
    if as_json:
        print_json(rows)
    else:
        _print_models(rows)


@models.command()
@click.argument("name")
@as_json
def fetch(name: str, as_json: bool) -> None:
    """Download the weights of a model.

    NAME is a name in the registry or a Hugging Face id: OWNER/NAME, or OWNER/NAME@REVISION; BASE+ADAPTER for both of
    a model and its adapter. They are verified by sha256. An interrupted download is resumed.
    """
    from vsg_core.weights import loading, sources

    weights = sources.get(loading.describe(name))
    if as_json:
        print_json(weights.identity | {"folder": str(weights.folder)})
    else:
        which = f"sha256 {weights.sha256}" if weights.sha256 else f"revision {weights.revision}"
        form = weights.form.form
        click.echo(f"{name} is ready: {form}, from {weights.source} ({which}): {weights.folder}")


def _print_models(rows: list[dict[str, Any]]) -> None:
    cells = [_cells(row) for row in rows]
    kept = list(COLUMNS)
    while len(kept) > 1 and table_width(kept, _columns(cells, kept)) > width():
        kept.remove(max(kept, key=COLUMNS.__getitem__))
    print_table(kept, _columns(cells, kept), right=["size"])
    hidden = [column for column in COLUMNS if column not in kept]
    if hidden:
        names = ", ".join(hidden)
        click.echo()
        click.echo(
            paragraph(f"Columns left out to fit {width()} columns: {names}. --json prints everything.")
        )


def _columns(cells: list[dict[str, str]], kept: list[str]) -> list[list[str]]:
    return [[row[column] for column in kept] for row in cells]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Format a row as text by column; of the sources only their kinds."""
    from vsg_core.weights.cache import bytes_text

    return {
        "name": row["name"],
        "family": row["family"],
        "kind": row["kind"],
        "form": row["form"] or "?",
        "size": ("~" if row["size_approx"] else "") + bytes_text(row["size"]),
        "source": ", ".join(source.split()[0] for source in row["sources"]),
        "local": "yes" if row["here"] else "no",
        "licence": row["licence"],
    }
