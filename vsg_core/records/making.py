"""Records made from a claim, the model it ran on, its evidence and its judgement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vsg_core.errors import VsgError
from vsg_core.judge.claims import Claim
from vsg_core.judge.judging import JudgedArm, Judgement
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.plain import plain, utf8_text
from vsg_core.records.record import (
    ClaimReference,
    ModelReference,
    NotRun,
    Record,
    Run,
    StoredArm,
    StoredEvidence,
    StoredTrial,
)
from vsg_core.vocabulary import FIRST_ENGINE

Thinking = Literal["on", "off"] | None
# Significant digits of what went into a trial, which is shown and not judged.
INPUT_DIGITS = 6


def make_record(
    claim: Claim,
    model: ModelReference,
    evidence: Evidence | Sequence[Trial],
    judgement: Judgement,
    run: Run,
    dtype: str | None = None,
    thinking: Thinking = None,
    engine: str = FIRST_ENGINE,
) -> Record:
    """The record of a judged claim.

    Its outcome is "new", or "not run" where a positive control failed, until it is compared with the recorded verdict.

    Args:
        dtype: what the model was computed in; None where no model had to be loaded.
        thinking: the run's choice for chat formats that can reason.
        engine: what computed the model's outputs.
    """
    not_run = None
    if judgement.verdict == "not run":
        not_run = NotRun(cause="not applicable", reason=utf8_text(judgement.reason))
    measured = StoredEvidence(
        verdict=judgement.verdict,
        reason="" if not_run else utf8_text(judgement.reason),
        not_run=not_run,
        estimate=judgement.estimate,
        interval=judgement.interval,
        n=judgement.n,
        p_value=judgement.p_value,
        share=judgement.share,
        trials=tuple(map(_trial, Evidence.of(evidence).trials)),
        arms=tuple(map(_arm, judgement.arms)),
        dtype=dtype,
        thinking=thinking,
        engine=engine,
    )
    return Record(
        claim=claim_reference(claim),
        model=model,
        evidence=measured,
        run=run,
        outcome="not run" if not_run else "new",
    )


def not_run_record(
    claim: Claim,
    model: ModelReference,
    error: VsgError | NotRun,
    run: Run,
    dtype: str | None = None,
    thinking: Thinking = None,
    engine: str = FIRST_ENGINE,
) -> Record:
    """The record of a claim that gave no evidence: *broken* where an error caused it, else *not run*."""
    not_run = error if isinstance(error, NotRun) else not_run_for(error)
    return Record(
        claim=claim_reference(claim),
        model=model,
        evidence=StoredEvidence(
            verdict="not run", reason="", not_run=not_run, dtype=dtype, thinking=thinking, engine=engine
        ),
        run=run,
        outcome="broken" if not_run.cause == "error" else "not run",
    )


def reworded(record: Record, claim: Claim) -> Record:
    """The record with the claim in its present words; what was measured and how it was judged stays."""
    sentences = {arm.name: arm.sentence for arm in claim.arms}
    arms = tuple(
        arm.model_copy(update={"sentence": sentences.get(arm.name, arm.sentence)})
        for arm in record.evidence.arms
    )
    evidence = record.evidence.model_copy(update={"arms": arms})
    reference = claim_reference(claim, record.claim.population)
    return record.model_copy(update={"claim": reference, "evidence": evidence})


def not_run_for(error: VsgError) -> NotRun:
    """Return why a claim that met this error was not run."""
    return NotRun(cause=error.cause, reason=utf8_text(error.reason), command=error.command)


def evidence_of(record: Record) -> Evidence:
    """The trials that a record keeps, as far as a judge looks at them."""
    arms = {arm.name: _judged_trials(arm.trials) for arm in record.evidence.arms}
    return Evidence(_judged_trials(record.evidence.trials), arms)


def claim_reference(claim: Claim, population: str = "") -> ClaimReference:
    """The claim as a record keeps it, with what its items are drawn from."""
    return ClaimReference(
        id=claim.id,
        question=claim.question,
        statement=claim.statement,
        source=claim.source.text,
        link=claim.source.link,
        reported=claim.reported,
        reported_verdict=claim.reported_verdict,
        rule=claim.rule,
        rules_digest=claim.rules_digest,
        rule_text=claim.rule_text,
        no_control=claim.no_control,
        docstring=claim.docstring,
        seed=claim.seed,
        headline=claim.headline,
        status=claim.status,
        population=population,
        line=claim.line,
        value_unit=claim.value_unit,
    )


def _arm(judged: JudgedArm) -> StoredArm:
    return StoredArm(
        name=judged.arm.name,
        role=judged.arm.role,
        rule=judged.arm.rule,
        sentence=judged.arm.sentence,
        dose=judged.arm.dose,
        estimate=judged.estimate,
        interval=judged.interval,
        n=judged.n,
        protects=judged.arm.protects,
        verdict=judged.verdict,
        trials=tuple(map(_trial, judged.trials)),
    )


def _trial(trial: Trial) -> StoredTrial:
    return StoredTrial(
        prompt=utf8_text(trial.prompt),
        output=utf8_text(trial.output),
        success=trial.success,
        value=trial.value,
        mixture=None if trial.mixture is None else tuple(map(_component, trial.mixture)),
        inputs=plain(trial.inputs or {}, INPUT_DIGITS),
        outputs=plain(trial.outputs or {}),
        cluster=trial.cluster and utf8_text(trial.cluster),
    )


def _judged_trials(stored: Sequence[StoredTrial]) -> list[Trial]:
    return [
        Trial(trial.prompt, trial.output, trial.success, trial.value, cluster=trial.cluster)
        for trial in stored
    ]


def _component(component: tuple[str, float]) -> tuple[str, float]:
    token, weight = component
    return utf8_text(token), plain(weight, INPUT_DIGITS)
