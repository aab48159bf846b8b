"""The recorded verdicts as Markdown tables, claims by models: the README's and docs/verdicts.md are made with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path

from vsg_core.judge.claims import load_claims
from vsg_core.records.recorded import Recorded, read_recorded
from vsg_core.wording import Bound, measured_text


def recorded_table(claims: Path, recorded: Path, headline: bool = False) -> str:
    """Claims of a folder down, by question, models across; a cell is verdict and measurement.

    Claims without any recorded verdict are left out, and of each table the models without any in it.

    Args:
        headline: the headline claims only, in one table.
    """
    models = sorted(path.stem for path in recorded.glob("*.toml"))
    verdicts = {model: read_recorded(recorded, model) for model in models}
    tables: dict[str, list[list[str]]] = {}
    for claim in load_claims(claims):
        cells = [_cell(verdicts[model].get(claim.id), claim.rule.bound) for model in models]
        if any(cells) and (claim.headline or not headline):
            question = "" if headline else f"## {claim.question}\n\n"
            tables.setdefault(question, []).append([claim.statement, *cells])
    return "\n\n".join(question + _told(["claim", *models], rows) for question, rows in tables.items())


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of texts that are Markdown already."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _told(head: list[str], rows: list[list[str]]) -> str:
    """The table without the columns that are empty."""
    told = [any(column) for column in zip(*rows, strict=True)]
    return markdown_table([*compress(head, told)], [[*compress(row, told)] for row in rows])


def _cell(recorded: Recorded | None, bound: Bound) -> str:
    if recorded is None:
        return ""
    if recorded.estimate is None or recorded.interval is None or recorded.n is None:
        return f"*not run*, {recorded.reason}"
    return f"**{recorded.verdict}** {measured_text(bound, recorded.estimate, recorded.interval, recorded.n)}"
