"""The claim matrix as plain text for the end of a run: changes, then verdicts, then what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten, wrap

from vsg_core.markup.literal import visible
from vsg_core.records.record import NotRun
from vsg_core.report.text.counts import claims_on_models, verdict_counts
from vsg_core.report.view.cells import Cell
from vsg_core.report.view.models import shown_name, shown_names
from vsg_core.report.view.origins import command
from vsg_core.report.view.rows import Report
from vsg_core.vocabulary import Verdict

MARKS: dict[Verdict, str] = {"holds": "o", "refuted": "x", "inconclusive": "?", "not run": "-"}
# Columns that most names of claims fit in.
_NAME = 40


def terminal_summary(report: Report, width: int = 96) -> str:
    """The report as text of at most `width` columns (80 or more); one line when nothing was run.

    Commands are never wrapped, so that they can be copied.
    """
    if not report.cells:
        return "no claim was run"
    new = len(report.tagged("new"))
    headline = f"{claims_on_models(report)}: {verdict_counts(report)}" + (f"; {new} new" if new else "")
    blocks = [headline, *_changes(report, width), _matrix(report, width), *_not_run(report, width)]
    return visible_lines("\n\n".join(blocks))


def visible_lines(text: str) -> str:
    """The text with hidden characters named, so that a model's output cannot steer a terminal; line ends stay."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _changes(report: Report, width: int) -> Iterator[str]:
    for tag in ("broken", "changed", "weakened", "not comparable"):
        cells = report.tagged(tag)
        if cells:
            yield "\n".join([f"{tag}:", *(line for cell in cells for line in _change(cell, width))])


def _change(cell: Cell, width: int) -> list[str]:
    """The old and the new verdict of the cell; if it failed the run, also the command that measures it alone again."""
    record, not_run = cell.record, cell.record.not_run
    was = f"was {' '.join(cell.was)}, now " if cell.was else ""
    lines = _wrapped(f"{record.claim.id} on {shown_name(record.model)}", width, 2)
    if cell.tag == "broken" and not_run:
        lines += _reason(not_run, width, was)
    else:
        lines += _wrapped(f"{was}{cell.verdict} {_measured(cell)}".strip(), width, 6)
    return [*lines, f"      again: {command(record)}"] if cell.flagged else lines


def _measured(cell: Cell) -> str:
    return f"{cell.arms[0].estimate} {cell.arms[0].interval}".strip()


def _matrix(report: Report, width: int) -> str:
    """Claims down, lettered models across."""
    models = shown_names(report)
    letters = [_letter(i) for i in range(len(models))] if len(models) > 1 else [""]
    columns = list(zip(letters, models, strict=True))
    cells = {
        row.record.claim.id: [_cell(letter, row.cells.get(name)) for letter, name in columns]
        for row in report.claims
    }
    layout = _Layout.fitting(cells, width)
    lines = [f"  {letter}  {models[name]}" if letter else f"  {models[name]}" for letter, name in columns]
    for question, rows in report.questions.items():
        lines += ["", shorten(question, width, placeholder=" ...")]
        for row in rows:
            lines += layout.lines(row.record.claim.id, cells[row.record.claim.id])
    marks = "  ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    return "\n".join([*lines, "", f"{marks}  ! changed, weakened or broken"])


@dataclass(frozen=True)
class _Layout:
    """The layout of the rows of the matrix in lines.

    Args:
        width: of a line.
        cell_width: of a cell.
        name_width: of the names of claims, where cells are next to them.
        stacked: whether the cells are below the name of their claim, for lack of room.
    """

    width: int
    cell_width: int
    name_width: int
    stacked: bool

    @classmethod
    def fitting(cls, cells: Mapping[str, Sequence[str]], width: int) -> _Layout:
        """A layout for these cells, by the name of their claim."""
        cell_width = max(len(cell) for row in cells.values() for cell in row)
        room = width - 2 - max(map(len, cells.values())) * (2 + cell_width)
        return cls(width, cell_width, min(room, max(map(len, cells))), room < _NAME)

    def lines(self, name: str, cells: Sequence[str]) -> Iterator[str]:
        """The lines of one claim."""
        if self.stacked:
            yield f"  {name}"
            yield from self._stacked(cells)
        elif len(name) <= self.name_width:
            yield self._line([name.ljust(self.name_width), *cells], 2)
        else:
            yield f"  {name}"
            yield self._line([" " * self.name_width, *cells], 2)

    def _stacked(self, cells: Sequence[str]) -> Iterator[str]:
        """As many cells per line as fit, in columns; lines without any are left out."""
        per_line = max(1, (self.width - 4) // (2 + self.cell_width))
        for first in range(0, len(cells), per_line):
            part = cells[first : first + per_line]
            if any(part):
                yield self._line(part, 6)

    def _line(self, parts: Sequence[str], indent: int) -> str:
        return " " * indent + "  ".join(part.ljust(self.cell_width) for part in parts).rstrip()


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _cell(letter: str, cell: Cell | None) -> str:
    if cell is None:
        return ""
    measured = _measured(cell).replace(" points", " pt")
    return f"{letter} {'!' if cell.flagged else ' '}{MARKS[cell.verdict]} {measured}".strip()


def _not_run(report: Report, width: int) -> Iterator[str]:
    """Each reason once, with the claims and models that it kept from running and the command that would change it."""
    lines = []
    for not_run, cells in report.not_run.items():
        lines += [*_wrapped(_where(cells, report), width, 2), *_reason(not_run, width)]
    if lines:
        yield "\n".join(["not run:", *lines])


def _where(cells: Sequence[Cell], report: Report) -> str:
    models = dict.fromkeys(shown_name(cell.record.model) for cell in cells)
    claims = dict.fromkeys(cell.record.claim.id for cell in cells)
    what = f"all {len(claims)} claims" if 1 < len(claims) == len(report.claims) else ", ".join(claims)
    return f"{what} on {', '.join(models)}"


def _reason(not_run: NotRun, width: int, was: str = "") -> Iterator[str]:
    """Why there is no verdict, then the command that would change it on a line of its own."""
    yield from _wrapped(was + not_run.cause_and_reason, width, 6)
    if not_run.command:
        yield f"      to get them: {not_run.command}"


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    margin = " " * indent
    return wrap(text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
