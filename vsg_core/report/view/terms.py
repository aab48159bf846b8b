"""A rule in full, read from a record: its bound, its numbers, and what it asks in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsg_core.report.view.measures import number
from vsg_core.wording import Bound, unit_of

# As Rule.text writes it: "rate above 50 % more than 'noise', at least 40 trials, alpha 0.05"
_TEXT = re.compile(
    r"(?P<kind>rate|difference|equivalence) (?P<side>above|below|within) (?P<limit>-?[\d.]+(?:e[-+]?\d+)?)"
    r"(?P<percent> %)?(?: more than (?P<quote>['\"])(?P<over>.*)(?P=quote))?, at least (?P<trials>\d+) trials"
)
_ALWAYS = re.compile(r"always: no counterexample, and at most (?P<limit>[\d.]+(?:e[-+]?\d+)?) % left open")
# What an estimate of each unit is, as a heading
UNIT_NAMES = {
    "percent": "rate",
    "points": "difference of rates",
    "number": "mean",
    "counterexamples": "counterexamples",
}


def bound_of(rule: str) -> dict[str, Any] | None:
    """The bound that a rule's text names, as a record keeps it; None where it is no such text."""
    if found := _ALWAYS.match(rule):
        return {"kind": "always", "over": None, "open_rate": float(found["limit"]) / 100}
    found = _TEXT.match(rule)
    if not found:
        return None
    limit = float(found["limit"]) / (100 if found["percent"] else 1)
    return {"kind": found["kind"], "over": found["over"], found["side"]: limit}


def unit_of_arm(arm: Mapping[str, Any], bound: Bound) -> str:
    """The unit of a control or comparison in a record whose claim is judged by `bound`.

    A comparison has no rule and is measured by itself as the claim's own rule would.
    """
    return unit_of(bound_of(arm["rule"] or "") or {"kind": bound["kind"]})


@dataclass(frozen=True)
class Terms:
    """What a claim's own rule asks; `trials` and `alpha` are None where its text does not tell them."""

    bound: Bound
    trials: int | None
    alpha: float | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Terms:
        own = record["rule"].partition("; ")[0]
        trials, alpha = re.search(r"at least (\d+) trials", own), re.search(r"alpha (0?\.\d+)", own)
        return cls(record["bound"], trials and int(trials[1]), alpha and float(alpha[1]))

    @property
    def confidence(self) -> str:
        """Of the interval, say "95 %": equivalence and always look at both sides at alpha each."""
        if self.alpha is None:
            return ""
        each = 2 * self.alpha if self.bound["kind"] in ("equivalence", "always") else self.alpha
        return f"{100 * (1 - each):.4g} %"

    @property
    def limit(self) -> str:
        """The bound in numbers: above 50 %."""
        words = {"above": "above ", "below": "below ", "within": "within ±", "open_rate": "at most "}
        return next(
            (w + number(self.bound[k], unit_of(self.bound)) for k, w in words.items() if k in self.bound), ""
        )

    @property
    def sentence(self) -> str:
        """When the claim holds, is refuted, is inconclusive; empty for a bound of no known kind."""
        interval = f"{self.confidence} interval" if self.confidence else "interval"
        if "open_rate" in self.bound:
            return (
                f"One counterexample refutes it. Without any it holds once the {interval} leaves "
                f"{self.limit} of cases open, and is inconclusive before."
            )
        what = {"number": "mean value"}.get(unit_of(self.bound), "rate of success")
        if self.bound.get("over"):
            what += f", less that of “{self.bound['over']}”,"
        holds = f"Holds when the whole {interval} of the {what} lies {self.limit}"
        if "within" in self.bound:
            return f"{holds}, is refuted when it all lies outside, and is inconclusive when it lies across an end."
        other = next((o for key, o in (("above", "below"), ("below", "above")) if key in self.bound), "")
        return (
            other
            and f"{holds}, is refuted when it all lies {other}, and is inconclusive when it lies across."
        )

    @property
    def numbers(self) -> dict[str, str]:
        """The same as numbers, by name."""
        found = {
            "Threshold": self.limit,
            "Interval": self.confidence,
            "Trials": f"at least {self.trials}" if self.trials else "",
            "Alpha": f"{self.alpha:g}" if self.alpha else "",
        }
        return {name: text for name, text in found.items() if text}
