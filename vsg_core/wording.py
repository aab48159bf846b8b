"""Measured numbers in words, the same in verdicts and recorded verdicts; the page has its own (report.measures)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# What a record keeps of a rule: {"kind": ..., "over": ..., and "above" | "below" | "within" | "open_rate"}
Bound = Mapping[str, Any]


def unit_of(bound: Bound) -> str:
    """What the estimate under a rule counts.

    "percent" for a rate, "points" for a difference of rates, "counterexamples" (their rate) for a universal
    claim, "number" for a mean of values.
    """
    if bound["kind"] == "always":
        return "counterexamples"
    if bound["kind"] == "rate":
        return "points" if bound.get("over") else "percent"
    return "number"


def number_text(unit: str, number: float, digits: int = 3) -> str:
    """A number of that unit: 12 %, +12 points, 0.031."""
    value = (number if unit == "number" else 100 * number) + 0.0  # + 0.0 turns -0.0 into 0.0
    if unit != "number" and abs(value) > 99:
        digits = max(digits, 2 + decimals(value))
    if unit == "points":
        return f"{'+' if value > 0 else ''}{value:.{digits}g} points"
    return f"{value:.{digits}g}" if unit == "number" else f"{value:.{digits}g} %"


def decimals(percent: float) -> int:
    """How many a whole percent needs next to 0 and 100, so that no other rate than 0 and 1 reads 0 % or 100 %."""
    away = min(abs(percent), abs(100 - abs(percent)))
    return -math.floor(math.log10(away)) if 1e-9 < away < 1 else 0  # below is what floats leave of a sum


def measured_text(bound: Bound, estimate: float, interval: Sequence[float], n: int) -> str:
    """A measurement, say "12 % [5 %, 25 %] of 40", "+12 points [-3, +25] of 40" or "no counterexamples in 299
    (leaves 0.997 % open)"."""
    unit = unit_of(bound)
    low, high = (number_text(unit, end).removesuffix(" points") for end in interval)
    if unit == "counterexamples":
        failures = round(estimate * n)
        return f"{failures or 'no'} counterexample{'s' * (failures != 1)} in {n} (leaves {high} open)"
    return f"{number_text(unit, estimate)} [{low}, {high}] of {n}"
