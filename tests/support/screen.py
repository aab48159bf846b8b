"""A terminal's screen after some output: as much of one as pytest and the live line need."""

from __future__ import annotations

import re

PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")


def screen(output: str, columns: int = 80) -> list[str]:
    """The lines of a screen, without blanks at their ends, after it has shown `output`.

    Raises:
        ValueError: a control sequence that is not known here.
    """
    lines: list[list[str]] = [[]]
    row = column = 0
    for piece in PIECE.finditer(output):
        text, count = piece[0], int(piece[1]) if (piece[1] or "").isdigit() else 1
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
        elif piece[2] == "A":
            row -= count
        elif piece[2] == "C":
            column += count
        elif piece[2] == "K":
            lines[row] = []
        elif piece[2] == "J":
            lines[row] = lines[row][:column]
            del lines[row + 1 :]
        elif piece[2] and piece[2] != "m":
            raise ValueError(f"control sequence {text!r}")
        elif not piece[2]:
            if column == columns:
                row, column = row + 1, 0
            while len(lines) <= row:
                lines.append([])
            lines[row] += " " * (column + 1 - len(lines[row]))
            lines[row][column] = text
            column += 1
        while len(lines) <= row:
            lines.append([])
    return ["".join(line).rstrip() for line in lines]
