"""Numbers and bounds in words: the one place where estimates, intervals and limits become text.

A number is read in the unit of the rule that judged it: "percent" for a rate, "points" for a difference of rates,
"counterexamples" for the rate of counterexamples to a universal claim, "number" for a mean of values. What the values
are in (bits, say) only their claim knows: its `value_unit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from vsg_core.vocabulary import Side

Unit = Literal["percent", "points", "counterexamples", "number"]

# What an estimate of each unit is, as a heading.
UNIT_NAMES: dict[Unit, str] = {
    "percent": "rate",
    "points": "difference of rates",
    "counterexamples": "counterexamples",
    "number": "mean",
}
# Significant digits of a limit: enough that no limit anyone types is rounded.
EXACT = 12


def number_text(value: float, unit: Unit, width: float | None = None) -> str:
    """A measured number: 62 %, +12 points, −0.031.

    Percents are whole; next to 0 and 100 they get the decimals that tell them apart.

    Args:
        width: of the interval around a plain number, which is rounded so that the width keeps two significant
            digits; without it, to three significant digits.
    """
    if unit != "number":
        percent = 100 * value
        return _signed(f"{percent:.{_decimals(percent)}f}", unit)
    if width and 1e-5 < width < 1e5:
        return _signed(f"{value:.{max(0, 1 - math.floor(math.log10(width)))}f}", unit)
    return _signed(f"{value:.3g}", unit)


def exact_text(value: float, unit: Unit) -> str:
    """A number that someone chose, say the limit of a rule, with all its digits: 50 %, +5 points, 0.1."""
    return _signed(f"{(value if unit == 'number' else 100 * value):.{EXACT}g}", unit)


def interval_text(ends: Sequence[float] | None, unit: Unit) -> str:
    """[50 %, 74 %]; empty without an interval. The word "points" is left to the estimate in front of it."""
    if ends is None:
        return ""
    low, high = (number_text(end, unit, ends[1] - ends[0]).removesuffix(" points") for end in ends)
    return f"[{low}, {high}]"


def estimate_text(
    value: float | None, ends: Sequence[float] | None, n: int | None, unit: Unit, value_unit: str = ""
) -> str:
    """An estimate with as many digits as its interval allows; empty without one.

    Counterexamples are counted: "none in 300", or "3 of 57".

    Args:
        value_unit: what values are in; only a mean of values has it.
    """
    if value is None:
        return ""
    if unit == "counterexamples" and n:
        count = round(value * n)
        return f"{count} of {n}" if count else f"none in {n}"
    return in_unit(number_text(value, unit, ends[1] - ends[0] if ends else None), unit, value_unit)


def measured_text(
    value: float, ends: Sequence[float], n: int, unit: Unit, value_unit: str = "", *, paired: bool = False
) -> str:
    """A whole measurement: "12 % [5 %, 25 %] of 40", "+12 points [−3, +25] of 40", "none in 299 [0 %, 1 %]".

    Args:
        paired: whether the interval of a difference of rates is that of pairs: "+12 points [+3, +21] of 40 pairs".
    """
    of = "" if unit == "counterexamples" else f" of {n}{' pairs' if paired else ''}"
    return f"{estimate_text(value, ends, n, unit, value_unit)} {interval_text(ends, unit)}{of}"


def in_unit(text: str, unit: Unit, value_unit: str) -> str:
    """A number, limit or bound with what values are in, where it is about a mean of values: 0.031 bits."""
    return f"{text} {value_unit}" if unit == "number" and value_unit else text


def limit_text(side: Side, limit: float, unit: Unit) -> str:
    """The side of the limit on which the whole interval must lie: above 50 %, within ±0.1, at most 1 %."""
    return f"within ±{exact_text(limit, unit)}" if side == "within" else f"{side} {exact_text(limit, unit)}"


def bound_text(side: Side, limit: float, unit: Unit, over: str | None = None) -> str:
    """A rule's bound: "above 50 %", "above +5 points compared with “noise”", "no counterexample, at most 1 % open"."""
    if unit == "counterexamples":
        return f"no counterexample, {limit_text(side, limit, unit)} left open"
    return limit_text(side, limit, unit) + (f" compared with “{over}”" if over else "")


def margin_text(matters: float, unit: Unit) -> str:
    """The distance from a limit within which an effect is too small to matter: "±5 points"."""
    return f"±{exact_text(matters, unit).lstrip('+')}"


def count_text(count: int, one: str, many: str = "") -> str:
    """1 claim, 4 claims."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _signed(text: str, unit: Unit) -> str:
    """The digits with a real minus sign, a plus where points are gained, and the unit."""
    zero = float(text) == 0
    text = text.lstrip("-") if zero else text.replace("-", "−")
    if unit == "number":
        return text
    if unit == "points":
        return f"{'' if zero or text.startswith('−') else '+'}{text} points"
    return f"{text} %"


def _decimals(percent: float) -> int:
    """The number of decimals that a percent needs, so that no rate other than 0 and 1 reads 0 % or 100 %."""
    away = float(f"{min(abs(percent), abs(100 - abs(percent))):.1g}")
    # Anything closer than 1e-9 is what floats leave of a sum.
    return -math.floor(math.log10(away)) if 1e-9 < away < 1 else 0
