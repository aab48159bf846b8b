"""Evidence records as a run leaves them, made by the judge from invented trials, for tests of the report.

`python -m tests.support.report_records FOLDER` writes the report of all of them, to look at; with a number after it,
that of so many claims on four models.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vsg_core.judge.claims import Claim, claim
from vsg_core.judge.rules import Rule, always, difference, judge, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.files import build_record, not_run_record, write_record
from vsg_core.records.microscope import write_microscope
from vsg_core.report import write_report

Record = dict[str, Any]

MODELS = [
    {"name": "qwen2.5-coder-0.5b-instruct", "family": "qwen", "kind": "instruct", "parameters": 630_000_000},
    {
        "name": "qwen2.5-coder-1.5b-instruct",
        "family": "qwen",
        "kind": "instruct",
        "parameters": 1_780_000_000,
    },
    {"name": "smollm2-135m-instruct", "family": "smollm2", "kind": "instruct", "parameters": 135_000_000},
    {"name": "gemma-3-270m", "family": "gemma", "kind": "base", "parameters": 268_000_000},
]
STARTED = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
MIXTURE = [[" Paris", 0.61], [" Lyon", 0.14], [" a", 0.08], [" the", 0.05], [" located", 0.04],
           [" Nice", 0.03], ["\n", 0.02], [" one", 0.01], [" not", 0.01], [" in", 0.01]]  # fmt: skip


def make_claim(name: str, statement: str, question: str, rule: Rule, **more: Any) -> Claim:
    """A claim as the decorator makes it."""

    def function() -> None: ...

    function.__name__ = f"test_{name}"
    function.__doc__ = more.pop("docstring", "")
    more = {"source": "A study of vectors, section 4", "reported": "seen in nearly all cases", **more}
    declared: Claim = claim(statement, rule=rule, **more)(function).claim  # type: ignore[attr-defined]
    return Claim(**{**vars(declared), "question": question})


def provenance(minutes: float = 0, **more: Any) -> Record:
    return {
        "model_sha256": "1d96" * 16, "dtype": "bfloat16", "device": "cpu", "engine": "transformers",
        "versions": {"python": "3.12.4", "torch": "2.13.0", "transformers": "5.1.0"},
        "commit": "0adeb75c0ffee0adeb75c0ffee0adeb75c0ffee0", "dirty": False,
        "machine": "Linux x86_64, 2 cores, 8 GiB",
        "started": (STARTED + timedelta(minutes=minutes)).isoformat(), "seconds": 12.4,
        "forward_seconds": 9.8,
        "forward_passes": 120, "tokens": 6144, **more,
    }  # fmt: skip


def successes(count: int, n: int = 40, **outputs: str) -> list[Trial]:
    """`n` trials, the first `count` of them successes."""
    return [
        Trial(
            f"The capital of country {i} is",
            output="" if i < count else " a city that lies on a river.\nIt is old.",
            success=i < count,
            inputs={"mixture": MIXTURE, "temperature": 0.8},
            outputs=outputs or None,
        )
        for i in range(n)
    ]


def values(mean: float, spread: float, n: int = 40) -> list[Trial]:
    draws = random.Random(mean)
    return [Trial(f"Prompt {i}", output=f" token {i}", value=draws.gauss(mean, spread)) for i in range(n)]


EMPTY = make_claim(
    "chat_embeddings_give_empty_output", "Chat-formatted prompts passed as embeddings give empty output",
    "Does the instruction format fail with embeddings?", rate(above=0.5), link="https://github.com/example/study",
    reported="“empty in nearly all cases”, so that instruct models were taken to need a reader of their own",
    docstring="The phenomenon, measured on new tokens only.", comparisons=("sliced by the prompt length",),
    power="40 prompts tell 30 % from 50 % in 19 of 20 runs.",
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
    controls={"permuted weights": difference(below=0.02)},
    positive_controls={"names the top token": rate(above=0.5)},
    reported="nearer to the mixture by 0.1 bits",
)  # fmt: skip
RECOVERED = make_claim(
    "weights_are_recovered",
    "The components of a mixture and their weights are recovered from the vector alone",
    "Do concept tokens preserve superpositions?", rate(above=0.1, over="permuted weights"),
    comparisons=("permuted weights",),
)  # fmt: skip


def measured(claim: Claim, model: int, trials: Sequence[Trial], arms: Mapping[str, Any] | None = None,
             **more: Any) -> Record:  # fmt: skip
    """The record of `claim` on MODELS[model]; `more` goes into the record as it is."""
    evidence = Evidence(list(trials), arms or {})
    identity = {"sha256": f"{model}c0ffee0" * 8, "revision": None, "source": "hub: Example/Model-GGUF"}
    made = provenance(10 * model + (3 if claim is EMPTY else 4))
    record = build_record(claim, MODELS[model] | identity, evidence, judge(claim, evidence), made)
    return record | {"outcome": "same"} | more


def recorded(verdict: str, estimate: float, low: float, high: float) -> Record:
    return {"verdict": verdict, "estimate": estimate, "interval": [low, high], "n": 40}


SLICED = {"sliced by the prompt length": successes(40)}


def run() -> list[Record]:
    """A run over all claims and models, with every verdict and every outcome in it."""
    rates = {"permuted weights": successes(7)}
    changed = {"outcome": "changed", "recorded": recorded("refuted", 0.05, 0.01, 0.17)}
    weakened = {"outcome": "weakened", "recorded": recorded("holds", 0.12, 0.05, 0.19)}
    earlier = {"provenance": provenance(-60 * 24 * 9, commit="73b7cf7" + 33 * "0", dirty=True)}
    no_weights = "weights unavailable: no network; to get them: vsg models fetch gemma-3-270m"
    copies = {"permuted weights": values(-0.01, 0.02), "names the top token": successes(38)}
    mixed = {"permuted weights": values(0.03, 0.05), "names the top token": successes(36)}
    unable = {"permuted weights": values(-0.01, 0.02), "names the top token": successes(5)}
    return [
        measured(EMPTY, 0, successes(0), SLICED, recorded=recorded("refuted", 0.0, 0.0, 0.09)),
        measured(EMPTY, 1, successes(33), SLICED, **changed),
        measured(EMPTY, 2, successes(19), SLICED, outcome="new"),
        not_run_record(EMPTY, MODELS[3], "not applicable: gemma-3-270m is a base model", provenance(1)),
        measured(SAME_LOGITS, 0, successes(300, 300)),
        measured(SAME_LOGITS, 1, successes(57, 58), outcome="new"),
        measured(SAME_LOGITS, 2, successes(300, 300), **earlier),
        not_run_record(SAME_LOGITS, MODELS[3], no_weights, provenance(1)),
        measured(BRANCHES, 0, values(0.11, 0.1), copies),
        measured(BRANCHES, 1, values(0.04, 0.1), mixed, **weakened),
        measured(BRANCHES, 2, values(0.11, 0.1), unable),
        not_run_record(BRANCHES, MODELS[3], "error: ZeroDivisionError: division by zero", provenance(2))
        | {"outcome": "broken"},
        measured(RECOVERED, 0, successes(38), rates),
        measured(
            RECOVERED,
            1,
            successes(20),
            rates,
            outcome="not comparable",
            recorded=recorded("holds", 0.9, 0.7, 1),
        ),
        measured(RECOVERED, 2, successes(3), rates),
    ]


DOSES = (0.5, 1, 2, 4)


def doses() -> list[Record]:
    """A claim on two models with comparisons that make two curves, and one that makes none."""
    claim = make_claim(
        "divergence_grows_with_noise", "The next distribution moves away as noise grows", "How much noise?",
        difference(above=0.05), source=f"vector/{'a_long_path_' * 6}.py",
        comparisons=[f"{arm} at {d:g} std" for arm in ("noise", "random tokens") for d in DOSES] + ["no noise"],
    )  # fmt: skip
    arms = {f"noise at {d:g} std": values(0.1 * d, 0.05) for d in DOSES}
    arms |= {f"random tokens at {d:g} std": values(0.3 + 0.02 * d, 0.05) for d in DOSES}
    return [measured(claim, i, values(0.1, 0.1), arms | {"no noise": values(0.01, 0.02)}) for i in (0, 2)]


def looks() -> list[Record]:
    """What the microscope leaves of two models: paths that part, that stay together, and that end."""
    step = {
        "tokens": [[" Paris", 0.82], [" located", 0.1], ["\n", 0.03]], "rest": 0.05, "entropy": 0.91,
        "likely": [[" Paris", 0.7]], "nearest": " Paris", "distance": 0.21,
    }  # fmt: skip
    token = {"token": " Paris", "probability": 0.7, "entropy": 0.91}
    shown = [
        {"prompt": "The capital of France is", "soft": [step] * 6, "greedy": [token] * 6, "parts_at": 3},
        {"prompt": "Once upon a time", "soft": [step] * 6, "greedy": [token] * 6, "parts_at": None},
        {"prompt": "The four seasons are", "soft": [step] * 6, "greedy": [token] * 2, "parts_at": 2},
    ]
    mixing = {"temperature": 0.8, "top_k": 50}
    return [
        {"schema": 1, "model": MODELS[i], "mixing": mixing, "prompts": shown, "provenance": provenance()}
        for i in (0, 2)
    ]


def over_all_models() -> Record:
    """A claim that is judged once over several models."""
    claim = make_claim(
        "agreement_grows_with_size",
        "The larger of two models agrees more",
        "Does size matter?",
        rate(above=0.5),
    )
    model = {"name": "across-models", "family": None, "kind": None, "parameters": None}
    evidence = Evidence(successes(36))
    return build_record(claim, model, evidence, judge(claim, evidence), provenance()) | {"outcome": "new"}


def large(claims: int) -> list[Record]:
    """As many claims on all four models, with what a claim of the catalogue has: 100 trials, three arms."""
    arms = {
        name: successes(60, 100, beside=" another city") for name in ("control", "noise", "ordinary tokens")
    }
    records = []
    for i in range(claims):
        claim = make_claim(
            f"claim_number_{i}_of_a_long_catalogue", f"A sentence about models that could be false, number {i}",
            f"Which question is number {i // 5}?", rate(above=0.5), controls={"control": rate(below=0.9)},
            comparisons=["noise", "ordinary tokens"], docstring="What is fed, what counts, and why. " * 8,
            power="100 prompts: holds from 61, refuted up to 39", reported="a sentence of what was seen by others",
        )  # fmt: skip
        records += [measured(claim, model, successes(40 + 10 * model, 100), arms) for model in range(4)]
    return records


def write_everything(folder: Path) -> Path:
    """A report with every verdict and outcome, curves, a claim over all models, and two microscopes."""
    records = [*run(), *doses(), over_all_models()]
    for record in records:
        write_record(record, folder / "records")
    for look in looks():
        write_microscope(look, folder)
    return write_report(records, folder)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(write_everything(folder) if len(sys.argv) < 3 else write_report(large(int(sys.argv[2])), folder))
