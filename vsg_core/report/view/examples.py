"""The trials of a record that are shown as examples: always the same ones for the same record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsg_core.records.record import Record, StoredArm, StoredTrial
from vsg_core.wording import number_text

# How many successes, and how many failures.
EACH = 2
# How many tokens of a mixture.
BARS = 8


@dataclass(frozen=True)
class Example:
    """One trial, with what it is an example of."""

    label: str
    success: bool | None
    trial: StoredTrial

    @property
    def mixture(self) -> list[tuple[str, float]]:
        """The heaviest tokens of the trial's mixture with their weights; empty if it has none."""
        return heaviest(self.trial, BARS)

    @property
    def rest(self) -> tuple[int, float]:
        """The number of the mixture's other tokens, and their total weight."""
        left = heaviest(self.trial)[BARS:]
        return len(left), sum(weight for _, weight in left)


def heaviest(trial: StoredTrial, most: int | None = None) -> list[tuple[str, float]]:
    """Return the tokens of a trial's mixture with their weights, heaviest first."""
    return sorted(trial.mixture or (), key=lambda pair: -pair[1])[:most]


@dataclass(frozen=True)
class Table:
    """All trials of one arm."""

    label: str
    """Empty for the claim's own."""
    trials: Sequence[StoredTrial]

    @property
    def outputs(self) -> list[str]:
        """The names of what the trials produced besides the main arm's output."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.outputs))

    @property
    def has_mixtures(self) -> bool:
        return any(trial.mixture for trial in self.trials)


def all_trials(record: Record) -> list[Table]:
    """Return all trials of a record: the claim's own, then those of each control and comparison."""
    arms = [(_label(arm), arm.trials) for arm in record.evidence.arms]
    return [Table(label, trials) for label, trials in [("", record.evidence.trials), *arms] if trials]


def counted(trial: StoredTrial, record: Record) -> str:
    """Say what a trial counts as: its value, or success or failure."""
    if trial.value is not None:
        return number_text(trial.value, "number")
    if trial.success is None:
        return "–"
    return "✓ success" if trial.success else f"✕ {_failure(record)}"


def chosen(record: Record, few: bool = False) -> list[Example]:
    """Choose the first two successes and the first two failures; of values the lowest, the middle and the highest.

    Then one trial of every other arm, with the first example's prompt if the arm has it.

    Args:
        few: one success and one failure, or the lowest and the highest value; no other arm.
    """
    own = _of_arm(record.evidence.trials, _failure(record), 1 if few else EACH)
    if few:
        return own if len(own) < 3 else [own[0], own[-1]]
    prompt = own[0].trial.prompt if own else None
    others = [_matching(arm, prompt) for arm in record.evidence.arms if arm.trials]
    return own + [example for example in others if _has_content(example.trial)]


def _failure(record: Record) -> str:
    return "counterexample" if record.claim.rule.kind == "always" else "no success"


def _label(arm: StoredArm) -> str:
    return f"{arm.role} “{arm.name}”"


def _has_content(trial: StoredTrial) -> bool:
    """Return whether a trial shows more than its value; even an empty output of a success is informative."""
    outputs = (trial.output, *trial.outputs.values())
    return trial.value is None or bool(trial.mixture or trial.inputs) or any(outputs)


def _of_arm(trials: Sequence[StoredTrial], failure: str, each: int) -> list[Example]:
    valued = sorted(
        ((trial.value, trial) for trial in trials if trial.value is not None), key=lambda pair: pair[0]
    )
    if valued:
        places = {0: "lowest", len(valued) // 2: "middle", len(valued) - 1: "highest"}
        return [
            Example(_valued(valued[place][1], f"{word} value"), None, valued[place][1])
            for place, word in places.items()
        ]
    return [
        Example(word, kind, trial)
        for kind, word in ((True, "success"), (False, failure))
        for trial in [trial for trial in trials if trial.success is kind][:each]
    ]


def _matching(arm: StoredArm, prompt: str | None) -> Example:
    trial = next((trial for trial in arm.trials if trial.prompt == prompt), arm.trials[0])
    return Example(_valued(trial, _label(arm)), trial.success, trial)


def _valued(trial: StoredTrial, label: str) -> str:
    return label if trial.value is None else f"{label}: {number_text(trial.value, 'number')}"
