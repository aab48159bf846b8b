"""The content of the microscope section: the steps of both paths side by side, and where they part."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from vsg_core.records.microscope import GreedyStep, Microscope, SeenPrompt, SoftStep
from vsg_core.wording import count_text


@dataclass(frozen=True)
class Step:
    """One step of both paths; None after a path has ended."""

    soft: SoftStep | None
    greedy: GreedyStep | None
    first_apart: bool
    """Whether the paths differ at this step for the first time."""
    apart: bool
    """Whether they differ at this step or differed at an earlier one."""


def steps_of(shown: SeenPrompt) -> list[Step]:
    """Pair the steps after one prompt."""
    at = shown.parts_at
    return [
        Step(soft, greedy, at == place, at is not None and place >= at)
        for place, (soft, greedy) in enumerate(zip_longest(shown.soft, shown.greedy))
    ]


def parting(shown: SeenPrompt) -> str:
    """Say in a sentence where the two paths part."""
    at, steps = shown.parts_at, len(shown.soft)
    if at is None:
        return f"The heaviest token is the greedy one at each of {count_text(steps, 'step')}."
    if at >= len(shown.greedy):
        return f"The same tokens until greedy decoding ends, after {count_text(at, 'step')}."
    return f"The two paths part at step {at + 1} of {steps}."


def together(seen: Microscope) -> str:
    """Say for how many prompts both paths stay together, as a summary of the model."""
    stay = sum(shown.parts_at is None for shown in seen.prompts)
    return f"{count_text(len(seen.prompts), 'prompt')}; the heaviest token stays the greedy one after {stay} of them"
