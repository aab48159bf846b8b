"""Output of the commands: JSON, and tables that fit the terminal without breaking a word in two."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from textwrap import fill
from typing import Any, TextIO

import click
from rich.cells import cell_len

from vsg_core.vocabulary import DTYPES, ENGINES, WEIGHTS

GAP = "  "
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# Options of several commands that take the same.
reports_option = click.option(
    "--reports", default="reports", metavar="DIR", help="Folder of records and reports.", show_default=True
)
dtype = click.option("--dtype", type=click.Choice(DTYPES), help="Format of the weights.")
device = click.option(
    "--device", default="auto", metavar="DEVICE", help="cuda, mps or cpu; auto takes the first that this machine has.",
    show_default=True,
)  # fmt: skip
engine = click.option(
    "--engine", type=click.Choice(ENGINES), help="What computes: transformers unless given."
)
weights = click.option(
    "--weights", type=click.Choice(WEIGHTS),
    help="Pack the weights with bitsandbytes; as-is: compute with a quantised file's own kernels, on llama.cpp.",
)  # fmt: skip
thinking = click.option(
    "--thinking", type=click.Choice(["on", "off"]), help="Turn the reasoning of the chat format on or off."
)
own_claims = click.option(
    "--claims",
    "given",
    multiple=True,
    metavar="DIR",
    help="Folder of claims of your own, which join the project's (repeatable; default: ./hypotheses).",
)


@contextmanager
def open_output() -> Iterator[None]:
    """Run a command whose standard output may be full, closed, or of an encoding that lacks some characters.

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        OSError: the output cannot be written.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    output = sys.stdout
    try:
        yield
        output.flush()
    except SystemExit:
        if sys.stdout is output:
            raise
        # click met a closed pipe, put an object of its own in place of the output, and ends the process.
        _discard(output)
        raise BrokenPipeError from None
    except OSError:
        _discard(output)
        raise


def _discard(output: TextIO) -> None:
    """Let Python's last flush go nowhere: what could not be written is still buffered, and it would complain again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def flush_errors() -> None:
    """Flush standard error. One that cannot be written would make Python end with a code of its own, 120."""
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except OSError:
            _discard(sys.stderr)


def os_error_text(error: OSError) -> str:
    """Return one line for an error of the system; one without a file's name is of the output."""
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else f"cannot write the output: {why}"


def print_json(data: Any) -> None:
    """Print data as JSON, escaped where the output's encoding lacks a character."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=1, ensure_ascii=True)
    click.echo(text)


def width() -> int:
    """Return the number of columns of the terminal: COLUMNS if it is set, and 80 in a pipe."""
    return shutil.get_terminal_size().columns


def paragraph(text: str) -> str:
    """Wrap text to the terminal, at spaces only."""
    return fill(text, width(), break_long_words=False, break_on_hyphens=False)


def packed(pieces: Sequence[str], columns: int) -> str:
    """Arrange pieces in lines of at most `columns` columns.

    A piece is never broken; one that is longer gets a line of its own.
    """
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(f"{lines[-1]}{GAP}{piece}") <= columns:
            lines[-1] += f"{GAP}{piece}"
        else:
            lines.append(piece)
    return "\n".join(lines)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print rows under bold headings. A cell may have several lines; nothing is cut or wrapped.

    Args:
        right: headings of the right-aligned columns.
    """
    widths = column_widths(headings, rows)
    for number, row in enumerate([headings, *rows]):
        cells = [cell.split("\n") for cell in row]
        for line in range(max(map(len, cells))):
            parts = [
                _aligned(cell[line] if line < len(cell) else "", columns, heading in right)
                for cell, columns, heading in zip(cells, widths, headings, strict=True)
            ]
            click.secho(GAP.join(parts).rstrip(), bold=number == 0)


def column_widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how many terminal columns each column of a table takes, without the gaps."""
    return [
        max(cell_len(line) for cell in column for line in cell.split("\n"))
        for column in zip(headings, *rows, strict=True)
    ]


def table_width(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how many terminal columns a table takes, with the gaps."""
    return sum(column_widths(headings, rows)) + len(GAP) * (len(headings) - 1)


def _aligned(text: str, columns: int, right: bool) -> str:
    padding = " " * (columns - cell_len(text))
    return f"{padding}{text}" if right else f"{text}{padding}"
