"""The rules a claim may state. A rule is data: what is measured, and where its interval must lie.

A rule is applied to a confidence interval, never to a point: the claim *holds* when the whole interval lies on its
side of the limit, is *refuted* when the whole interval lies on the other, and is *inconclusive* otherwise. A rule that
names the smallest effect that matters has a fourth outcome, *negligible*, which takes precedence: the effect differs
from the limit by less than that.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from vsg_core.errors import WrongUse
from vsg_core.vocabulary import Protects, RuleKind, Side
from vsg_core.wording import Unit, bound_text, margin_text

# With fewer values everything depends on their being normal.
FEWEST_FOR_T = 10


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition that the trials of an arm must meet.

    Two rules are the same when all of this is the same.
    """

    kind: RuleKind
    """What is measured: a rate of successes, the mean of paired differences, the mean of values, or whether
    *every* trial succeeds."""

    side: Side
    """Where the whole interval must lie: above or below the limit, within ± the limit, or (always) at most at it."""

    limit: float
    """The limit itself; rates are 0 to 1. Of always: the rate of counterexamples that may be left open."""

    over: str | None = None
    """The arm whose rate is subtracted before comparing with the limit; null for the rate itself."""

    trials: int = 40
    """The fewest independent units; fewer is an error, never a verdict."""

    alpha: float = 0.05
    """Rate and difference use the interval of confidence 1 - alpha, and err alpha / 2 on each side; equivalence and
    always use that of confidence 1 - 2 alpha, and err alpha."""

    matters: float | None = None
    """The smallest effect that matters, as a distance from the limit and in its unit: the claim is negligible when the
    interval of confidence 1 - 2 alpha lies within it. Only of a difference and of a rate over another arm; null where
    the rule names none."""

    def __post_init__(self) -> None:
        if isinstance(self.trials, bool) or not isinstance(self.trials, int) or self.trials < 1:
            raise WrongUse(f"trials is {self.trials!r}: give a whole number from 1 up")
        if not 0 < self.alpha < 0.5:
            raise WrongUse(f"alpha is {self.alpha!r}: give a number between 0 and 0.5, usually 0.05")
        if isinstance(self.limit, bool) or not math.isfinite(self.limit):
            raise WrongUse(f"{self.kind}: the limit is {self.limit!r}: give a number")
        # 1 and 1.0, 0.0 and -0.0 are one limit: they must give one digest.
        object.__setattr__(self, "limit", float(self.limit) + 0.0)
        object.__setattr__(self, "alpha", float(self.alpha))
        if self.matters is not None:
            object.__setattr__(self, "matters", _checked_margin(self))
        _CHECKS[self.kind](self)

    @property
    def unit(self) -> Unit:
        """The unit of the estimate."""
        if self.kind == "rate":
            return "points" if self.over else "percent"
        return "counterexamples" if self.kind == "always" else "number"

    def arm_unit(self, arm_rule: Rule | None) -> Unit:
        """The unit of another arm of a claim with this rule; one without a rule is measured by itself."""
        if arm_rule is not None:
            return arm_rule.unit
        return "percent" if self.kind == "rate" else self.unit

    @property
    def margin(self) -> tuple[float, float] | None:
        """The ends of the range around the limit in which an effect is too small to matter; None if it names none."""
        return None if self.matters is None else (self.limit - self.matters, self.limit + self.matters)

    @property
    def needs(self) -> str:
        """The bound in words: above 50 %."""
        return bound_text(self.side, self.limit, self.unit, self.over)

    @property
    def text(self) -> str:
        """The whole rule in words, for people to read; nothing compares it."""
        trials = "" if self.kind == "always" else f", at least {self.trials} trials"
        margin = (
            ""
            if self.matters is None
            else f", negligible within {margin_text(self.matters, self.unit)} of it"
        )
        return f"{self.kind} {self.needs}{margin}{trials}, alpha {self.alpha:g}"

    @property
    def interval_alpha(self) -> float:
        """1 minus the confidence of the interval that is compared with the limit.

        Two one-sided tests at alpha are the interval of confidence 1 - 2 alpha (D. J. Schuirmann, 1987).
        """
        return 2 * self.alpha if self.kind in ("equivalence", "always") else self.alpha

    @property
    def trials_to_hold(self) -> int:
        """The number of trials without a counterexample that *always* needs: 299 for 1 % at alpha 0.05."""
        return math.ceil(math.log(self.alpha) / math.log1p(-self.limit))


