"""A plugin that adds up the forward passes of a run, by model: `pytest -p benchmarks.passes`, with a file in PASSES.

A padded position is not one: only those of sequences count.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from vsg_core.plugin.selection import selected_of

# By model: positions and seconds of prompts, and of steps that feed one position per row.
Totals = dict[str, dict[str, dict[str, float]]]
TOTALS: Totals = defaultdict(lambda: defaultdict(lambda: {"positions": 0, "seconds": 0.0, "passes": 0}))
# The model of the claim that runs.
RUNNING = [""]


# Before the model is loaded, which checks itself.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note the model of a claim; those across models make no passes."""
    selected = selected_of(item)
    RUNNING[:] = [selected.name if selected else ""]


def pytest_collection_finish() -> None:
    """Count every pass of the engine from now on."""
    from vsg_core.generator.engine.forward import PaddedEngine

    forward = PaddedEngine.forward

    def counted(self: PaddedEngine, inputs: Any, attention_mask: Any, *args: Any, **options: Any) -> Any:
        before = self.meter.forward_seconds
        output = forward(self, inputs, attention_mask, *args, **options)
        new = inputs.shape[1]
        real = inputs.shape[0] * new if attention_mask is None else int(attention_mask[:, -new:].sum())
        totals = TOTALS[RUNNING[0]]["steps" if new == 1 else "prompts"]
        totals["positions"] += real
        totals["seconds"] += self.meter.forward_seconds - before
        totals["passes"] += 1
        return output

    PaddedEngine.forward = counted  # type: ignore[method-assign]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write the totals."""
    Path(os.environ["PASSES"]).write_text(json.dumps(TOTALS))
