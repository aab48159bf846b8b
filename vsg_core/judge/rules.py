"""The rules a claim may state. A rule is data: what is measured, and where its interval must lie.

A rule is applied to a confidence interval, never to a point: the claim *holds* when the whole interval lies on its
side of the limit, is *refuted* when the whole interval lies on the other, and is *inconclusive* otherwise.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from vsg_core.errors import WrongUse
from vsg_core.vocabulary import RuleKind, Side
from vsg_core.wording import Unit, bound_text

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
    def needs(self) -> str:
        """The bound in words: above 50 %."""
        return bound_text(self.side, self.limit, self.unit, self.over)

    @property
    def text(self) -> str:
        """The whole rule in words, for people to read; nothing compares it."""
        trials = "" if self.kind == "always" else f", at least {self.trials} trials"
        return f"{self.kind} {self.needs}{trials}, alpha {self.alpha:g}"

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
) -> Rule:
    """The rate of success lies above (or below) a limit; with `over`, the rate minus that of another arm.

    Clustered trials count as one unit with the mean of their successes.
    """
    return _one_sided("rate", above, below, over=over, trials=trials, alpha=alpha)


def difference(
    *, above: float | None = None, below: float | None = None, trials: int = 40, alpha: float = 0.05
) -> Rule:
    """The mean of the values, one paired difference per trial, lies above (or below) a limit."""
    return _one_sided("difference", above, below, over=None, trials=trials, alpha=alpha)


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


def more(*, than: float = 0.0, trials: int = 40) -> Rule:
    """The mean of the values lies above `than`."""
    return difference(above=than, trials=trials)


def less(*, than: float = 0.0, trials: int = 40) -> Rule:
    """The mean of the values lies below `than`."""
    return difference(below=than, trials=trials)


def rules_digest(rule: Rule, positive_controls: Mapping[str, Rule], controls: Mapping[str, Rule]) -> str:
    """A digest of everything a verdict is judged by: equal digests, and only these, judge alike."""
    judged_by = [
        asdict(rule),
        *({name: asdict(arm) for name, arm in arms.items()} for arms in (positive_controls, controls)),
    ]
    return hashlib.sha256(json.dumps(judged_by, sort_keys=True).encode()).hexdigest()[:16]


def _one_sided(
    kind: RuleKind, above: float | None, below: float | None, *, over: str | None, trials: int, alpha: float
) -> Rule:
    if above is not None and below is None:
        return Rule(kind=kind, side="above", limit=float(above), over=over, trials=trials, alpha=alpha)
    if below is not None and above is None:
        return Rule(kind=kind, side="below", limit=float(below), over=over, trials=trials, alpha=alpha)
    raise WrongUse(f"{kind}(above={above!r}, below={below!r}): give exactly one of them")


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
