"""What the microscope section shows: the steps of both paths side by side, and where they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from vsg_core.report.view.measures import several


@dataclass(frozen=True)
class Step:
    """One step of both paths; None where a path has ended."""

    soft: Mapping[str, Any] | None
    greedy: Mapping[str, Any] | None
    first_apart: bool  # the first step at which the paths differ
    apart: bool  # that one, or a later one


def steps_of(shown: Mapping[str, Any]) -> list[Step]:
    """The steps after one prompt."""
    at = shown["parts_at"]
    return [
        Step(soft, greedy, at == place, at is not None and place >= at)
        for place, (soft, greedy) in enumerate(zip_longest(shown["soft"], shown["greedy"]))
    ]


def parting(shown: Mapping[str, Any]) -> str:
    """Where the two paths part, in a sentence."""
    at, steps = shown["parts_at"], len(shown["soft"])
    if at is None:
        return f"The heaviest token is the greedy one at each of {several(steps, 'step')}."
    if at >= len(shown["greedy"]):
        return f"The same tokens until greedy decoding ends, after {several(at, 'step')}."
    return f"The two part ways at step {at + 1} of {steps}."


def together(seen: Mapping[str, Any]) -> str:
    """How many prompts keep both paths together, for a model's summary."""
    prompts = seen["prompts"]
    stay = sum(shown["parts_at"] is None for shown in prompts)
    return f"{several(len(prompts), 'prompt')}; the heaviest token stays the greedy one after {stay} of them"
