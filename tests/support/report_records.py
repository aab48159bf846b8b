"""Records as a run leaves them, judged from invented trials, for tests of the report.

`python -m tests.support.report_records FOLDER` writes the report of all of them; with a number after it, the report of
that many claims on four models.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vsg_core.judge.arms import control
from vsg_core.judge.arms import doses as dose_arms
from vsg_core.judge.claims import Claim, claim
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import Rule, always, difference, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.files import write_record
from vsg_core.records.making import make_record, not_run_record
from vsg_core.records.microscope import GreedyStep, Microscope, SeenPrompt, SoftStep, write_microscope
from vsg_core.records.record import ModelReference, NotRun, Record, RecordedMeasurement, Run, UsedRecord
from vsg_core.report import report_of, write_report
from vsg_core.vocabulary import ACROSS, Outcome, Verdict

MODELS = [
    ModelReference(
        name=name, family=family, kind=kind, parameters=parameters, form=form, quantised=form[0] == "Q",
        target=name, sha256=f"{i}c0ffee0" * 8, source="hub: Example/Model-GGUF",
    )
    for i, (name, family, kind, parameters, form) in enumerate([
        ("qwen2.5-coder-0.5b-instruct", "qwen", "instruct", 630_000_000, "Q4_K_M"),
        ("qwen2.5-coder-1.5b-instruct", "qwen", "instruct", 1_780_000_000, "Q4_K_M"),
        ("smollm2-135m-instruct", "smollm2", "instruct", 135_000_000, "Q8_0"),
        ("gemma-3-270m", "gemma", "base", 268_000_000, "bfloat16"),
    ])
]  # fmt: skip
STARTED = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
MIXTURE = [(" Paris", 0.61), (" Lyon", 0.14), (" a", 0.08), (" the", 0.05), (" located", 0.04),
           (" Nice", 0.03), ("\n", 0.02), (" one", 0.01), (" not", 0.01), (" in", 0.01)]  # fmt: skip


def make_claim(name: str, statement: str, question: str, rule: Rule, **more: Any) -> Claim:
    """A claim as the decorator makes it; `more` are the decorator's arguments, and `docstring`."""

    def function() -> None: ...

    function.__name__ = f"test_{name}"
    function.__doc__ = more.pop("docstring", "")
    more = {"source": "A study of vectors, section 4", "reported": "seen in nearly all cases", **more}
    if "controls" not in more:
        more.setdefault("no_control", "the value already subtracts what another prompt gives")
    declared: Claim = claim(statement, rule=rule, **more)(function).claim  # type: ignore[attr-defined]
    return Claim(**{**vars(declared), "question": question})


def provenance(minutes: float = 0, **more: Any) -> Run:
    """The run of a record that was started `minutes` after the first one; `more` are fields of `Run`."""
    made = {
        "device": "cpu", "machine": "Linux x86_64, 2 cores, 8 GiB",
        "versions": {"python": "3.12.4", "torch": "2.13.0", "transformers": "5.1.0"},
        "commit": "0adeb75c0ffee0adeb75c0ffee0adeb75c0ffee0", "dirty": False,
        "started": STARTED + timedelta(minutes=minutes), "seconds": 12.4,
        "forward_seconds": 9.8, "forward_passes": 120, "tokens": 6144,
    }  # fmt: skip
    return Run.model_validate(made | more)


def successes(count: int, n: int = 40, **outputs: str) -> list[Trial]:
    """`n` trials, the first `count` of them successes."""
    return [
        Trial(
            f"The capital of country {i} is",
            output="" if i < count else " a city that lies on a river.\nIt is old.",
            success=i < count,
            mixture=MIXTURE,
            inputs={"temperature": 0.8},
            outputs=outputs or None,
        )
        for i in range(n)
    ]


def values(mean: float, spread: float, n: int = 40) -> list[Trial]:
    """`n` trials with normally distributed values."""
    draws = random.Random(mean)
    return [Trial(f"Prompt {i}", output=f" token {i}", value=draws.gauss(mean, spread)) for i in range(n)]


EMPTY = make_claim(
    "chat_embeddings_give_empty_output", "Chat-formatted prompts passed as embeddings give empty output",
    "Does the instruction format fail with embeddings?", rate(above=0.5), link="https://github.com/example/study",
    reported="“empty in nearly all cases”, so that instruct models were taken to need a reader of their own",
    docstring="The phenomenon, measured on new tokens only.",
    comparisons={"sliced by the prompt length": "The same outputs without their first tokens."},
)  # fmt: skip
SAME_LOGITS = make_claim(
    "ids_and_embeddings_give_the_same_logits",
    "Ids and embeddings give the same logits, chat format included",
    "Does the instruction format fail with embeddings?", always(),
)  # fmt: skip
BRANCHES = make_claim(
    "next_distribution_is_nearer_to_the_mixture",
    "After a concept token the next distribution is nearer to the mixture than to the top branch",
    "Do concept tokens preserve superpositions?", difference(above=0.0),
    controls={"permuted weights": control(difference(below=0.02), "The same tokens, their weights shuffled.")},
    positive_controls={"names the top token": rate(above=0.5)},
    reported="nearer to the mixture by 0.1 bits",
)  # fmt: skip
RECOVERED = make_claim(
    "weights_are_recovered",
    "The components of a mixture and their weights are recovered from the vector alone",
    "Do concept tokens preserve superpositions?", rate(above=0.1, over="permuted weights"),
    comparisons=("permuted weights",),
)  # fmt: skip


