"""The claim matrix as plain text for the end of a run: changes, then verdicts, then what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten, wrap

from vsg_core.markup.literal import visible
from vsg_core.records.record import NotRun
from vsg_core.report.text.counts import headline
from vsg_core.report.view.cells import Cell
from vsg_core.report.view.confirmed import placebo_texts
from vsg_core.report.view.models import shown_name, shown_names
from vsg_core.report.view.origins import command
from vsg_core.report.view.rows import ClaimRow, Report
from vsg_core.report.view.status import holm_text, replication_texts, sections, status_text
from vsg_core.vocabulary import Verdict
from vsg_core.wording import number_text

MARKS: dict[Verdict, str] = {
    "holds": "o",
    "refuted": "x",
    "negligible": "=",
    "inconclusive": "?",
    "not run": "-",
}
BROKEN, FLAGGED, MOVED = "#", "!", "~"
# After a measurement: its verdict survives Holm's correction.
SURVIVES = "*"
NO_BREAK = "\xa0"
# Columns that most names of claims fit in.
_NAME = 40


def terminal_summary(report: Report, width: int = 96, progress: Mapping[str, str] | None = None) -> str:
    """The report as text of at most `width` columns; one line when nothing was run.

    Commands are never wrapped, so that they can be copied; nor is the name of a claim.

    Args:
        progress: the letters that were printed while the claims ran, and what each stands for.
    """
    if not report.cells:
        return "no claim was run"
    first = [
        headline(report, len(report.tagged("new"))),
        status_text(report),
        holm_text(report),
        *placebo_texts(report.confirmations),
        *replication_texts(report),
    ]
    blocks = [
        "\n".join(line for text in first for line in _wrapped(text, width, 0)),
        *_changes(report, width),
        *_moved(report, width),
        *_not_replicated(report, width),
        _matrix(report, width),
        _legend(report, progress or {}, width),
        *_not_run(report, width),
    ]
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


def _moved(report: Report, width: int) -> Iterator[str]:
    """The cells whose verdict stayed while the estimate left the recorded interval."""
    if report.moved:
        lines = ["moved (same verdict, and the estimate left the recorded interval):"]
        for cell in report.moved:
            lines += _wrapped(f"{cell.record.claim.id} on {shown_name(cell.record.model)}", width, 2)
            lines += _wrapped(cell.moved, width, 6)
        yield "\n".join(lines)


def _not_replicated(report: Report, width: int) -> Iterator[str]:
    """The findings that a second engine does not replicate."""
    if report.not_replicated:
        lines = ["not replicated:"]
        for pair in report.not_replicated:
            lines += _wrapped(f"{pair.claim} on {pair.name}", width, 2)
            lines += _wrapped(pair.reason, width, 6)
        yield "\n".join(lines)


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
    for question, rows in sections(report).items():
        lines += ["", shorten(question, width, placeholder=" ...")]
        for row in rows:
            lines += layout.lines(row.record.claim.id, cells[row.record.claim.id], _notes(row, columns))
    return "\n".join(lines)


def _notes(row: ClaimRow, columns: Sequence[tuple[str, str]]) -> list[str]:
    """The bound that the claim needs, if a cell has numbers, and the cause of each inconclusive verdict."""
    if all(cell.verdict == "not run" for cell in row.cells.values()):
        return []
    letters: dict[str, list[str]] = {}
    for letter, name in columns:
        if name in row.cells and (cause := row.cells[name].undecided):
            letters.setdefault(cause, []).append(letter)
    causes = [
        f"{', '.join(which)}: {cause}" if which != [""] else f"? {cause}" for cause, which in letters.items()
    ]
    return [f"needs {row.needs}", *([row.badge.text] if row.confirmations else []), *causes]


def _legend(report: Report, progress: Mapping[str, str], width: int) -> str:
    """Name every mark, and every letter that was printed, with its meaning."""
    shown = {_mark(cell) for cell in report.cells}
    known = {mark: str(verdict) for verdict, mark in MARKS.items()} | {BROKEN: "broken"}
    marks = {mark: meaning for mark, meaning in known.items() if mark in shown}
    marks |= {FLAGGED: "changed or weakened"} if report.tagged("changed", "weakened") else {}
    marks |= {MOVED: "moved"} if report.moved else {}
    if any(cell.survives for cell in report.cells):
        marks[SURVIVES] = "survives Holm"
    if any(cell.record.evidence.share is not None for cell in report.cells):
        marks["(%)"] = "share of trials on the claim's side"
    lines = _wrapped_whole([f"{mark} {meaning}" for mark, meaning in marks.items()], width)
    if progress:
        words = [f"{letter} {meaning}" for letter, meaning in progress.items()]
        lines += _wrapped_whole(["while it ran:", *words], width)
    return "\n".join(lines)


def _mark(cell: Cell) -> str:
    return BROKEN if cell.broken else MARKS[cell.verdict]


def _wrapped_whole(parts: Sequence[str], width: int) -> list[str]:
    """The parts two blanks apart, on as many lines as they need; none is divided."""
    lines = wrap("  ".join(part.replace(" ", NO_BREAK) for part in parts), width, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines]


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

    def lines(self, name: str, cells: Sequence[str], notes: Sequence[str]) -> Iterator[str]:
        """The lines of one claim; its notes are below the cells, or behind them where a line has room."""
        if self.stacked or len(name) > self.name_width:
            yield f"  {name}"
        if self.stacked:
            yield from self._below(list(self._stacked(cells)), notes, 6)
        else:
            shown = name if len(name) <= self.name_width else ""
            line = self._line([shown.ljust(self.name_width), *cells], 2)
            yield from self._below([line], notes, self.name_width + 4)

    def _below(self, lines: list[str], notes: Sequence[str], indent: int) -> Iterator[str]:
        if notes and len(lines) == 1 and len(lines[0]) + 2 + len(notes[0]) <= self.width:
            lines, notes = [f"{lines[0]}  {notes[0]}"], notes[1:]
        yield from lines
        for note in notes:
            # A long one would be many short lines below the cells.
            fits = indent + len(note) <= self.width
            yield from _wrapped(note, self.width, indent if fits else 6, 2)

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
    flag = FLAGGED if cell.flagged and not cell.broken else MOVED if cell.moved else " "
    share = cell.record.evidence.share
    beside = ["" if share is None else f"({number_text(share, 'percent')})", SURVIVES * bool(cell.survives)]
    return " ".join(filter(None, [f"{letter} {flag}{_mark(cell)}", _measured(cell), *beside])).strip()


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


def _wrapped(text: str, width: int, indent: int, hanging: int = 0) -> list[str]:
    """The text in lines of `width` columns; a name is not divided, and a number keeps its percent sign."""
    margin = " " * indent
    lines = wrap(
        text.replace(" %", f"{NO_BREAK}%"),
        width,
        initial_indent=margin,
        subsequent_indent=margin + " " * hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]
