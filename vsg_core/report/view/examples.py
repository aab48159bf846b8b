"""Which trials of a record are shown as examples: always the same ones for the same record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsg_core.report.view.measures import number

Trial = Mapping[str, Any]

EACH = 2  # how many successes, and how many failures
BARS = 8  # how many tokens of a mixture


@dataclass(frozen=True)
class Example:
    """One trial, with what it is an example of."""

    label: str
    success: bool | None
    trial: Trial

    @property
    def mixture(self) -> list[tuple[str, float]]:
        """The heaviest tokens of the trial's mixture with their weights; empty when it has none."""
        return heaviest(self.trial, BARS)

    @property
    def rest(self) -> tuple[int, float]:
        """How many tokens of the mixture are not among those, and their weight together."""
        left = heaviest(self.trial)[BARS:]
        return len(left), sum(weight for _, weight in left)

    @property
    def inputs(self) -> dict[str, Any]:
        """What else went in, besides the prompt and the mixture."""
        return {name: value for name, value in (self.trial["inputs"] or {}).items() if name != "mixture"}


def heaviest(trial: Trial, most: int | None = None) -> list[tuple[str, float]]:
    """The tokens of a trial's mixture with their weights, heaviest first."""
    found = (trial["inputs"] or {}).get("mixture") or []
    return sorted(((str(token), float(weight)) for token, weight in found), key=lambda pair: -pair[1])[:most]


@dataclass(frozen=True)
class Table:
    """All trials of one arm."""

    label: str  # empty for the claim's own
    trials: Sequence[Trial]

    @property
    def outputs(self) -> list[str]:
        """The names of what the trials produced, the main arm's first."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial["outputs"]))

    @property
    def has_mixtures(self) -> bool:
        return any((trial["inputs"] or {}).get("mixture") for trial in self.trials)


def all_trials(record: Mapping[str, Any]) -> list[Table]:
    """All trials of a record: the claim's own, then those of each control and comparison."""
    arms = [(f"{arm['kind']} “{arm['name']}”", arm["trials"]) for arm in record["controls"]]
    return [Table(label, trials) for label, trials in [("", record["trials"]), *arms] if trials]


def counted(trial: Trial, record: Mapping[str, Any]) -> str:
    """What a trial counts as: its value, or success or not."""
    if trial["value"] is not None:
        return number(trial["value"], "number")
    if trial["success"] is None:
        return "–"
    return "✓ success" if trial["success"] else f"✕ {_failure(record)}"


def _failure(record: Mapping[str, Any]) -> str:
    return "counterexample" if record["bound"]["kind"] == "always" else "no success"


def chosen(record: Mapping[str, Any], few: bool = False) -> list[Example]:
    """The first two successes and the first two failures; of values the lowest, the middle and the highest.

    Then one trial of every other arm, of the same prompt as the first example where that arm has it.

    Args:
        few: one success and one failure, or the lowest and the highest value; no other arm.
    """
    own = _of_arm(record["trials"], _failure(record), 1 if few else EACH)
    if few:
        return own if len(own) < 3 else [own[0], own[-1]]
    prompt = own[0].trial["prompt"] if own else None
    others = [_beside(control, prompt) for control in record["controls"] if control["trials"]]
    return own + [example for example in others if _says_something(example.trial)]


def _says_something(trial: Trial) -> bool:
    """Whether there is more to see than its value; of a trial that succeeds or fails, empty output tells enough."""
    return trial["value"] is None or bool(trial["inputs"]) or any(trial["outputs"].values())


def _of_arm(trials: Sequence[Trial], failure: str, each: int) -> list[Example]:
    if any(trial["value"] is not None for trial in trials):
        ordered = sorted(
            (trial for trial in trials if trial["value"] is not None), key=lambda trial: trial["value"]
        )
        places = {0: "lowest", len(ordered) // 2: "middle", len(ordered) - 1: "highest"}
        return [Example(_valued(ordered[i], f"{word} value"), None, ordered[i]) for i, word in places.items()]
    kinds = (True, "success"), (False, failure)
    return [Example(word, kind, trial) for kind, word in kinds
            for trial in [trial for trial in trials if trial["success"] is kind][:each]]  # fmt: skip


def _beside(control: Mapping[str, Any], prompt: str | None) -> Example:
    trial = next((trial for trial in control["trials"] if trial["prompt"] == prompt), control["trials"][0])
    name = f"{control['kind']} “{control['name']}”"
    return Example(_valued(trial, name), trial["success"], trial)


def _valued(trial: Trial, label: str) -> str:
    return label if trial["value"] is None else f"{label}: {number(trial['value'], 'number')}"
