"""Records of a second engine for tests of code, derived from real ones: renamed, perturbed and judged again.

They are never findings: no second engine computed them.
"""

from __future__ import annotations

import random
from pathlib import Path

from vsg_core.judge.measures import judged_verdict, measure
from vsg_core.judge.trials import Trial
from vsg_core.records.files import record_at
from vsg_core.records.record import NotRun, Record, StoredTrial

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"
MODEL = "smollm2-135m-instruct"
SECOND = f"{MODEL}+llama.cpp"
# Real records of each kind of rule: a rate, a rate over an arm, a mean, an identity.
RATE, OVER, MEAN, IDENTITY = (
    "chat_embeddings_give_empty_output",
    "cannot_translate_few_shot",
    "next_is_nearer_to_the_geometric_blend",
    "entropy_in_bits_is_never_nan",
)


def real(claim: str) -> Record:
    """The real record of a claim on MODEL, from the example."""
    record = record_at(EXAMPLE, f"{MODEL}/{claim}.json")
    if record is None:
        raise LookupError(f"{claim} is not in the example")
    return record


def on_llama_cpp(record: Record, noise: float = 0.0, shift: float = 0.0) -> Record:
    """The record as a second engine might have given it; its own rule judges it again, controls are left aside.

    Args:
        noise: the share of successes that turn, and the relative deviation of values.
        shift: added to every value; the share of trials that become successes.
    """
    draws = random.Random(record.claim.id)
    evidence, rule = record.evidence, record.claim.rule

    def turned(trials: tuple[StoredTrial, ...], moved: float) -> tuple[StoredTrial, ...]:
        return tuple(_turned(trial, draws, noise, moved) for trial in trials)

    own = turned(evidence.trials, shift)
    arms = tuple(arm.model_copy(update={"trials": turned(arm.trials, 0.0)}) for arm in evidence.arms)
    measured, interval = measure(rule, _judged(own), {arm.name: _judged(arm.trials) for arm in arms}, "test")
    changed = {
        "trials": own, "arms": arms, "estimate": measured.estimate, "interval": interval, "n": measured.n,
        "verdict": judged_verdict(rule, measured), "engine": "llama.cpp", "share": measured.share,
    }  # fmt: skip
    return renamed(record).model_copy(update={"evidence": evidence.model_copy(update=changed)})


def unable(record: Record, reason: str = "llama.cpp has no logit lens") -> Record:
    """The record of a claim that does not apply to the second engine."""
    changed = {
        "trials": (), "arms": (), "estimate": None, "interval": None, "n": None, "verdict": "not run",
        "reason": "", "not_run": NotRun(cause="not applicable", reason=reason), "p_value": None, "share": None,
        "engine": "llama.cpp",
    }  # fmt: skip
    evidence = record.evidence.model_copy(update=changed)
    return renamed(record).model_copy(update={"evidence": evidence, "outcome": "not run"})


def renamed(record: Record) -> Record:
    """The record under the name that the second engine's have."""
    model = record.model.model_copy(update={"name": f"{record.model.name}+llama.cpp"})
    return record.model_copy(update={"model": model})


def with_verdict(record: Record, verdict: str) -> Record:
    """The record with another verdict of the same trials."""
    return record.model_copy(
        update={
            "evidence": record.evidence.model_copy(update={"verdict": verdict, "reason": "set by a test"})
        }
    )


def _turned(trial: StoredTrial, draws: random.Random, noise: float, shift: float) -> StoredTrial:
    success, value = trial.success, trial.value
    if success is not None:
        success = success != (draws.random() < noise) or draws.random() < shift
    if value is not None:
        value = value * (1 + draws.gauss(0, noise)) + shift
    return trial.model_copy(update={"success": success, "value": value})


def _judged(trials: tuple[StoredTrial, ...]) -> list[Trial]:
    return [Trial(t.prompt, success=t.success, value=t.value, cluster=t.cluster) for t in trials]
