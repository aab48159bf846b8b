"""What a claim comes to over its models, and which findings lie farthest from what was reported.

A claim puts what was reported as a sentence that can be false, so a finding differs from the report by as much as
its interval lies beyond the rule's threshold. Rates and means share one scale, that of effect sizes: Cohen's h for
rates, the difference of two arcsines; Cohen's d for means, in standard deviations of the values (J. Cohen,
Statistical Power Analysis for the Behavioral Sciences, 1988). Where `reported` begins with "the opposite", what
holds is what differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vsg_core.wording import Bound

Record = Mapping[str, Any]

STANDINGS = {
    "holds": "holds on a model and is refuted on none",
    "refuted": "is refuted on a model and holds on none",
    "divided": "holds on some models and is refuted on others",
    "undecided": "was decided on no model",
    "not run": "could be asked of no model",
}


def standing(verdicts: Iterable[str]) -> str:
    """One of STANDINGS, of a claim with these verdicts on its models."""
    found = set(verdicts)
    if {"holds", "refuted"} <= found:
        return "divided"
    return next(
        (v for v in ("holds", "refuted") if v in found), "undecided" if "inconclusive" in found else "not run"
    )


def distance(records: Sequence[Record]) -> float:
    """How far one claim's findings are from what was reported: the mean over the models that gave a verdict.

    Positive when they contradict it, negative when they agree, 0 when nothing was decided.
    """
    judged = [record for record in records if record["verdict"] != "not run"]
    if not judged:
        return 0.0
    gaps = [beyond(record) if record["verdict"] in ("holds", "refuted") else 0.0 for record in judged]
    opposite = judged[0]["reported"].strip().lower().startswith("the opposite")
    return (-1 if opposite else 1) * math.fsum(gaps) / len(gaps)


def beyond(record: Record) -> float:
    """The effect size from the threshold to the nearer end of the interval.

    Positive when the interval lies on the side that refutes, negative on the claim's side, 0 across.
    """
    bound, interval = record["bound"], record["interval"]
    if not interval:
        return 0.0
    low, high = interval
    if "within" in bound:
        margin, spread = bound["within"], _spread(record)
        outside = max(low - margin, -margin - high, 0.0)
        return (outside or -max(min(low + margin, margin - high), 0.0)) / spread
    if "open_rate" in bound:
        return _h(low) if low > 0 else -max(_h(bound["open_rate"]) - _h(high), 0.0)
    limit, sign = (bound["above"], 1) if "above" in bound else (bound["below"], -1)
    scale = _scale(record, bound)
    if sign * low > sign * limit and sign * high > sign * limit:
        return -abs(scale(low if sign > 0 else high) - scale(limit))
    if sign * low < sign * limit and sign * high < sign * limit:
        return abs(scale(high if sign > 0 else low) - scale(limit))
    return 0.0


def _scale(record: Record, bound: Bound) -> Any:
    """From the claim's numbers to effect sizes; a difference of rates is measured from the other arm's rate."""
    if bound["kind"] != "rate":
        spread = _spread(record)
        return lambda value: value / spread
    other = next((arm for arm in record["controls"] if arm["name"] == bound.get("over")), None)
    base = (other["estimate"] or 0.0) if other else 0.0
    return lambda value: _h(base + value)


def _h(rate: float) -> float:
    return 2 * math.asin(math.sqrt(min(max(rate, 0.0), 1.0)))


def _spread(record: Record) -> float:
    """The standard deviation of the values, from the interval of their mean: it is about 2 standard errors wide."""
    low, high = record["interval"]
    return max((high - low) / 4 * math.sqrt(record["n"] or 1), 1e-12)
