"""The requirements of a rule: in words, as numbers, and as places on an axis."""

from __future__ import annotations

from dataclasses import dataclass

from vsg_core.judge.rules import Rule
from vsg_core.wording import exact_text, in_unit, limit_text, margin_text, number_text


def thresholds(rule: Rule) -> list[float]:
    """Return the places of the rule's limits on the axis of the estimate."""
    return [-rule.limit, rule.limit] if rule.side == "within" else [rule.limit]


def wanted(rule: Rule) -> str:
    """Say where the whole interval must be for the claim to hold: "above 50 %"."""
    return limit_text(rule.side, rule.limit, rule.unit)


def share_text(rule: Rule, share: float | None, value_unit: str = "") -> str:
    """Return the share of trials on the claim's side, "71 % of trials above 0"; empty unless values are averaged."""
    if share is None:
        return ""
    return f"{number_text(share, 'percent')} of trials {in_unit(wanted(rule), rule.unit, value_unit)}"


@dataclass(frozen=True)
class Terms:
    """A rule as the page explains it."""

    rule: Rule

    @property
    def confidence(self) -> str:
        """The confidence of the interval that is compared with the limit: "95 %"."""
        return exact_text(1 - self.rule.interval_alpha, "percent")

    @property
    def limit(self) -> str:
        """The limit in numbers: "above 50 %"."""
        return wanted(self.rule)

    @property
    def sentence(self) -> str:
        """One sentence: when the claim holds, is refuted, is inconclusive and, if the rule has a margin, negligible."""
        if self.rule.kind == "always":
            return (
                f"One counterexample refutes it. Without any, it holds once the {self.confidence} interval leaves "
                f"{self.limit} of cases open; until then it is inconclusive."
            )
        holds = f"Holds if the whole {self.confidence} interval of the {self._measured} is {self.limit}"
        if self.rule.side == "within":
            return f"{holds}, is refuted if all of it is outside, and is inconclusive if it includes an end."
        other = "below" if self.rule.side == "above" else "above"
        decided = (
            f"{holds}, is refuted if all of it is {other}, and is inconclusive if it includes the limit."
        )
        if self.rule.matters is None:
            return decided
        narrow = exact_text(1 - 2 * self.rule.alpha, "percent")
        return f"{decided} Before any of these, it is negligible if the whole {narrow} interval is {self._too_small}."

    @property
    def numbers(self) -> dict[str, str]:
        """The same as numbers, by name."""
        trials = {} if self.rule.kind == "always" else {"Trials": f"at least {self.rule.trials}"}
        alpha = exact_text(self.rule.alpha, "number")
        small = {} if self.rule.matters is None else {"Negligible": self._too_small}
        return {"Threshold": self.limit, "Interval": self.confidence, **small, **trials, "Alpha": alpha}

    @property
    def _too_small(self) -> str:
        """The range in which an effect is too small to matter: "within ±0.04 of the limit"."""
        return f"within {margin_text(self.rule.matters or 0.0, self.rule.unit)} of the limit"

    @property
    def _measured(self) -> str:
        what = "mean value" if self.rule.unit == "number" else "rate of success"
        return f"{what} minus that of “{self.rule.over}”" if self.rule.over else what
