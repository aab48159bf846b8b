"""Plain JSON values, and text that every JSON reader takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any, digits: int = 17) -> Any:
    """Plain JSON values: numpy and torch ones by their own `tolist`, paths and the like as text.

    NaN and infinity, which JSON lacks, become strings.

    Args:
        digits: significant digits of a float; 17 are all of them.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {utf8_text(key): plain(entry, digits) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry, digits) for entry in value]
    return utf8_text(value)


def utf8_text(value: Any) -> str:
    """Text that UTF-8 can hold: a lone surrogate becomes its escape."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
