"""The files of a run for other programs and for GitHub: a Markdown summary, and the claims as CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vsg_core.markup.literal import markdown_text as _text
from vsg_core.markup.literal import visible
from vsg_core.records.files import write_atomically
from vsg_core.report.text.claim_table import csv_text
from vsg_core.report.text.counts import headline
from vsg_core.report.text.recorded_table import markdown_table
from vsg_core.report.view.cells import Cell, unprotected_text
from vsg_core.report.view.confirmed import ledger_texts
from vsg_core.report.view.engines import JUDGED
from vsg_core.report.view.models import shown_name, shown_names
from vsg_core.report.view.rows import ClaimRow, Report
from vsg_core.report.view.status import harness_of, holm_text, replication_texts, status_text
from vsg_core.wording import count_text


def write_neighbours(report: Report, folder: str | Path) -> None:
    """Write `folder`/summary.md and claims.csv, next to the page.

    Raises:
        VsgError: a file cannot be written.
    """
    write_atomically(Path(folder, "summary.md"), markdown_summary(report))
    write_atomically(Path(folder, "claims.csv"), csv_text(report))


def markdown_summary(report: Report) -> str:
    """The run in GitHub's Markdown, for a pull request or a job's summary.

    Changes come first, then all verdicts, then what was not run. What a model wrote is in code spans, in which GitHub
    makes neither links nor mentions.
    """
    parts = [
        f"## {headline(report)}", *_status(report), *_changes(report), *_matrices(report), *_harness(report),
        *_not_run(report),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _status(report: Report) -> Iterator[str]:
    if text := " ".join(filter(None, [status_text(report), holm_text(report)])):
        yield _text(text)
    for text in [*ledger_texts(report.confirmations), *replication_texts(report)]:
        yield _text(text)
    if failed := report.not_replicated:
        yield "### Not replicated\n\n" + "\n".join(
            f"- {_text(pair.record.claim.statement)}, on {_text(pair.model)}: {_text(pair.reason)}"
            for pair in failed
        )


def _changes(report: Report) -> Iterator[str]:
    """List the differences from the recorded verdicts, and count the verdicts that cannot differ."""
    differ = [cell for tag in ("broken", "changed", "weakened") for cell in report.tagged(tag)]
    if differ:
        yield "### Changed\n\n" + "\n".join(map(_change, differ))
    if report.moved:
        lines = [f"- {_where(cell)}: {cell.moved}" for cell in report.moved]
        title = "### Moved\n\nThe verdict is the recorded one; the estimate left the recorded interval."
        yield "\n".join([title, "", *lines])
    if cells := report.not_reproduced:
        yield "### Not reproduced\n\n" + "\n".join(map(_not_reproduced, cells))
    sentences = [*_no_change(report, differ), *_counted(report)]
    if sentences:
        yield " ".join(sentences)


def _no_change(report: Report, differ: Sequence[Cell]) -> Iterator[str]:
    if report.confirmed and not differ:
        yield "No verdict differs from the recorded one."


def _counted(report: Report) -> Iterator[str]:
    """One sentence for each group of cells that cannot differ from a recorded verdict."""
    if new := report.tagged("new"):
        yield f"{count_text(len(new), 'verdict is', 'verdicts are')} new."
    if other := report.tagged("not comparable"):
        why = "different weights, a different rule or a different dtype"
        verdicts = count_text(len(other), "verdict is", "verdicts are")
        yield f"{verdicts} not comparable with the recorded: {why}."
    if dated := [cell for cell in report.cells if cell.day]:
        yield f"{count_text(len(dated), 'cell was', 'cells were')} measured on an earlier day."


def _change(cell: Cell) -> str:
    record = cell.record
    now = _code(record.reason) if cell.tag == "broken" else _measured(cell)
    was = f"was {' '.join(cell.was)}, now " if cell.was else ""
    return f"- **{cell.tag}**: {_where(cell)}: {was}{now}"


def _where(cell: Cell) -> str:
    return f"{_text(cell.record.claim.statement)}, on {_text(shown_name(cell.record.model))}"


def _not_reproduced(cell: Cell) -> str:
    others = "; ".join(map(_text, cell.not_reproduced))
    return f"- {_where(cell)}: now {_measured(cell)}; another run: {others}"


def _matrices(report: Report) -> Iterator[str]:
    models = shown_names(report)
    head = ["claim", *map(_text, models.values())]
    for question, rows in report.questions.items():
        cells = [[_stated(row), *(_cell(row.cells.get(model), report) for model in models)] for row in rows]
        yield f"### {_text(question)}\n\n" + markdown_table(head, cells)


def _harness(report: Report) -> Iterator[str]:
    """The identities, apart from the findings."""
    if harness := harness_of(report):
        models = shown_names(report)
        rows = [
            [_stated(row), *(_cell(row.cells.get(model), report) for model in models)]
            for row in report.identities
        ]
        yield f"### {harness.title}\n\n{harness.text}. {harness.meaning}"
        yield markdown_table(["claim", *map(_text, models.values())], rows)


def _stated(row: ClaimRow) -> str:
    return _text(f"{row.record.claim.statement} (needs {row.needs})")


def _cell(cell: Cell | None, report: Report) -> str:
    if cell is None:
        return ""
    controls = [] if cell.undecided else _controls(cell)
    tag = "" if cell.broken else cell.tag or ("moved" if cell.moved else "")
    again = "not reproduced" if cell.not_reproduced else ""
    pair = report.engine_pairs.get((cell.record.claim.id, cell.model))
    by_second = pair.result if pair and pair.result in JUDGED else ""
    confirmed = _text(cell.confirmed.words) if cell.confirmed else ""
    notes = [
        note
        for note in (confirmed, tag, again, by_second, cell.holm, _text(cell.undecided), *controls)
        if note
    ]
    share = f", {_text(cell.share)}" if cell.share else ""
    return _measured(cell) + share + (f" *({'; '.join(notes)})*" if notes else "")


def _controls(cell: Cell) -> list[str]:
    """The controls that did not hold, and that they do not protect the verdict."""
    return [
        ", ".join(
            filter(None, (f"control {_text(arm.name)} {arm.result}", unprotected_text(cell.verdict, [arm])))
        )
        for arm in cell.unheld_controls
    ]


def _measured(cell: Cell) -> str:
    verdict = "broken" if cell.broken else cell.verdict
    return " ".join(filter(None, (f"**{verdict}**", cell.arms[0].estimate, cell.arms[0].interval)))


def _not_run(report: Report) -> Iterator[str]:
    """Each reason once, with the claims and models that it kept from running and the command that would change it."""
    if report.not_run:
        lines = []
        for not_run, cells in report.not_run.items():
            claims = ", ".join(_code(name) for name in dict.fromkeys(cell.record.claim.id for cell in cells))
            names = dict.fromkeys(shown_name(cell.record.model) for cell in cells)
            lines.append(f"- {claims} on {', '.join(map(_text, names))}: {_code(not_run.text)}")
        yield "### Not run\n\n" + "\n".join(lines)


def _code(text: str) -> str:
    """A code span that holds `text`, with a longer fence than any in the text."""
    line = visible(" ".join(text.split()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 else f"`{line}`"
