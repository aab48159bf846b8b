"""The rules a claim may state, and the judge that applies a claim's rules to its evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vsg_core.judge.intervals import Interval
from vsg_core.judge.rule_base import Arms, Measure, Rule
from vsg_core.judge.rule_kinds import Always, Difference, Equivalence, Rate
from vsg_core.judge.trials import Evidence, JudgingError, Trial
from vsg_core.wording import measured_text

if TYPE_CHECKING:
    from vsg_core.judge.claims import Claim

__all__ = ["Judgement", "JudgingError", "Rule", "always", "difference", "equivalence", "judge", "rate"]

NOT_APPLICABLE = "not applicable"  # how the reason of a "not run" begins that is a finding about the model
Row = dict[str, Any]


def rate(
    *, above: float | None = None, below: float | None = None, trials: int = 40, alpha: float = 0.05,
    over: str | None = None,
) -> Rule:  # fmt: skip
    """The rate of success lies above (or below) a bound; with `over`, the rate minus that of another arm.

    Clustered trials count as one unit with the mean of their successes.
    """
    return Rate(above=above, below=below, trials=trials, alpha=alpha, over=over)


def difference(
    *, above: float | None = None, below: float | None = None, trials: int = 40, alpha: float = 0.05
) -> Rule:
    """The mean of the values, one paired difference a trial, lies above (or below) a bound."""
    return Difference(above=above, below=below, trials=trials, alpha=alpha)


def equivalence(*, within: float, trials: int = 40, alpha: float = 0.05) -> Rule:
    """The mean of the values lies within `within` of zero, by two one-sided tests."""
    return Equivalence(within=within, trials=trials, alpha=alpha)


def always(*, open_rate: float = 0.01, alpha: float = 0.05) -> Rule:
    """Every trial succeeds: one counterexample refutes. Without any it holds once the trials leave open at
    most a rate of `open_rate`, 299 trials for 1 %. The estimate is the rate of counterexamples."""
    return Always(open_rate=open_rate, alpha=alpha)


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on.

    Args:
        verdict: "holds", "refuted", "inconclusive" or "not run".
        estimate, interval, n: of the main arm; None where the verdict is "not run".
        reason: the measurement against the rule, in one line.
        controls: one dict an arm: name, kind ("positive control", "control" or "comparison"), rule, estimate,
            interval (may be None), n, verdict and trials; a comparison has neither rule nor verdict.
    """

    verdict: str
    estimate: float | None
    interval: Interval | None
    n: int | None
    reason: str
    controls: list[Row] = field(default_factory=list)

    def _repr_html_(self) -> str:
        from vsg_core.markup.notebook import judgement_html

        return judgement_html(self.verdict, self.reason, self.controls)


def judge(claim: Claim, evidence: Evidence | Sequence[Trial]) -> Judgement:
    """Apply the rules of a claim to its evidence.

    Positive controls come first: where one does not hold, the claim does not apply to the model: *not run*.
    A control that does not hold turns *holds* into *inconclusive*; *refuted* stays.

    Raises:
        JudgingError: nothing can be concluded: an arm is empty, missing, undeclared or too small, a value is
            missing or NaN, or all values of a mean are the same.
    """
    try:
        return _judge(claim, Evidence.of(evidence))
    except JudgingError as error:
        raise JudgingError(f"claim {claim.id}: {error}") from None


def _judge(claim: Claim, evidence: Evidence) -> Judgement:
    arms = evidence.controls
    undeclared = sorted(set(arms) - set(claim.arms))
    if undeclared:
        raise JudgingError(f"arm {undeclared[0]!r} is not declared: add it to the claim's comparisons, say")

    rows, missed = _judge_controls("positive control", claim.positive_controls, arms)
    if missed:
        return Judgement("not run", None, None, None, f"{NOT_APPLICABLE}: {'; '.join(missed)}", rows)

    control_rows, missed = _judge_controls("control", claim.controls, arms)
    rows += control_rows + [_compare(name, claim.rule, arms) for name in claim.comparisons]
    rule = claim.rule
    measure, interval = _measure(rule, evidence.trials, arms, "the claim's own trials")
    verdict = rule.verdict(interval)
    reason = f"{measured_text(rule.bound, measure.estimate, interval, measure.n)}, rule: {rule.needs}"
    if isinstance(rule, Always) and verdict == "refuted":
        example = next(trial for trial in evidence.trials if not trial.success)
        reason += f"; counterexample: {example.prompt[:200]!r}"
    if verdict == "holds" and missed:
        verdict, reason = "inconclusive", f"{reason}; but {'; '.join(missed)}"
    return Judgement(verdict, measure.estimate, interval, measure.n, reason, rows)


def _judge_controls(kind: str, rules: Mapping[str, Rule], arms: Arms) -> tuple[list[Row], list[str]]:
    """A row for each control, and a sentence for each that does not hold."""
    rows, missed = [], []
    for name, rule in rules.items():
        trials = _arm(name, arms)
        measure, interval = _measure(rule, trials, arms, f"{kind} {name!r}")
        verdict = rule.verdict(interval)
        rows.append(_row(name, kind, rule.text, measure, verdict, trials))
        if verdict != "holds":
            found = measured_text(rule.bound, measure.estimate, interval, measure.n)
            missed.append(f"{kind} {name!r}: {found}, needs {rule.needs}")
    return rows, missed


def _compare(name: str, rule: Rule, arms: Arms) -> Row:
    """A row for an arm without a rule: its own rate or mean, whichever the rule of the claim looks at."""
    trials = _arm(name, arms)
    return _row(name, "comparison", None, rule.describe(trials, f"comparison {name!r}"), None, trials)


def _row(
    name: str, kind: str, rule: str | None, measure: Measure, verdict: str | None, trials: Sequence[Trial]
) -> Row:
    return {
        "name": name, "kind": kind, "rule": rule, "estimate": measure.estimate, "interval": measure.interval,
        "n": measure.n, "verdict": verdict, "trials": trials,
    }  # fmt: skip


def _arm(name: str, arms: Arms) -> Sequence[Trial]:
    if name not in arms:
        raise JudgingError(f"no trials of {name!r}: return Evidence(trials, {{{name!r}: [...]}})")
    return arms[name]


def _measure(rule: Rule, trials: Sequence[Trial], arms: Arms, arm: str) -> tuple[Measure, Interval]:
    """The measure, with an interval that a verdict may rest on."""
    try:
        measure = rule.measure(trials, arms, arm)
    except OverflowError:
        raise JudgingError(f"{arm}: the values are too large to average") from None
    if measure.n < rule.trials:
        raise JudgingError(f"{arm}: {measure.n} independent trials, the rule needs {rule.trials}")
    if measure.interval is None:
        raise JudgingError(
            f"{arm}: all {measure.n} values are {measure.estimate:g}: a mean of these has no interval; "
            "for an exact law state the rule as always()"
        )
    if not all(math.isfinite(end) for end in measure.interval):
        raise JudgingError(f"{arm}: the interval is {measure.interval}: the values are too large to average")
    return measure, measure.interval
