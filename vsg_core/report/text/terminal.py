"""The claim matrix as plain text for the end of a run: changes, then verdicts, then what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten, wrap

from vsg_core.markup.literal import visible
from vsg_core.report.view.cells import Cell, Record
from vsg_core.report.view.measures import several
from vsg_core.report.view.origins import command
from vsg_core.report.view.rows import Report, report_of

MARKS = {"holds": "o", "refuted": "x", "inconclusive": "?", "not run": "-"}
_NAME = 40  # columns that most names of claims fit in


def terminal_summary(records: Sequence[Record], width: int = 96) -> str:
    """The records as text of at most `width` columns (80 or more), but commands, which stay whole to be
    copied; one line when there are none."""
    report = report_of(records)
    if not report.cells:
        return "no claim was run"
    blocks = [
        _headline(report),
        *_changes(report, width),
        _matrix(report, width),
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
    """What it was and is; of what failed the run also the command that measures it again, and nothing else."""
    now = cell.record["reason"] if cell.tag == "broken" else f"{cell.verdict} {_measured(cell)}".strip()
    text = f"was {' '.join(cell.was)}, now {now}" if cell.was else now
    again = [f"      again: {command(cell.record)}"] if cell.flagged else []
    return [f"  {cell.record['claim']} on {cell.model}", *_indented(text, width, 6), *again]


def _measured(cell: Cell) -> str:
    return f"{cell.arms[0].estimate} {cell.arms[0].interval}".strip()


def _matrix(report: Report, width: int) -> str:
    """Claims down, lettered models across: the cells beside the names where there is room, else below them."""
    names = report.names
    letters = [f"{_letter(i)}  " for i in range(len(names))] if len(names) > 1 else [""]
    columns = list(zip(letters, names, strict=True))
    rows = {
        row.record["claim"]: [_cell(letter, row.cells.get(name)) for letter, name in columns]
        for row in report.claims
    }
    cell_width = max(len(cell) for cells in rows.values() for cell in cells)
    room = width - 2 - len(names) * (2 + cell_width)
    name_width = min(room, max(map(len, rows)))
    lines = [f"  {letter}{name}" for letter, name in columns]
    for question, claims in report.questions.items():
        lines += ["", shorten(question, width, placeholder=" ...")]
        for row in claims:
            name = row.record["claim"]
            if room < _NAME:
                lines += [f"  {name}", *_stacked(rows[name], cell_width, width)]
            else:
                *above, head = [name] if len(name) <= name_width else [f"  {name}", ""]
                lines += [*above, _line([head.ljust(name_width), *rows[name]], cell_width, 2)]
    marks = "  ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    return "\n".join([*lines, "", f"{marks}  ! changed, weakened or broken"])


def _stacked(cells: Sequence[str], cell_width: int, width: int) -> Iterator[str]:
    """As many cells in a line as it holds, each under its like; lines of models that have none are left out."""
    in_line = max(1, (width - 4) // (2 + cell_width))
    for first in range(0, len(cells), in_line):
        part = cells[first : first + in_line]
        if any(part):
            yield _line(part, cell_width, 6)


def _line(parts: Sequence[str], cell_width: int, indent: int) -> str:
    return " " * indent + "  ".join(part.ljust(cell_width) for part in parts).rstrip()


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _cell(letter: str, cell: Cell | None) -> str:
    if cell is None:
        return ""
    measured = _measured(cell).replace(" points", " pt")
    return f"{letter.strip()} {'!' if cell.flagged else ' '}{MARKS[cell.verdict]} {measured}".strip()


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
