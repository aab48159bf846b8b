"""Recorded verdicts as Markdown tables, claims by models: those of the README and of docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, product
from pathlib import Path

from vsg_core.judge.claims import load_claims
from vsg_core.projects import RECORDED
from vsg_core.records.recorded import RecordedVerdict, read_recorded
from vsg_core.vocabulary import form_text, is_quantised
from vsg_core.wording import Unit, estimate_text, measured_text


def recorded_table(
    claims: Path, recorded: Path, headline: bool = False, short: bool = False, own: Sequence[Path] = ()
) -> str:
    """Return one table per question, with a row per claim and a column per model.

    Claims without a recorded verdict are left out, and so are, in each table, models without a verdict in it.

    Args:
        claims: the folder of claims.
        recorded: the folder of recorded verdicts, one file per model.
        headline: only the headline claims, in one table.
        short: the verdict and the estimate alone, without the interval and the number of trials.
        own: further folders of claims, each with its recorded verdicts in recorded/, which replace earlier ones.
    """
    folders = [recorded, *(folder / RECORDED for folder in own)]
    models = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    verdicts: dict[str, dict[str, RecordedVerdict]] = {model: {} for model in models}
    for model, folder in product(models, folders):
        verdicts[model] |= read_recorded(folder, model)
    cell = _short_cell if short else _full_cell
    tables: dict[str, list[list[str]]] = {}
    for claim in load_claims(claims, *own):
        accepted = [verdicts[model].get(claim.id) for model in models]
        if any(accepted) and (claim.headline or not headline):
            question = "" if headline else f"## {claim.question}\n\n"
            cells = [cell(verdict, claim.rule.unit) if verdict else "" for verdict in accepted]
            tables.setdefault(question, []).append([claim.statement, *cells])
    head = ["claim", *(_model_head(model, verdicts[model].values()) for model in models)]
    return "\n\n".join(question + _without_empty_columns(head, rows) for question, rows in tables.items())


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _model_head(model: str, verdicts: Iterable[RecordedVerdict]) -> str:
    """gemma-3-270m (4-bit); the name alone where the weights are not quantised."""
    forms = {verdict.form for verdict in verdicts if verdict.form and is_quantised(verdict.form)}
    return f"{model} ({', '.join(sorted(map(form_text, forms)))})" if forms else model


def _without_empty_columns(head: list[str], rows: list[list[str]]) -> str:
    filled = [any(column) for column in zip(*rows, strict=True)]
    return markdown_table([*compress(head, filled)], [[*compress(row, filled)] for row in rows])


def _full_cell(recorded: RecordedVerdict, unit: Unit) -> str:
    if recorded.estimate is None or recorded.interval is None or recorded.n is None:
        return f"*not run*, {recorded.not_applicable}"
    return f"**{recorded.verdict}** {measured_text(recorded.estimate, recorded.interval, recorded.n, unit)}"


def _short_cell(recorded: RecordedVerdict, unit: Unit) -> str:
    if recorded.estimate is None:
        return "*not run*"
    return f"**{recorded.verdict}** {estimate_text(recorded.estimate, recorded.interval, recorded.n, unit)}"
