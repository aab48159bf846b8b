"""Measured numbers in words, the same in verdicts and recorded verdicts; the page has its own (report.measures)."""

from __future__ import annotations

from collections.abc import Sequence


def number_text(kind: str, number: float, digits: int = 3) -> str:
    """A number under a rule of that kind: a rate in percent, any other as it is."""
    if kind in ("rate", "always"):
        return f"{100 * number + 0.0:.{digits}g} %"
    return f"{number + 0.0:.{digits}g}"  # + 0.0 turns -0.0 into 0.0


def measured_text(kind: str, estimate: float, interval: Sequence[float], n: int) -> str:
    """A measurement, say "12 % [5 %, 25 %] of 40" or "no counterexamples in 299 (leaves 0.997 % open)"."""
    low, high = (number_text(kind, end) for end in interval)
    if kind == "always":
        failures = round(estimate * n)
        return f"{failures or 'no'} counterexample{'s' * (failures != 1)} in {n} (leaves {high} open)"
    return f"{number_text(kind, estimate)} [{low}, {high}] of {n}"