BOUNDED = make_claim(
    "entropy_is_within_its_bounds", "Entropy in bits is never NaN and lies within its bounds",
    "How is entropy computed?", always(), identity=True,
)  # fmt: skip
SLICES = make_claim(
    "slicing_takes_the_first_piece", "Slicing the first token off takes its piece away",
    "Does the instruction format fail with embeddings?", rate(above=0.9), identity=True,
)  # fmt: skip


def measured(
    claim: Claim,
    model: int | ModelReference,
    trials: Sequence[Trial],
    arms: Mapping[str, Sequence[Trial]] | None = None,
    *,
    outcome: Outcome = "same",
    recorded: RecordedMeasurement | None = None,
    run: Run | None = None,
    **claim_fields: Any,
) -> Record:
    """The judged record of a claim on a model, or on MODELS[model].

    Args:
        outcome, recorded: how the verdict compares with the accepted one.
        run: by default one that starts 10 minutes later for each model.
        claim_fields: fields of the record's `ClaimReference`, to differ from those of `claim`.
    """
    evidence = Evidence(list(trials), arms or {})
    run = run or provenance(10 * (model if isinstance(model, int) else 0) + (3 if claim is EMPTY else 4))
    reference = MODELS[model] if isinstance(model, int) else model
    made = make_record(claim, reference, evidence, judge(claim, evidence), run, "bfloat16")
    stated = made.claim.model_copy(update=claim_fields)
    return made.model_copy(update={"outcome": outcome, "recorded": recorded, "claim": stated})


def not_run(claim: Claim, model: int, reason: NotRun, minutes: float = 1) -> Record:
    """The record of a claim that was not run on MODELS[model]."""
    return not_run_record(claim, MODELS[model], reason, provenance(minutes))


def recorded(verdict: Verdict, estimate: float, low: float, high: float) -> RecordedMeasurement:
    """An accepted verdict of 40 trials."""
    return RecordedMeasurement(verdict=verdict, estimate=estimate, interval=(low, high), n=40)


SLICED = {"sliced by the prompt length": successes(40)}
BASE_MODEL = NotRun(cause="not applicable", reason="gemma-3-270m is a base model")
NO_WEIGHTS = NotRun(
    cause="weights", reason="weights unavailable: no network", command="vsg models fetch gemma-3-270m"
)
BROKEN = NotRun(cause="error", reason="ZeroDivisionError: division by zero")


def run() -> list[Record]:
    """A run over all claims and models, with every verdict and every outcome in it."""
    rates = {"permuted weights": successes(7)}
    earlier = provenance(-60 * 24 * 9, commit="73b7cf7" + 33 * "0", dirty=True)
    copies = {"permuted weights": values(-0.01, 0.02), "names the top token": successes(38)}
    mixed = {"permuted weights": values(0.03, 0.05), "names the top token": successes(36)}
    unable = {"permuted weights": values(-0.01, 0.02), "names the top token": successes(5)}
    was_refuted, was_held = recorded("refuted", 0.05, 0.01, 0.17), recorded("holds", 0.12, 0.05, 0.19)
    other = recorded("holds", 0.9, 0.7, 1)
    return [
        measured(EMPTY, 0, successes(0), SLICED, recorded=recorded("refuted", 0.0, 0.0, 0.09)),
        measured(EMPTY, 1, successes(33), SLICED, outcome="changed", recorded=was_refuted),
        measured(EMPTY, 2, successes(19), SLICED, outcome="new"),
        not_run(EMPTY, 3, BASE_MODEL),
        measured(SAME_LOGITS, 0, successes(300, 300)),
        measured(SAME_LOGITS, 1, successes(57, 58), outcome="new"),
        measured(SAME_LOGITS, 2, successes(300, 300), run=earlier),
        not_run(SAME_LOGITS, 3, NO_WEIGHTS),
        measured(BRANCHES, 0, values(0.11, 0.1), copies),
        measured(BRANCHES, 1, values(0.04, 0.1), mixed, outcome="weakened", recorded=was_held),
        measured(BRANCHES, 2, values(0.11, 0.1), unable, outcome="not run"),
        not_run(BRANCHES, 3, BROKEN, 2),
        measured(RECOVERED, 0, successes(38), rates),
        measured(RECOVERED, 1, successes(20), rates, outcome="not comparable", recorded=other),
        measured(RECOVERED, 2, successes(3), rates),
    ]


