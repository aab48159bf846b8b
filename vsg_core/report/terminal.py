"""The claim matrix as plain text for the end of a run: changes, then verdicts, then what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten, wrap

from vsg_core.report.cells import Cell, Record
from vsg_core.report.literal import visible
from vsg_core.report.measures import several
from vsg_core.report.rows import Report, report_of

MARKS = {"holds": "o", "refuted": "x", "inconclusive": "?", "not run": "-"}
_NAME = 33  # columns of a claim's name
_CELL = 14  # columns of a verdict with its estimate


def terminal_summary(records: Sequence[Record], width: int = 96) -> str:
    """The records as text of at most `width` columns (80 or more); one line when there are none."""
    report = report_of(records)
    if not report.cells:
        return "no claim was run"
    blocks = [
        _headline(report),
        *_changes(report, width),
        *_matrices(report, width),
        *_not_run(report, width),
    ]
    return visible_lines("\n\n".join(blocks))


def visible_lines(text: str) -> str:
    """Hidden characters named (a model's output must not steer a terminal), line ends kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _headline(report: Report) -> str:
    counts = ", ".join(
        f"{count} {'hold' if verdict == 'holds' and count > 1 else verdict}"
        for verdict, count in report.counts.items()
        if count
    )
    new = len(report.tagged("new"))
    what = f"{several(len(report.claims), 'claim')} on {several(len(report.models), 'model')}"
    return f"{what}: {counts}" + (f"; {new} new" if new else "")


def _changes(report: Report, width: int) -> Iterator[str]:
    for tag in ("broken", "changed", "weakened", "not comparable"):
        cells = report.tagged(tag)
        if cells:
            yield "\n".join([f"{tag}:", *(line for cell in cells for line in _change(cell, width))])


def _change(cell: Cell, width: int) -> list[str]:
    own = cell.arms[0]
    now = (
        cell.record["reason"]
        if cell.tag == "broken"
        else f"{cell.verdict} {own.estimate} {own.interval}".strip()
    )
    text = f"was {' '.join(cell.was)}, now {now}" if cell.was else now
    return [f"  {cell.record['claim']} on {cell.model}", *_indented(text, width, 6)]


def _matrices(report: Report, width: int) -> Iterator[str]:
    """As many models side by side as the width holds, lettered; further ones in a block below."""
    side_by_side = max(1, (width - _NAME - 2) // (_CELL + 1))
    for first in range(0, len(report.names), side_by_side):
        names = report.names[first : first + side_by_side]
        letters = [_letter(first + i) for i in range(len(names))]
        lines = [f"  {letter}  {name}" for letter, name in zip(letters, names, strict=True)]
        lines += ["", _row("", letters)]
        for question, rows in report.questions.items():
            lines.append(shorten(question, width, placeholder=" ..."))
            lines += [
                _row(row.record["claim"], [_cell(row.cells.get(name)) for name in names]) for row in rows
            ]
        yield "\n".join(lines)
    yield (
        "  ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items()) + "  ! changed, weakened or broken"
    )


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _row(name: str, cells: Sequence[str]) -> str:
    clipped = name if len(name) <= _NAME else name[: _NAME - 3] + "..."
    return "  " + " ".join([clipped.ljust(_NAME), *(cell.ljust(_CELL) for cell in cells)]).rstrip()


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    flag = "!" if cell.tag in ("changed", "weakened", "broken") else " "
    return f"{flag}{MARKS[cell.verdict]} {cell.arms[0].estimate.replace(' points', ' pt')}"[:_CELL]


def _not_run(report: Report, width: int) -> Iterator[str]:
    """Reasons, each with the claims and models it kept from running; a reason says what would change it."""
    if report.not_run:
        lines = ["not run:"]
        for reason, cells in report.not_run.items():
            lines += [*_indented(_where(cells, report), width, 2), *_indented(reason, width, 6)]
        yield "\n".join(lines)


def _where(cells: Sequence[Cell], report: Report) -> str:
    models = dict.fromkeys(cell.model for cell in cells)
    claims = dict.fromkeys(cell.record["claim"] for cell in cells)
    what = f"all {len(claims)} claims" if 1 < len(claims) == len(report.claims) else ", ".join(claims)
    return f"{what} on {', '.join(models)}"


def _indented(text: str, width: int, indent: int) -> list[str]:
    """Wrapped; a command that would change something begins a line of its own, to be copied."""
    lines = text.replace("; to get them: ", "\nto get them: ").split("\n")
    margin = " " * indent
    return [
        part
        for line in lines
        for part in wrap(line, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
    ]
