"""The judge: a claim's rules applied to its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsg_core.judge.arms import Arm, guards
from vsg_core.judge.claims import Claim
from vsg_core.judge.intervals import Interval
from vsg_core.judge.measures import (
    DECIDED,
    Arms,
    Measure,
    describe,
    judged_verdict,
    measure,
    smallest_alpha,
)
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import Evidence, JudgingError, Trial
from vsg_core.markup.notebook import judgement_html
from vsg_core.vocabulary import Verdict
from vsg_core.wording import (
    Unit,
    estimate_text,
    in_unit,
    interval_text,
    margin_text,
    measured_text,
    number_text,
)


@dataclass(frozen=True)
class JudgedArm:
    """A control or comparison with what it showed; a comparison has no verdict.

    Args:
        interval: None where the values of a comparison leave none.
        n: independent units.
        p_value: of a control, the smallest alpha at which its rule would hold.
        paired: whether its interval is that of pairs of units.
    """

    arm: Arm
    trials: Sequence[Trial]
    estimate: float
    interval: Interval | None
    n: int
    verdict: Verdict | None
    unit: Unit
    p_value: float | None = None
    paired: bool = False


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on.

    Args:
        verdict: "holds", "refuted", "negligible", "inconclusive" or "not run".
        estimate, interval, n: of the claim's own trials; None where the verdict is "not run".
        reason: the measurement against the rule in one line; of a claim that was not run, which positive control
            failed.
        arms: every other arm that was judged.
        p_value: the smallest alpha at which the verdict would still be given, as the alpha of the claim's rule and of
            the controls that guard the verdict. Of an inconclusive verdict: the smallest at which the verdict that
            the controls took away would be given, or else any verdict. Where all of these rules have the same alpha,
            a verdict is given exactly if its p-value is at most that alpha, so `holm` takes the p-values of all
            verdicts of a run, the inconclusive ones included. From 1e-12, which represents anything smaller, to 1;
            None where the verdict is "not run".
        share: the share of the claim's independent units whose own value is on its side of the limit; None unless
            the rule averages values.
    """

    verdict: Verdict
    estimate: float | None
    interval: Interval | None
    n: int | None
    reason: str
    arms: tuple[JudgedArm, ...] = ()
    p_value: float | None = None
    share: float | None = None

    def _repr_html_(self) -> str:
        rows = [
            {
                "role": judged.arm.role,
                "name": judged.arm.name,
                "rule": judged.arm.rule and judged.arm.rule.needs,
                "measured": f"{estimate_text(judged.estimate, judged.interval, judged.n, judged.unit)} "
                f"{interval_text(judged.interval, judged.unit)}".strip(),
                "n": judged.n,
                "verdict": judged.verdict,
            }
            for judged in self.arms
        ]
        return judgement_html(self.verdict, self.reason, rows)


def judge(claim: Claim, evidence: Evidence | Sequence[Trial]) -> Judgement:
    """Apply the rules of a claim to its evidence.

    Positive controls come first: where one does not hold, the claim does not apply to the model: *not run*.
    A control that does not hold turns the verdicts that it protects into *inconclusive*: *holds*, or *refuted* and
    *negligible*, or all three.

    Raises:
        JudgingError: nothing can be concluded: an arm is empty, missing, undeclared or too small, a value is
            missing or NaN, or all values of a mean are the same.
    """
    try:
        return _judge(claim, Evidence.of(evidence))
    except JudgingError as error:
        raise JudgingError(f"claim {claim.id}: {error}") from None


