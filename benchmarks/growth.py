"""Measure how cost grows with prompts, concept tokens, the length of prompts, claims and models.

`python -m benchmarks.growth` writes docs/speed.json and what is made from it: the plot docs/speed.svg and the tables of
docs/speed.md. Next to the seconds of some work is the time that its positions would take at the model's own best
batched rates, measured in the same run. An interrupted run changes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from cogapp import Cog

from benchmarks.growth_plot import plot
from vsg_core.errors import WrongUse
from vsg_core.records.files import read_record, write_atomically
from vsg_core.records.provenance import machine
from vsg_core.runs.tuning import tune_process
from vsg_core.weights.loading import weights_here
from vsg_core.weights.registry import DEFAULT_MODEL, entries, entry

if TYPE_CHECKING:
    from vsg_core import LanguageModel

ROOT = Path(__file__).parents[1]
RESULTS, PLOT, PAGE = (ROOT / "docs" / name for name in ("speed.json", "speed.svg", "speed.md"))
# Rounds of writing; runs of claims take long enough to be timed once.
ROUNDS = 3
# Seconds each, on the embedded model; no two share a measurement, and the first two apply to every model.
CLAIMS = (
    "test_writing.py::test_entropy_separates_open_from_factual_prompts",
    "test_geometry.py::test_paraphrases_have_nearer_concept_tokens",
    "test_reading_frames.py::test_translating_adds_nothing_over_the_top_token",
    "test_noise_tolerance.py::test_tolerance_to_noise_falls_with_its_scale",
    "test_drift.py::test_concept_tokens_leave_the_table_as_they_follow_each_other",
    "test_mixed_tokens.py::test_mixed_tokens_are_related",
    "test_harness.py::test_one_hot_mixture_is_the_token",
    "test_reading.py::test_mixture_cannot_be_copied",
)
# The exit codes of a run whose claims were all measured: the second has verdicts that differ from the recorded ones.
MEASURED = (0, 10)
# By model and kind, prompts or steps: the positions of some work, or positions per second.
Counts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Writing:
    """The writing of concept tokens after prompts of random tokens, in this process, on the first model."""

    prompts: int = 16
    tokens: int = 4
    length: int = 16

    def positions(self) -> dict[str, float]:
        """Return the positions that pass through the model: the last concept token is not fed back."""
        return {"prompts": self.prompts * self.length, "steps": self.prompts * (self.tokens - 1)}


@dataclass(frozen=True)
class Judging:
    """A run of the first of CLAIMS on the first models, in a process of its own."""

    claims: int = 2
    models: int = 1


Job = Writing | Judging
# What is varied: the work for each amount. All else is as in Writing() and Judging().
VARIED: Mapping[str, Mapping[int, Job]] = {
    "prompts": {n: Writing(prompts=n) for n in (1, 4, 16, 64, 256)},
    "concept tokens": {n: Writing(tokens=n) for n in (1, 4, 16, 64)},
    "tokens per prompt": {n: Writing(length=n) for n in (16, 64, 256, 512)},
    "claims": {n: Judging(claims=n) for n in (1, 2, 4, 8)},
    "models": {n: Judging(models=n) for n in (1, 2, 3)},
}


@dataclass(frozen=True)
class Timed:
    """The seconds of some work, and the positions of each model in it."""

    seconds: float
    positions: Counts


@dataclass(frozen=True)
class Point:
    """The seconds of one amount of work, and those that its positions take at the best rates."""

    varied: str
    amount: int
    seconds: float
    at_best: float


def main() -> None:
    """Measure everything, then write the results, the plot and the page; or only draw the plot again."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME", dest="models",
        help="the models; the first is the one on which all but the number of models is varied (default: the embedded "
        "model, and the smallest others of the registry that are downloaded, three in all)",
    )  # fmt: skip
    parser.add_argument("--draw", action="store_true", help="draw the plot from docs/speed.json and end")
    given = parser.parse_args()
    if given.draw:
        write_atomically(PLOT, plot(json.loads(RESULTS.read_text(encoding="utf-8"))))
        return
    # Before torch is loaded, as in the runs of claims.
    tune_process()
    try:
        models = [entry(name).name for name in dict.fromkeys(given.models or default_models())]
    except WrongUse as error:
        parser.error(str(error))
    began = time.perf_counter()
    found = measured(models)
    write(found)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


def default_models(most: int = 3) -> list[str]:
    """Name the embedded model, then the smallest others of the registry that are downloaded."""
    others = [known for known in entries() if known.name != DEFAULT_MODEL and weights_here(known)]
    others.sort(key=lambda known: known.size or 0)
    return [DEFAULT_MODEL, *(known.name for known in others[: most - 1])]