def rate(
    *,
    above: float | None = None,
    below: float | None = None,
    trials: int = 40,
    alpha: float = 0.05,
    over: str | None = None,
    matters: float | None = None,
) -> Rule:
    """The rate of success lies above (or below) a limit; with `over`, the rate minus that of another arm.

    Clustered trials count as one unit with the mean of their successes.

    Args:
        matters: with `over`, the smallest difference from the limit that matters, 0.05 for 5 points; smaller ones
            are *negligible*.

    Raises:
        WrongUse: an argument is out of range, or `matters` is given without `over`.
    """
    return _one_sided("rate", above, below, over=over, trials=trials, alpha=alpha, matters=matters)


def difference(
    *,
    above: float | None = None,
    below: float | None = None,
    trials: int = 40,
    alpha: float = 0.05,
    matters: float | None = None,
) -> Rule:
    """The mean of the values, one paired difference per trial, lies above (or below) a limit.

    Args:
        matters: the smallest difference from the limit that matters, in the unit of the values; smaller ones are
            *negligible*.
    """
    return _one_sided("difference", above, below, over=None, trials=trials, alpha=alpha, matters=matters)


def equivalence(*, within: float, trials: int = 40, alpha: float = 0.05) -> Rule:
    """The mean of the values lies within `within` of zero, by two one-sided tests."""
    return Rule(kind="equivalence", side="within", limit=float(within), trials=trials, alpha=alpha)


def always(*, open_rate: float = 0.01, alpha: float = 0.05) -> Rule:
    """Every trial succeeds: one counterexample refutes.

    Without any, the claim holds once the trials leave at most a rate of `open_rate` open: 299 trials for 1 %. The
    estimate is the rate of counterexamples.
    """
    return Rule(kind="always", side="at most", limit=float(open_rate), trials=1, alpha=alpha)


def mostly(*, trials: int = 40) -> Rule:
    """More than half of the trials succeed."""
    return rate(above=0.5, trials=trials)


def nearly_always(*, trials: int = 40) -> Rule:
    """More than 9 in 10 trials succeed."""
    return rate(above=0.9, trials=trials)


def sometimes(*, trials: int = 40) -> Rule:
    """More than 1 in 10 trials succeed."""
    return rate(above=0.1, trials=trials)


def not_mostly(*, trials: int = 40) -> Rule:
    """Fewer than half of the trials succeed."""
    return rate(below=0.5, trials=trials)


def rarely(*, trials: int = 40) -> Rule:
    """Fewer than 1 in 10 trials succeed."""
    return rate(below=0.1, trials=trials)


def cannot(*, over: str, trials: int = 100) -> Rule:
    """The rate is less than 5 points above that of the arm `over`, which shows what chance reaches."""
    return rate(below=0.05, over=over, trials=trials)


def more(*, than: float = 0.0, trials: int = 40, matters: float | None = None) -> Rule:
    """The mean of the values lies above `than`; see `difference` for `matters`."""
    return difference(above=than, trials=trials, matters=matters)


def less(*, than: float = 0.0, trials: int = 40, matters: float | None = None) -> Rule:
    """The mean of the values lies below `than`; see `difference` for `matters`."""
    return difference(below=than, trials=trials, matters=matters)


def rules_digest(
    rule: Rule,
    positive_controls: Mapping[str, Rule],
    controls: Mapping[str, Rule],
    protects: Mapping[str, Protects] = MappingProxyType({}),
) -> str:
    """A digest of everything a verdict is judged by: equal digests, and only these, judge alike.

    Args:
        protects: what each control guards, by name; one without an entry guards *holds*.
    """
    guarding = {name: guarded for name, guarded in protects.items() if guarded != "holds"}
    judged_by = [
        _digested(rule),
        *({name: _digested(arm) for name, arm in arms.items()} for arms in (positive_controls, controls)),
        *([guarding] if guarding else []),
    ]
    return hashlib.sha256(json.dumps(judged_by, sort_keys=True).encode()).hexdigest()[:16]


