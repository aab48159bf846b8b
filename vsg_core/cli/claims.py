"""`vsg claims`: the list of claims, read from their files alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from vsg_core.cli.printing import as_json, own_claims, print_json


@click.command()
@as_json
@own_claims
def claims(as_json: bool, given: tuple[str, ...]) -> None:
    """List every claim with its statement, source, rule and kinds of model, without loading a model."""
    from vsg_core.judge.claims import load_claims
    from vsg_core.projects import claim_folders

    folders = claim_folders(Path.cwd(), given)
    in_text = _asking_for_text(folders)
    rows: list[dict[str, Any]] = [
        {
            "id": claim.id,
            "question": claim.question,
            "statement": claim.statement,
            "source": claim.source.text,
            "link": claim.source.link,
            "reported": claim.reported,
            "rule": claim.rule_text,
            "no_control": claim.no_control,
            "kinds": list(claim.kinds),
            "headline": claim.headline,
            "status": claim.status,
            "hosted": claim.id in in_text,
        }
        for claim in load_claims(*folders)
    ]
    if as_json:
        return print_json(rows)
    for row in rows:
        click.secho(row["id"] + (" (headline)" if row["headline"] else ""), bold=True)
        click.echo(f"  {row['statement']}")
        for label in ("source", "reported", "rule"):
            click.echo(f"  {label + ':':10}{row[label]}")
        if row["no_control"]:
            click.echo(f"  control:  none: {row['no_control']}")
        click.echo(f"  status:   {row['status']}")
        hosted = ", also hosted ones" if row["hosted"] else ""
        click.echo(f"  kinds:    {', '.join(row['kinds'])}{hosted}\n")


def _asking_for_text(folders: Iterable[Path]) -> set[str]:
    """The claims that ask for `text_model`, and so apply to models behind an API."""
    files = (path for folder in folders for path in folder.glob("*.py"))
    functions = (
        node
        for path in files
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef)
    )
    return {
        function.name.removeprefix("test_")
        for function in functions
        if function.name.startswith("test_") and "text_model" in {each.arg for each in function.args.args}
    }
