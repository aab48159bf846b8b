"""`vsg claims`: the list of claims, read from their files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vsg_core.cli.printing import as_json, print_json
from vsg_core.errors import WrongUse


@click.command()
@as_json
@click.option("--claims", "folder", default="hypotheses", help="Folder of claims.", show_default=True)
def claims(as_json: bool, folder: str) -> None:
    """List every claim with its statement, source, rule and kinds of model, without loading a model."""
    from vsg_core.judge.claims import load_claims

    if not Path(folder).is_dir():
        raise WrongUse(f"there is no folder {folder!r}: run this in the project's folder, or give --claims")
    rows: list[dict[str, Any]] = [
        {
            "id": claim.id,
            "question": claim.question,
            "statement": claim.statement,
            "source": claim.source.text,
            "link": claim.source.link,
            "reported": claim.reported,
            "rule": claim.rule_text,
            "kinds": list(claim.kinds),
            "headline": claim.headline,
        }
        for claim in load_claims(folder)
    ]
    if as_json:
        return print_json(rows)
    for row in rows:
        click.secho(row["id"] + (" (headline)" if row["headline"] else ""), bold=True)
        click.echo(f"  {row['statement']}")
        for label in ("source", "reported", "rule"):
            click.echo(f"  {label + ':':10}{row[label]}")
        click.echo(f"  kinds:    {', '.join(row['kinds'])}\n")