def _digested(rule: Rule) -> dict[str, Any]:
    """The fields of a rule; without a smallest effect, those from before rules could name one."""
    fields = asdict(rule)
    if rule.matters is None:
        del fields["matters"]
    return fields


def _one_sided(
    kind: RuleKind,
    above: float | None,
    below: float | None,
    *,
    over: str | None,
    trials: int,
    alpha: float,
    matters: float | None,
) -> Rule:
    sides: dict[Side, float | None] = {"above": above, "below": below}
    given = [(side, limit) for side, limit in sides.items() if limit is not None]
    if len(given) != 1:
        raise WrongUse(f"{kind}(above={above!r}, below={below!r}): give exactly one of them")
    ((side, limit),) = given
    return Rule(
        kind=kind,
        side=side,
        limit=float(limit),
        over=over,
        trials=trials,
        alpha=alpha,
        matters=matters,
    )


def _check_rate(rule: Rule) -> None:
    _check_side(rule, "above", "below")
    if rule.over is not None:
        if not -1 < rule.limit < 1:
            raise WrongUse(f"rate over {rule.over!r}: the limit is {rule.limit!r}: give -1 to 1")
        return
    if not 0 < rule.limit < 1:
        raise WrongUse(f"rate: the limit is {rule.limit!r}: give one inside 0 and 1, which data can refute")
    # The Clopper-Pearson ends at n of n and 0 of n have a closed form: beyond them no data can decide.
    needed = math.floor(math.log(rule.alpha / 2) / math.log(max(rule.limit, 1 - rule.limit))) + 1
    if rule.trials < needed:
        raise WrongUse(
            f"rate {rule.needs}: {rule.trials} trials cannot both hold and refute: give trials={needed}"
        )


def _check_difference(rule: Rule) -> None:
    _check_side(rule, "above", "below")
    _check_trials_for_t(rule)


def _check_equivalence(rule: Rule) -> None:
    _check_side(rule, "within")
    _check_trials_for_t(rule)
    if not rule.limit > 0:
        raise WrongUse(f"equivalence(within={rule.limit!r}): give a margin above 0")


def _check_always(rule: Rule) -> None:
    _check_side(rule, "at most")
    if not 0 < rule.limit < 1:
        raise WrongUse(f"always(open_rate={rule.limit!r}): give a rate between 0 and 1")


def _checked_margin(rule: Rule) -> float:
    """The smallest effect that matters, as a float.

    Raises:
        WrongUse: the rule can have none, or it is not a distance.
    """
    matters = rule.matters
    if rule.kind != "difference" and rule.over is None:
        raise WrongUse(
            f"{rule.kind}: matters is {matters!r}: only a difference and a rate over another arm have a smallest "
            "effect that matters"
        )
    if isinstance(matters, bool) or not isinstance(matters, (int, float)):
        raise WrongUse(
            f"{rule.kind}: matters is {matters!r}: give a number above 0, in the unit of the limit"
        )
    if not 0 < matters < (1 if rule.kind == "rate" else math.inf):
        top = ", and below 1 for a difference of rates" if rule.kind == "rate" else ""
        raise WrongUse(
            f"{rule.kind}: matters is {matters!r}: give a number above 0{top}, in the unit of the limit"
        )
    return float(matters)


def _check_side(rule: Rule, *sides: Side) -> None:
    if rule.side not in sides:
        raise WrongUse(f"{rule.kind}: the side is {rule.side!r}: give {' or '.join(sides)}")


def _check_trials_for_t(rule: Rule) -> None:
    if rule.trials < FEWEST_FOR_T:
        raise WrongUse(f"{rule.kind} with trials={rule.trials}: a t interval needs {FEWEST_FOR_T} or more")


_CHECKS = {
    "rate": _check_rate,
    "difference": _check_difference,
    "equivalence": _check_equivalence,
    "always": _check_always,
}
