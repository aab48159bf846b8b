"""Time the whole catalogue: how well its forward passes use the machine, against the model's own best rates.

Goals: the passes take at most 1.3 times what all their positions would take at the best batched rate, measured
before; all else takes at most a tenth of the claims' time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch

from tests.support.engines import engine_of
from vsg_core import LanguageModel, load_model
from vsg_core.generator.engine import State
from vsg_core.records.files import read_record

ROWS, PROMPT, STEP_ROWS, STEPS = 64, 32, 128, 8


def test_catalogue(
    pytestconfig: pytest.Config, tmp_path: Path, print_table: Callable[[str, list[str]], None]
) -> None:
    """Run every claim once, in a process of its own."""
    name = pytestconfig.getoption("--bench-model")
    with load_model(name) as lm:
        rates = best_rates(lm)
    passes, reports = tmp_path / "passes.json", tmp_path / "reports"
    command = [sys.executable, "-m", "pytest", "-p", "benchmarks.passes", "--model", name]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--reports", str(reports)],
        env=os.environ | {"PASSES": str(passes)},
        cwd=pytestconfig.rootpath,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    whole = time.perf_counter() - began
    by_model = json.loads(passes.read_text())
    assert by_model, "the run had no forward passes"
    (totals,) = by_model.values()
    forward = sum(kind["seconds"] for kind in totals.values())
    best = sum(totals[kind]["positions"] / rate for kind, rate in rates.items() if kind in totals)
    claims = sum(read_record(path).run.seconds or 0 for path in reports.glob("records/*/*.json"))
    print_table(
        f"the catalogue on {name}",
        [
            *(line(kind, rate, **totals[kind]) for kind, rate in rates.items() if kind in totals),
            f"forward passes {forward:.1f} s, {forward / best:.2f} times the {best:.1f} s at the best rates",
            f"claims {claims:.1f} s, {claims / forward:.2f} times their passes; the whole run {whole:.1f} s",
        ],
    )


def line(kind: str, rate: float, positions: float, seconds: float, passes: float) -> str:
    return (
        f"{kind}: {positions:,.0f} positions, {passes:,.0f} passes, {seconds:.1f} s: {positions / seconds:.0f} a "
        f"second, against {rate:.0f} at best"
    )


def best_rates(lm: LanguageModel, rounds: int = 3) -> dict[str, float]:
    """Measure positions per second: of a pass over 64 prompts of 32 positions, and of steps of 128 rows after them."""
    ids = lm.random_tokens(STEP_ROWS, PROMPT)  # [128, 32]
    prompts, steps = [], []
    for _ in range(rounds):
        # What is timed follows a pass of its kind that is not, and so needs no warm-up.
        state: State = engine_of(lm).begin(ids, torch.ones_like(ids))
        began = time.perf_counter()
        engine_of(lm).begin(ids[:ROWS], torch.ones_like(ids[:ROWS]), keep_cache=False)
        prompts.append(ROWS * PROMPT / (time.perf_counter() - began))
        state = lm.step(state, ids[:, 0])
        began = time.perf_counter()
        for step in range(STEPS):
            state = lm.step(state, ids[:, step])
        steps.append(STEPS * STEP_ROWS / (time.perf_counter() - began))
    return {"prompts": median(prompts), "steps": median(steps)}
