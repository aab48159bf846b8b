"""What a claim function hands to the judge: trials, and the evidence they make together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vsg_core.errors import VsgError


class JudgingError(VsgError):
    """Evidence that no verdict can be drawn from: empty, too small, NaN, an arm missing."""


@dataclass(frozen=True)
class Trial:
    """One unit of evidence: usually one prompt, with one measured value.

    Args:
        prompt: what the model was asked, as a person would read it.
        output: what the model produced in this trial's main arm.
        success: for rate and always rules; numpy and torch booleans are kept as plain ones.
        value: a finite number, for difference and equivalence rules; without it a success counts as 1.0 and
            a failure as 0.0.
        inputs: anything JSON can hold; a mixture goes under "mixture" as [[token, weight], ...].
        outputs: what further named arms of the same trial produced.
        cluster: trials of the same cluster are one independent unit, say samples of one prompt.

    Raises:
        JudgingError: a text that is none, a success that is neither true nor false, a value that is NaN.
    """

    prompt: str
    output: str = ""
    success: bool | None = None
    value: float | None = None
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, str] | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        where = f"trial {str(self.prompt)[:60]!r}"
        for text in (self.prompt, self.output, *(self.outputs or {}).values()):
            if not isinstance(text, str):
                raise JudgingError(f"{where}: {text!r} is a {type(text).__name__}, not text")
        if "output" in (self.outputs or {}):
            raise JudgingError(f"{where}: 'output' is the main arm's: rename that further arm")
        if self.success is not None:
            if self.success not in (True, False):
                raise JudgingError(f"{where}: success is {self.success!r}: give True or False")
            object.__setattr__(self, "success", bool(self.success))
        if self.value is not None:
            object.__setattr__(self, "value", float(self.value))
            if not math.isfinite(self.value):
                raise JudgingError(f"{where}: the value is {self.value}: find out why before judging")
        if self.cluster is not None:
            object.__setattr__(self, "cluster", str(self.cluster))

    @property
    def number(self) -> float | None:
        """The value, or the success as 1.0 or 0.0."""
        return self.value if self.value is not None or self.success is None else float(self.success)


@dataclass(frozen=True)
class Evidence:
    """All trials of one claim on one model.

    Args:
        trials: the main arm.
        controls: further arms, by the names under which the claim declares them.
    """

    trials: Sequence[Trial]
    controls: Mapping[str, Sequence[Trial]] = field(default_factory=dict)

    @classmethod
    def of(cls, returned: Any) -> Evidence:
        """Evidence from what a claim function returned: Evidence, or a bare list of trials.

        Raises:
            JudgingError: it returned something else.
        """
        evidence = returned if isinstance(returned, Evidence) else cls(returned)
        arms = {"the claim": evidence.trials, **evidence.controls}
        for name, trials in arms.items():
            if not isinstance(trials, (list, tuple)) or not all(isinstance(t, Trial) for t in trials):
                raise JudgingError(f"{name} gave {type(trials).__name__}: give a list of Trial")
        return evidence


def units(
    trials: Sequence[Trial],
    arm: str,
    number: Callable[[Trial], float | None],
    join: Callable[[list[float]], float],
) -> list[float]:
    """One number for each independent unit of an arm: the trials of a cluster are joined to one.

    Raises:
        JudgingError: the arm is empty, or a trial has no number.
    """
    if not trials:
        raise JudgingError(f"{arm}: no trials at all")
    clusters: dict[str | int, list[float]] = {}
    for index, trial in enumerate(trials):
        found = number(trial)
        if found is None:
            raise JudgingError(
                f"{arm}: trial {index + 1} ({trial.prompt[:60]!r}) lacks what the rule looks at"
            )
        clusters.setdefault(index if trial.cluster is None else trial.cluster, []).append(found)
    return [join(numbers) for numbers in clusters.values()]


def mean(numbers: Sequence[float]) -> float:
    """The plain mean, summed without rounding."""
    return math.fsum(numbers) / len(numbers)