def measured(models: Sequence[str]) -> dict[str, Any]:
    """Measure all amounts in turn; return what docs/speed.json holds.

    In each round the amounts are in an order of its own, and the best rates are measured before and after, so that a
    machine that becomes slower shows no growth.
    """
    from benchmarks.test_catalogue import best_rates
    from vsg_core import LanguageModel, load_model

    jobs = [job for work in VARIED.values() for job in work.values()]
    jobs = [job for job in dict.fromkeys(jobs) if isinstance(job, Writing) or job.models <= len(models)]
    rates: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    with load_model(models[0]) as lm:
        endless = LanguageModel(lm.engine, lm.tokenizer, end_ids=())
        rates[models[0]].append(best_rates(endless, rounds=1))
        timed = in_turn(jobs, lambda job: time_of(job, endless, models))
        rates[models[0]].append(best_rates(endless, rounds=1))
    for name in models[1:]:
        with load_model(name) as lm:
            rates[name].append(best_rates(lm, rounds=1))
    return {
        "machine": machine(),
        "torch": version("torch"),
        "models": list(models),
        "claims": [name.partition("::test_")[2] for name in CLAIMS],
        "rates": rates,
        "points": [asdict(point) for point in points(timed, rates)],
    }


def in_turn(jobs: Sequence[Job], run: Callable[[Job], Timed], rounds: int = ROUNDS) -> dict[Job, list[Timed]]:
    """Do all jobs in each round, in a random order that is the same in every run; each run of claims in one round."""
    timed: dict[Job, list[Timed]] = {job: [] for job in jobs}
    writing = [job for job in jobs if isinstance(job, Writing)]
    judging = [job for job in jobs if isinstance(job, Judging)]
    for turn in range(rounds):
        own: list[Job] = [*writing, *judging[turn::rounds]]
        for job in Random(turn).sample(own, len(own)):
            timed[job].append(run(job))
            print(f"round {turn + 1} of {rounds}: {job}: {timed[job][-1].seconds:.2f} s", file=sys.stderr)
    return timed


def points(
    timed: Mapping[Job, Sequence[Timed]], rates: Mapping[str, Sequence[Mapping[str, float]]]
) -> list[Point]:
    """Return the median of each amount that was measured, and its time at the mean of the best rates."""
    best = {
        model: {kind: mean(each[kind] for each in found) for kind in ("prompts", "steps")}
        for model, found in rates.items()
    }
    return [
        Point(
            varied,
            amount,
            median(each.seconds for each in timed[job]),
            at_best(timed[job][0].positions, best),
        )
        for varied, work in VARIED.items()
        for amount, job in work.items()
        if job in timed
    ]


def at_best(positions: Counts, rates: Counts) -> float:
    """Return the seconds in which the models process their positions at these rates, one after the other."""
    return sum(
        count / rates[model][kind] for model, counts in positions.items() for kind, count in counts.items()
    )


def time_of(job: Job, lm: LanguageModel, models: Sequence[str]) -> Timed:
    """Do the work once."""
    if isinstance(job, Judging):
        return tested(CLAIMS[: job.claims], models[: job.models])
    return Timed(seconds_of(job, lm), {models[0]: job.positions()})


def seconds_of(job: Writing, lm: LanguageModel) -> float:
    """Time the writing."""
    from vsg_core import presets, write_concepts

    prompts = list(lm.random_tokens(job.prompts, job.length))
    began = time.perf_counter()
    write_concepts(lm, prompts, job.tokens, presets.STUDY)
    return time.perf_counter() - began


def tested(claims: Sequence[str], models: Sequence[str]) -> Timed:
    """Time a run of claims from the start of its process to its end, and count the positions that passed.

    Raises:
        SystemExit: a claim was not measured.
    """
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        passes, reports = Path(folder, "passes.json"), Path(folder, "reports")
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.passes", "--reports", str(reports)),
            *(f"--model={name}" for name in models),
            *(f"hypotheses/{claim}" for claim in claims),
        ]
        began = time.perf_counter()
        run = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PASSES": str(passes)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        seconds = time.perf_counter() - began
        records = [read_record(path) for path in reports.glob("records/*/*.json")]
        judged = sum(record.verdict != "not run" for record in records)
        if run.returncode not in MEASURED or judged != len(claims) * len(models):
            raise SystemExit(f"{run.stdout}\n{judged} of {len(claims)} claims on {len(models)} models judged")
        return Timed(seconds, _positions(json.loads(passes.read_text())))


def _positions(totals: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Counts:
    return {
        model: {kind: total["positions"] for kind, total in kinds.items()} for model, kinds in totals.items()
    }


def write(found: Mapping[str, Any]) -> None:
    """Write the results, the plot, and the page's tables, which are computed from the results on disk."""
    drawn = plot(found)
    write_atomically(RESULTS, json.dumps(found, indent=1) + "\n")
    write_atomically(PLOT, drawn)
    write_atomically(PAGE, page(PAGE.read_text(encoding="utf-8")))


def page(text: str) -> str:
    """Return the page with its tables regenerated from docs/speed.json."""
    cog = Cog()
    cog.options.prologue, cog.options.print_output = "from tools.doc_tables import *", True
    written: str = cog.process_string(text, PAGE.name)
    return written


if __name__ == "__main__":
    main()