def identities() -> list[Record]:
    """Two claims that arithmetic settles; one of their five verdicts does not hold, and one is missing."""
    return [
        *(measured(BOUNDED, i, successes(300, 300)) for i in range(3)),
        measured(SLICES, 0, successes(40)),
        measured(SLICES, 2, successes(20), outcome="new"),
        not_run(SLICES, 3, NO_WEIGHTS),
    ]


SMALL = make_claim(
    "context_moves_the_prediction", "A sentence of context moves the next distribution", "How much noise?",
    difference(above=0.0, matters=0.1), unit="bits",
    controls={"another prompt's context": control(difference(below=0.2), "A sentence that fits.", protects="both")},
)  # fmt: skip


def small_effects() -> list[Record]:
    """A claim whose effect is too small to matter on one model and left open on another."""
    arms = {"another prompt's context": values(0.05, 0.1)}
    return [measured(SMALL, 0, values(0.01, 0.1), arms), measured(SMALL, 2, values(0.02, 0.4), arms)]


DOSES = (0.5, 1, 2, 4)


def doses() -> list[Record]:
    """A claim on two models with comparisons that make two curves, and one that makes none."""
    declared = {
        **dose_arms("noise at {:g} std", DOSES, "standard deviations"),
        **dose_arms("random tokens at {:g} std", DOSES, "standard deviations"),
        "no noise": "The vectors as they are.",
    }
    claim = make_claim(
        "divergence_grows_with_noise", "The next distribution moves away as noise grows", "How much noise?",
        difference(above=0.05), source=f"vector/{'a_long_path_' * 6}.py", comparisons=declared,
    )  # fmt: skip
    arms = {f"noise at {d:g} std": values(0.1 * d, 0.05) for d in DOSES}
    arms |= {f"random tokens at {d:g} std": values(0.3 + 0.02 * d, 0.05) for d in DOSES}
    return [measured(claim, i, values(0.1, 0.1), arms | {"no noise": values(0.01, 0.02)}) for i in (0, 2)]


def looks() -> list[Microscope]:
    """Looks at two models: paths that part, that stay together, and that end."""
    step = SoftStep(
        tokens=((" Paris", 0.82), (" located", 0.1), ("\n", 0.03)), rest=0.05, entropy=0.91,
        likely=((" Paris", 0.7),), nearest=" Paris", distance=0.21,
    )  # fmt: skip
    token = GreedyStep(token=" Paris", probability=0.7, entropy=0.91)
    shown = (
        SeenPrompt(prompt="The capital of France is", soft=(step,) * 6, greedy=(token,) * 6, parts_at=3),
        SeenPrompt(prompt="Once upon a time", soft=(step,) * 6, greedy=(token,) * 6, parts_at=None),
        SeenPrompt(prompt="The four seasons are", soft=(step,) * 6, greedy=(token,) * 2, parts_at=2),
    )
    mixing = {"temperature": 0.8, "top_k": 50}
    return [Microscope(model=MODELS[i], mixing=mixing, prompts=shown, run=provenance()) for i in (0, 2)]


def over_all_models() -> Record:
    """A claim that is judged once over several models."""
    claim = make_claim(
        "agreement_grows_with_size",
        "The larger of two models agrees more",
        "Does size matter?",
        rate(above=0.5),
    )
    used = tuple(
        UsedRecord(
            claim=EMPTY.id, model=MODELS[i].name, weights=MODELS[i].sha256 or "", dtype="bfloat16",
            started=STARTED, commit="0adeb75",
        )
        for i in (0, 1)
    )  # fmt: skip
    return measured(
        claim, ModelReference(name=ACROSS), successes(36), outcome="new", run=provenance(records=used)
    )


def large(claims: int) -> list[Record]:
    """`claims` claims on all four models, each with 100 trials and three arms, as in the catalogue."""
    arms = {
        name: successes(60, 100, beside=" another city") for name in ("control", "noise", "ordinary tokens")
    }
    records = []
    for i in range(claims):
        claim = make_claim(
            f"claim_number_{i}_of_a_long_catalogue", f"A sentence about models that could be false, number {i}",
            f"Which question is number {i // 5}?", rate(above=0.5), controls={"control": rate(below=0.9)},
            comparisons=["noise", "ordinary tokens"], docstring="What is fed, what counts, and why. " * 8,
            reported="a sentence of what was seen by others",
        )  # fmt: skip
        records += [measured(claim, model, successes(40 + 10 * model, 100), arms) for model in range(4)]
    return records


def write_everything(folder: Path) -> Path:
    """A report with every verdict and outcome, curves, a claim over all models, and two microscopes."""
    records = [*run(), *doses(), *small_effects(), over_all_models(), *identities()]
    for record in records:
        write_record(record, folder / "records")
    for look in looks():
        write_microscope(look, folder)
    return write_report(report_of(records), folder)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(
        write_everything(folder)
        if len(sys.argv) < 3
        else write_report(report_of(large(int(sys.argv[2]))), folder)
    )
