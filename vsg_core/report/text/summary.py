"""What a run leaves for other programs and for GitHub: a Markdown summary, and the claims as CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vsg_core.markup.literal import visible
from vsg_core.records.files import write_atomically
from vsg_core.report.text.claim_table import ClaimTable
from vsg_core.report.text.recorded_table import markdown_table
from vsg_core.report.view.cells import Cell, Record
from vsg_core.report.view.measures import several
from vsg_core.report.view.rows import Report, report_of


def write_neighbours(records: Sequence[Record], folder: str | Path) -> None:
    """Write `folder`/summary.md and claims.csv, beside the page.

    Raises:
        VsgError: a file cannot be written.
    """
    write_atomically(Path(folder, "summary.md"), markdown_summary(records))
    write_atomically(Path(folder, "claims.csv"), ClaimTable(records).csv())


def markdown_summary(records: Sequence[Record]) -> str:
    """The run in GitHub's Markdown, for a pull request or a job's summary: what changed, all verdicts, what
    was not run. What a model wrote stands in code spans, where it links to nothing and calls nobody."""
    report = report_of(records)
    blocks = [_headline(report), *_changes(report), *_matrices(report), *_not_run(report)]
    return "\n\n".join(blocks) + "\n"


def _headline(report: Report) -> str:
    counts = ", ".join(
        f"{count} {'hold' if verdict == 'holds' and count > 1 else verdict}"
        for verdict, count in report.counts.items()
        if count
    )
    over = f"{several(len(report.claims), 'claim')} on {several(len(report.models), 'model')}"
    return f"## {over}: {counts or 'nothing measured'}"


def _changes(report: Report) -> Iterator[str]:
    """What differs from the recorded verdicts, one by one; what cannot differ, counted."""
    differ = [cell for tag in ("broken", "changed", "weakened") for cell in report.tagged(tag)]
    if differ:
        yield "### Changed\n\n" + "\n".join(map(_change, differ))
    new, other = report.tagged("new"), report.tagged("not comparable")
    told = ["No verdict differs from the recorded one."] if report.confirmed and not differ else []
    if new:
        told.append(f"{several(len(new), 'verdict is', 'verdicts are')} new.")
    if other:
        why = "other weights, another rule or another dtype"
        told.append(
            f"{several(len(other), 'verdict is', 'verdicts are')} not comparable with the recorded: {why}."
        )
    dated = [cell for cell in report.cells if cell.day]
    if dated:
        told.append(f"{several(len(dated), 'cell was', 'cells were')} measured on an earlier day.")
    if told:
        yield " ".join(told)


def _change(cell: Cell) -> str:
    now = _code(cell.record["reason"]) if cell.tag == "broken" else _measured(cell)
    was = f"was {' '.join(cell.was)}, now " if cell.was else ""
    return f"- **{cell.tag}**: {_text(cell.record['statement'])}, on {_text(cell.model)}: {was}{now}"


def _matrices(report: Report) -> Iterator[str]:
    models = report.names
    for question, rows in report.questions.items():
        cells = [
            [_text(row.record["statement"]), *(_cell(row.cells.get(model)) for model in models)]
            for row in rows
        ]
        yield f"### {_text(question)}\n\n" + markdown_table(["claim", *map(_text, models)], cells)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    failed = [f"control {_text(arm.name)} failed" for arm in cell.failed_controls]
    notes = [*([cell.tag] if cell.tag else []), *failed]
    return _measured(cell) + (f" *({'; '.join(notes)})*" if notes else "")


def _measured(cell: Cell) -> str:
    return " ".join(filter(None, (f"**{cell.verdict}**", cell.arms[0].estimate, cell.arms[0].interval)))


def _not_run(report: Report) -> Iterator[str]:
    """Each reason once, with what it kept from running; a reason says what would change it."""
    if report.not_run:
        lines = []
        for reason, cells in report.not_run.items():
            claims = ", ".join(_code(name) for name in dict.fromkeys(cell.record["claim"] for cell in cells))
            models = ", ".join(_text(name) for name in dict.fromkeys(cell.model for cell in cells))
            lines.append(f"- {claims} on {models}: {_code(reason)}")
        yield "### Not run\n\n" + "\n".join(lines)


def _text(text: str) -> str:
    """Text of a claim's author as Markdown shows it: nothing in it is markup, and it stays on its line."""
    line = visible(" ".join(text.split()))
    return re.sub(r"([\\`*_\[\]<>&|~])", r"\\\1", line)


def _code(text: str) -> str:
    """A code span that holds `text`, whatever is in it."""
    line = visible(" ".join(text.split()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 else f"`{line}`"
