"""Trials, and the evidence they make together: the return value of a claim's function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vsg_core.errors import NotApplicable, VsgError

Kept = TypeVar("Kept", bound=Sized)
# What `at_least` let pass where thresholds are waived; None where they count.
_LET_PASS: ContextVar[list[str] | None] = ContextVar("let pass", default=None)


class JudgingError(VsgError):
    """Evidence from which no verdict can be drawn: empty, too small, NaN, an arm missing."""


@dataclass(frozen=True)
class Trial:
    """One unit of evidence: usually one prompt, with one measured value.

    Args:
        prompt: what the model was asked, as a person would read it.
        output: what the model produced in this trial's main arm.
        success: for rate and always rules; numpy and torch booleans are kept as plain ones.
        value: a finite number, for difference and equivalence rules; without it a success counts as 1.0 and
            a failure as 0.0.
        inputs: anything JSON can hold.
        outputs: what further named arms of the same trial produced.
        cluster: trials of the same cluster are one independent unit, say samples of one prompt.
        mixture: the tokens and weights of the mixture that went in, heaviest first.

    Raises:
        JudgingError: a text that is not a str, a success that is neither true nor false, a value that is NaN.
    """

    prompt: str
    output: str = ""
    success: bool | None = None
    value: float | None = None
    inputs: Mapping[str, Any] | None = None
    outputs: Mapping[str, str] | None = None
    cluster: str | None = None
    mixture: Sequence[tuple[str, float]] | None = None

    def __post_init__(self) -> None:
        where = f"trial {str(self.prompt)[:60]!r}"
        for text in (self.prompt, self.output, *(self.outputs or {}).values()):
            if not isinstance(text, str):
                raise JudgingError(f"{where}: {text!r} is a {type(text).__name__}, not text")
        if "output" in (self.outputs or {}):
            raise JudgingError(f"{where}: 'output' is the main arm's: rename that further arm")
        if "mixture" in (self.inputs or {}):
            raise JudgingError(f"{where}: a mixture among the inputs: give it as mixture=")
        if self.success is not None:
            object.__setattr__(self, "success", _truth(self.success, where))
        if self.value is not None:
            object.__setattr__(self, "value", _finite(self.value, where))
        if self.mixture is not None:
            object.__setattr__(self, "mixture", _components(self.mixture, where))
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
        trials: the claim's own.
        arms: those of its controls and comparisons, by the names under which the claim declares them.
    """

    trials: Sequence[Trial]
    arms: Mapping[str, Sequence[Trial]] = field(default_factory=dict)

    @classmethod
    def of(cls, returned: Any) -> Evidence:
        """Evidence from what a claim function returned: Evidence, or a bare list of trials.

        Raises:
            JudgingError: it returned something else.
        """
        evidence = returned if isinstance(returned, Evidence) else cls(returned)
        for name, trials in {"the claim": evidence.trials, **evidence.arms}.items():
            if not isinstance(trials, (list, tuple)) or not all(isinstance(t, Trial) for t in trials):
                raise JudgingError(f"{name} gave {type(trials).__name__}: give a list of Trial")
        return evidence


def trials(
    prompts: Iterable[str],
    *,
    output: Iterable[Any] | None = None,
    success: Iterable[Any] | None = None,
    value: Iterable[Any] | None = None,
    mixture: Iterable[Sequence[tuple[str, float]]] | None = None,
    cluster: Iterable[str] | None = None,
    inputs: Mapping[str, Iterable[Any]] | None = None,
    outputs: Mapping[str, Iterable[Any]] | None = None,
) -> list[Trial]:
    """One trial per row of the given columns, all as long as `prompts`; tensors and arrays are columns, too.

    Args:
        output: texts, or generations with a `text`; so are the columns of `outputs`.
        inputs: columns by name, what else went into each trial.
        outputs: columns by name, what further arms of the same trials produced.

    Raises:
        JudgingError: a column is longer or shorter than the prompts, or a value is of the wrong type (see Trial).
    """
    shown = list(prompts)
    given = {"output": output, "success": success, "value": value, "mixture": mixture, "cluster": cluster}
    columns = {
        name: _column(name, entries, len(shown)) for name, entries in given.items() if entries is not None
    }
    if "output" in columns:
        columns["output"] = [_text(entry) for entry in columns["output"]]
    named_inputs = _columns(inputs, len(shown))
    named_outputs = {
        name: [_text(entry) for entry in column] for name, column in _columns(outputs, len(shown)).items()
    }
    return [
        Trial(
            prompt,
            inputs={name: column[row] for name, column in named_inputs.items()} or None,
            outputs={name: column[row] for name, column in named_outputs.items()} or None,
            **{name: column[row] for name, column in columns.items()},
        )
        for row, prompt in enumerate(shown)
    ]


def at_least(fewest: int, kept: Kept, what: str) -> Kept:
    """Return `kept` if it has at least `fewest` items, enough for a verdict.

    Args:
        what: names the items, in the plural: "countries that the model knows".

    Raises:
        NotApplicable: it holds fewer; the message has both numbers.
    """
    if len(kept) >= fewest:
        return kept
    reason = f"{len(kept)} {what}, at least {fewest} are needed"
    let_pass = _LET_PASS.get()
    if let_pass is None:
        raise NotApplicable(reason)
    let_pass.append(reason)
    return kept


@contextmanager
def waived_thresholds() -> Iterator[list[str]]:
    """Let `at_least` return too few items, even none, inside the block; the yielded list gets the reasons."""
    let_pass: list[str] = []
    token = _LET_PASS.set(let_pass)
    try:
        yield let_pass
    finally:
        _LET_PASS.reset(token)


def _truth(success: Any, where: str) -> bool:
    try:
        if success in (True, False):
            return bool(success)
    except (ValueError, RuntimeError):
        # An array of several values is neither.
        pass
    raise JudgingError(f"{where}: success is {_shown(success)}: give True or False")


def _finite(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not math.isfinite(number):
        raise JudgingError(f"{where}: the value is {_shown(value)}: find out why before judging")
    return number


def _components(mixture: Any, where: str) -> tuple[tuple[str, float], ...]:
    try:
        components = tuple((token, float(weight)) for token, weight in mixture)
    except (TypeError, ValueError):
        components = (("", math.nan),)
    if not all(isinstance(token, str) and math.isfinite(weight) for token, weight in components):
        raise JudgingError(
            f"{where}: the mixture is {_shown(mixture)}: give pairs of a token's text and a weight"
        )
    return components


def _shown(value: Any) -> str:
    """A value in one short line."""
    return " ".join(repr(value).split())[:80]


def _columns(given: Mapping[str, Iterable[Any]] | None, rows: int) -> dict[str, list[Any]]:
    return {name: _column(name, entries, rows) for name, entries in (given or {}).items()}


def _column(name: str, given: Iterable[Any], rows: int) -> list[Any]:
    column = given.tolist() if hasattr(given, "tolist") else list(given)
    if len(column) != rows:
        raise JudgingError(f"column {name!r} has {len(column)} rows for {rows} prompts: give one per prompt")
    return column


def _text(entry: Any) -> Any:
    """The text of a generation, or the entry itself."""
    return getattr(entry, "text", entry)
