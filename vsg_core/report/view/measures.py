"""How a measured number reads, by the kind of rule that judged it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vsg_core.wording import Bound, decimals, unit_of


def number(value: float, unit: str, width: float | None = None) -> str:
    """62 %, +12 points, −0.031.

    Args:
        width: of the interval around the value: values get as many decimals as leave it two digits, else
            three digits in all. Percents are whole; next to 0 and 100 they get the decimals that tell them apart.
    """
    if unit != "number":
        percent = 100 * value
        text = f"{percent:.{decimals(percent)}f}"
    elif width and 1e-5 < width < 1e5:
        text = f"{value:.{max(0, 1 - math.floor(math.log10(width)))}f}"
    else:
        text = f"{value:.3g}"
    text = text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
    if unit == "points":
        return f"{'+' if percent > 0 and text != '0' else ''}{text} points"
    return text if unit == "number" else f"{text} %"


def several(count: int, one: str, many: str = "") -> str:
    """1 claim, 4 claims."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def interval(ends: Sequence[float] | None, unit: str) -> str:
    """[50 %, 74 %]; empty without an interval. Points are named by the estimate in front of it."""
    if ends is None:
        return ""
    low, high = (number(end, unit, ends[1] - ends[0]).removesuffix(" points") for end in ends)
    return f"[{low}, {high}]"


def estimate(measured: Mapping[str, Any], unit: str) -> str:
    """The estimate of a record, a control or a recorded verdict; empty when nothing was measured.

    A universal claim reads "none in 300", or "3 of 57" when there are counterexamples.
    """
    value, ends = measured["estimate"], measured["interval"]
    if value is None:
        return ""
    if unit == "counterexamples" and measured["n"]:
        found = round(value * measured["n"])
        return f"{found} of {measured['n']}" if found else f"none in {measured['n']}"
    return number(value, unit, ends[1] - ends[0] if ends else None)


def thresholds(bound: Bound) -> list[float]:
    """Where the rule's bounds lie on the axis of the estimate."""
    if "within" in bound:
        return [-bound["within"], bound["within"]]
    return [bound[key] for key in ("above", "below", "open_rate") if key in bound]


def wanted(bound: Bound) -> str:
    """Where the whole interval must lie for the claim to hold, in words for an axis."""
    words = {"above": "above ", "below": "below ", "within": "within ±", "open_rate": "up to "}
    return next(
        (word + number(bound[key], unit_of(bound)) for key, word in words.items() if key in bound), ""
    )
