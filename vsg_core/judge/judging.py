"""The judge: a claim's rules applied to its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsg_core.judge.arms import Arm
from vsg_core.judge.claims import Claim
from vsg_core.judge.intervals import Interval
from vsg_core.judge.measures import Arms, Measure, describe, measure, verdict_of
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import Evidence, JudgingError, Trial
from vsg_core.markup.notebook import judgement_html
from vsg_core.vocabulary import Verdict
from vsg_core.wording import Unit, estimate_text, in_unit, interval_text, measured_text


@dataclass(frozen=True)
class JudgedArm:
    """A control or comparison with what it showed; a comparison has no verdict.

    Args:
        interval: None where the values of a comparison leave none.
        n: independent units.
    """

    arm: Arm
    trials: Sequence[Trial]
    estimate: float
    interval: Interval | None
    n: int
    verdict: Verdict | None
    unit: Unit


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on.

    Args:
        verdict: "holds", "refuted", "inconclusive" or "not run".
        estimate, interval, n: of the claim's own trials; None where the verdict is "not run".
        reason: the measurement against the rule in one line; of a claim that was not run, which positive control
            failed.
        arms: every other arm that was judged.
    """

    verdict: Verdict
    estimate: float | None
    interval: Interval | None
    n: int | None
    reason: str
    arms: tuple[JudgedArm, ...] = ()

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
    A control that does not hold turns *holds* into *inconclusive* and leaves *refuted* unchanged.

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
    verdict = verdict_of(claim.rule, interval)
    unit, value_unit = claim.rule.unit, claim.value_unit
    shown = measured_text(measured.estimate, interval, measured.n, unit, value_unit)
    reason = f"{shown}, rule: {in_unit(claim.rule.needs, unit, value_unit)}"
    if claim.rule.kind == "always" and verdict == "refuted":
        example = next(trial for trial in evidence.trials if not trial.success)
        reason += f"; counterexample: {example.prompt[:200]!r}"
    failed = [_failure(judged, claim) for judged in others if judged.verdict not in ("holds", None)]
    if verdict == "holds" and failed:
        verdict, reason = "inconclusive", f"{reason}; but {'; '.join(failed)}"
    return Judgement(verdict, measured.estimate, interval, measured.n, reason, (*positive, *others))


def _judged(arm: Arm, arms: Arms, claim_rule: Rule) -> JudgedArm:
    """Judge a control by its own rule; describe a comparison as the claim's rule would, by itself."""
    if arm.name not in arms:
        raise JudgingError(f"no trials of {arm.name!r}: return Evidence(trials, {{{arm.name!r}: [...]}})")
    trials = arms[arm.name]
    called = f"{arm.role} {arm.name!r}"
    if arm.rule is not None:
        measured, interval = measure(arm.rule, trials, arms, called)
        return _row(arm, trials, measured, verdict_of(arm.rule, interval), arm.rule.unit)
    return _row(arm, trials, describe(claim_rule, trials, called), None, claim_rule.arm_unit(None))


def _row(
    arm: Arm, trials: Sequence[Trial], measured: Measure, verdict: Verdict | None, unit: Unit
) -> JudgedArm:
    return JudgedArm(arm, trials, measured.estimate, measured.interval, measured.n, verdict, unit)


def _failure(judged: JudgedArm, claim: Claim) -> str:
    """A control that does not hold, in one clause."""
    rule, interval = judged.arm.rule, judged.interval
    if rule is None or interval is None:
        raise JudgingError(f"{judged.arm.role} {judged.arm.name!r} was judged without a rule or an interval")
    measured = measured_text(judged.estimate, interval, judged.n, rule.unit, claim.value_unit)
    needs = in_unit(rule.needs, rule.unit, claim.value_unit)
    return f"{judged.arm.role} {judged.arm.name!r}: {measured}, needs {needs}"
