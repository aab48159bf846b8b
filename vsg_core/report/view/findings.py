"""The result of a claim over its models, and the findings farthest from what was reported.

A claim restates a reported result as a falsifiable sentence, so the distance between finding and report is how far the
interval is beyond the rule's threshold. Rates and means share the scale of effect sizes: Cohen's h for rates, the
difference of two arcsines; Cohen's d for means, in standard deviations of the values (J. Cohen, Statistical Power
Analysis for the Behavioral Sciences, 1988). If the source reported the opposite of the claim
(`reported_verdict` is "refuted"), the sign is reversed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from vsg_core.records.record import Interval, Record
from vsg_core.vocabulary import Verdict

Standing = Literal["holds", "refuted", "divided", "negligible", "undecided", "not run"]

STANDINGS: dict[Standing, str] = {
    "holds": "holds on at least one model, refuted on none",
    "refuted": "refuted on at least one model, holds on none",
    "divided": "holds on some models, refuted on others",
    "negligible": "negligible on at least one model, holds or is refuted on none",
    "undecided": "inconclusive on every model it was run on",
    "not run": "no verdict on any model",
}


def standing(verdicts: Iterable[Verdict]) -> Standing:
    """Summarise a claim with these verdicts on its models as one of STANDINGS."""
    distinct = set(verdicts)
    if {"holds", "refuted"} <= distinct:
        return "divided"
    if "holds" in distinct:
        return "holds"
    if "refuted" in distinct:
        return "refuted"
    if "negligible" in distinct:
        return "negligible"
    return "undecided" if "inconclusive" in distinct else "not run"


def distance(records: Sequence[Record]) -> float:
    """Return how far a claim's findings are from what was reported: the mean over the models that gave a verdict.

    Positive if they contradict it, negative if they agree, 0 if nothing was decided.
    """
    judged = [record for record in records if record.verdict != "not run"]
    if not judged:
        return 0.0
    gaps = [beyond(record) if record.verdict in ("holds", "refuted") else 0.0 for record in judged]
    sign = -1 if judged[0].claim.reported_verdict == "refuted" else 1
    return sign * math.fsum(gaps) / len(gaps)


def beyond(record: Record) -> float:
    """Return the effect size from the threshold to the nearer end of the interval.

    Positive if the interval is on the side that refutes, negative if on the claim's side, 0 if it includes the
    threshold.
    """
    interval = record.evidence.interval
    if interval is None:
        return 0.0
    match record.claim.rule.side:
        case "within":
            return _beyond_margin(record, interval)
        case "at most":
            return _beyond_open_rate(record.claim.rule.limit, interval)
        case "above":
            return -_past_limit(record, interval)
        case "below":
            return _past_limit(record, interval)


def _past_limit(record: Record, interval: Interval) -> float:
    """The effect size by which the whole interval is above the limit (positive) or below it (negative), else 0."""
    low, high = interval
    limit = record.claim.rule.limit
    if low > limit:
        return abs(_effect(record, interval, low, limit))
    if high < limit:
        return -abs(_effect(record, interval, high, limit))
    return 0.0


def _beyond_margin(record: Record, interval: Interval) -> float:
    low, high = interval
    margin, spread = record.claim.rule.limit, _spread(record, interval)
    outside = max(low - margin, -margin - high, 0.0)
    return (outside or -max(min(low + margin, margin - high), 0.0)) / spread


def _beyond_open_rate(open_rate: float, interval: Interval) -> float:
    low, high = interval
    return _cohens_h(low, 0.0) if low > 0 else -max(_cohens_h(open_rate, high), 0.0)


def _effect(record: Record, interval: Interval, value: float, limit: float) -> float:
    """The effect size between two values of the claim's measure.

    A difference of rates is measured from the rate of the other arm.
    """
    rule = record.claim.rule
    if rule.kind != "rate":
        return (value - limit) / _spread(record, interval)
    other = next((arm for arm in record.evidence.arms if arm.name == rule.over), None)
    base = (other.estimate or 0.0) if other else 0.0
    return _cohens_h(base + value, base + limit)


def _cohens_h(rate: float, other: float) -> float:
    """Cohen's effect size of a rate against another; statsmodels has it too, but takes a second to import."""
    first, second = (2 * math.asin(math.sqrt(min(max(each, 0.0), 1.0))) for each in (rate, other))
    return first - second


def _spread(record: Record, interval: Interval) -> float:
    """The standard deviation of the values, from the interval of their mean, about 4 standard errors wide."""
    low, high = interval
    return max((high - low) / 4 * math.sqrt(record.evidence.n or 1), 1e-12)