def _judge(claim: Claim, evidence: Evidence) -> Judgement:
    undeclared = sorted(set(evidence.arms) - {arm.name for arm in claim.arms})
    if undeclared:
        raise JudgingError(f"arm {undeclared[0]!r} is not declared: add it to the claim's comparisons, say")
    positive = [
        _judged(arm, evidence.arms, claim.rule) for arm in claim.arms if arm.role == "positive control"
    ]
    failed = [_failure(judged, claim) for judged in positive if judged.verdict != "holds"]
    if failed:
        return Judgement("not run", None, None, None, "; ".join(failed), tuple(positive))

    others = [_judged(arm, evidence.arms, claim.rule) for arm in claim.arms if arm.role != "positive control"]
    measured, interval = measure(claim.rule, evidence.trials, evidence.arms, "the claim's own trials")
    verdict = judged_verdict(claim.rule, measured)
    unit, value_unit = claim.rule.unit, claim.value_unit
    shown = measured_text(measured.estimate, interval, measured.n, unit, value_unit, paired=measured.paired)
    reason = f"{shown}, rule: {in_unit(claim.rule.needs, unit, value_unit)}"
    if verdict == "negligible":
        reason += f"; {_negligible(claim, measured)}"
    if claim.rule.kind == "always" and verdict == "refuted":
        example = next(trial for trial in evidence.trials if not trial.success)
        reason += f"; counterexample: {example.prompt[:200]!r}"
    failed = [
        _failure(judged, claim)
        for judged in others
        if judged.verdict not in ("holds", None) and guards(judged.arm.protects, verdict)
    ]
    if failed:
        verdict, reason = "inconclusive", f"{reason}; but {'; '.join(failed)}"
    return Judgement(
        verdict,
        measured.estimate,
        interval,
        measured.n,
        reason,
        (*positive, *others),
        _p_value(claim, measured, verdict, others),
        measured.share,
    )


def _p_value(claim: Claim, measured: Measure, verdict: Verdict, others: Sequence[JudgedArm]) -> float:
    """The p-value of a verdict; see `Judgement`.

    A verdict rests on the claim's own rule and on each control that guards it. It is given only if all of them say
    so: an intersection-union test, whose p-value is the largest of theirs.
    """

    def of(given: Verdict) -> float:
        guarding = [
            judged.p_value
            for judged in others
            if judged.p_value is not None and guards(judged.arm.protects, given)
        ]
        return max(smallest_alpha(claim.rule, measured, given), *guarding, 0.0)

    # What a control took away would be given at an alpha at which the control holds.
    own = verdict if verdict != "inconclusive" else judged_verdict(claim.rule, measured)
    return min(of(given) for given in DECIDED) if own == "inconclusive" else of(own)


def _negligible(claim: Claim, measured: Measure) -> str:
    """The comparison by which an effect is too small to matter, in one clause."""
    rule = claim.rule
    if rule.matters is None:
        raise JudgingError(f"claim {claim.id} is negligible without a smallest effect that matters")
    confidence = number_text(1 - 2 * rule.alpha, "percent")
    narrow = interval_text(measured.interval_at(2 * rule.alpha), rule.unit)
    margin = in_unit(margin_text(rule.matters, rule.unit), rule.unit, claim.value_unit)
    return f"negligible: the {confidence} interval {narrow} is within {margin} of that"


def _judged(arm: Arm, arms: Arms, claim_rule: Rule) -> JudgedArm:
    """Judge a control by its own rule; describe a comparison as the claim's rule would, by itself."""
    if arm.name not in arms:
        raise JudgingError(f"no trials of {arm.name!r}: return Evidence(trials, {{{arm.name!r}: [...]}})")
    trials = arms[arm.name]
    called = f"{arm.role} {arm.name!r}"
    if arm.rule is not None:
        measured, interval = measure(arm.rule, trials, arms, called)
        return JudgedArm(
            arm,
            trials,
            measured.estimate,
            interval,
            measured.n,
            judged_verdict(arm.rule, measured),
            arm.rule.unit,
            smallest_alpha(arm.rule, measured, "holds") if arm.role == "control" else None,
            measured.paired,
        )
    measured = describe(claim_rule, trials, called)
    return JudgedArm(
        arm, trials, measured.estimate, measured.interval, measured.n, None, claim_rule.arm_unit(None)
    )


def _failure(judged: JudgedArm, claim: Claim) -> str:
    """A control that does not hold, in one clause."""
    rule, interval = judged.arm.rule, judged.interval
    if rule is None or interval is None:
        raise JudgingError(f"{judged.arm.role} {judged.arm.name!r} was judged without a rule or an interval")
    measured = measured_text(
        judged.estimate, interval, judged.n, rule.unit, claim.value_unit, paired=judged.paired
    )
    needs = in_unit(rule.needs, rule.unit, claim.value_unit)
    return f"{judged.arm.role} {judged.arm.name!r}: {measured}, needs {needs}"
