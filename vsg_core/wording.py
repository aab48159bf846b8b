"""Measured numbers in words, the same in verdicts and recorded verdicts; the page has its own (report.measures)."""

from __future__ import annotations

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
    if unit == "points":
        return f"{'+' if value > 0 else ''}{value:.{digits}g} points"
    return f"{value:.{digits}g}" if unit == "number" else f"{value:.{digits}g} %"


def measured_text(bound: Bound, estimate: float, interval: Sequence[float], n: int) -> str:
    """A measurement, say "12 % [5 %, 25 %] of 40", "+12 points [-3, +25] of 40" or "no counterexamples in 299
    (leaves 0.997 % open)"."""
    unit = unit_of(bound)
    low, high = (number_text(unit, end).removesuffix(" points") for end in interval)
    if unit == "counterexamples":
        failures = round(estimate * n)
        return f"{failures or 'no'} counterexample{'s' * (failures != 1)} in {n} (leaves {high} open)"
    return f"{number_text(unit, estimate)} [{low}, {high}] of {n}"
