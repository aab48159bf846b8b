"""Recorded verdicts: the accepted ones, in one reviewed TOML file per model, and how a new record compares."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import ConfigDict, ValidationError

from vsg_core.errors import VsgError, WrongUse
from vsg_core.projects import run_command
from vsg_core.records.files import write_atomically
from vsg_core.records.record import Interval, Record, RecordedMeasurement, Stored, first_fault, rounded
from vsg_core.vocabulary import Outcome, Verdict
from vsg_core.wording import Unit, measured_text

Document = TypeVar("Document")


class RecordedVerdict(Stored):
    """The accepted verdict of one claim on one model; numbers are rounded, for review.

    Keys that a reviewer added are left alone.
    """

    model_config = ConfigDict(extra="ignore")

    verdict: Verdict
    not_applicable: str = ""
    """Why the claim does not apply to the model; empty for a verdict."""

    estimate: float | None = None
    interval: Interval | None = None
    n: int | None = None
    p_value: float | None = None
    """The smallest alpha at which the verdict would still be given. Those of all findings on a model decide which
    verdicts survive Holm's correction."""

    share: float | None = None
    """The share of trials whose value is on the claim's side; null unless the rule averages values."""

    rule: str
    """The rule in words, for people to read; nothing compares it."""

    rules: str = ""
    """The digest of the rule and of every control's; a verdict without one is not comparable."""

    weights: str
    """sha256 of the weights, or their revision."""

    form: str | None = None
    """The form of the weights: Q4_K_M, bfloat16; null where it is not known."""

    dtype: str = "float32"
    """What it was computed in."""

    thinking: Literal["on", "off"] | None = None
    """The run's choice for chat formats that can reason; null left it off, unless the claim asked for it."""

    def text(self, unit: Unit, value_unit: str = "") -> str:
        """The verdict and its measurement: "holds, 62 % [50 %, 74 %] of 60"."""
        reason = f"not applicable: {self.not_applicable}"
        return _verdict_text(self.verdict, self.estimate, self.interval, self.n, unit, reason, value_unit)


class Comparison(NamedTuple):
    """The outcome of comparing a record with the recorded verdict, and a line to read."""

    outcome: Outcome
    text: str


def compared(record: Record, recorded: RecordedVerdict | None) -> tuple[Record, Comparison]:
    """The record with its outcome and with the recorded verdict that it was compared with, and the comparison."""
    comparison = compare(recorded, record)
    known = recorded and RecordedMeasurement(
        verdict=recorded.verdict, estimate=recorded.estimate, interval=recorded.interval, n=recorded.n
    )
    return record.model_copy(update={"outcome": comparison.outcome, "recorded": known}), comparison


def compare(recorded: RecordedVerdict | None, record: Record) -> Comparison:
    """Compare a record with the recorded verdict of its claim and model.

    Only verdicts are compared, and only where the weights, the rules and the dtype are the ones recorded. A claim that
    did not run has no verdict to compare, unless it does not apply to the model.
    """
    now = _verdict_text(
        record.verdict,
        record.evidence.estimate,
        record.evidence.interval,
        record.evidence.n,
        record.unit,
        record.reason,
        record.claim.value_unit,
    )
    if record.outcome == "broken":
        return Comparison("broken", record.reason)
    if not record.is_finding:
        return Comparison("not run", now)
    not_run = record.verdict == "not run"
    if recorded is None:
        return Comparison("not run" if not_run else "new", now)
    # Its numbers are in the unit of the rule that judged it, which is known only where the rules are the same.
    same_rules = recorded.rules == record.claim.rules_digest
    before = recorded.text(record.unit, record.claim.value_unit) if same_rules else recorded.verdict
    if obstacle := _obstacle(recorded, record):
        return Comparison("not comparable", f"{obstacle}; now {now}; recorded {before}")
    if record.verdict == recorded.verdict:
        return Comparison("not run" if not_run else "same", f"{now}, as recorded")
    weakened = record.verdict == "inconclusive" and recorded.verdict != "not run"
    outcome: Outcome = "weakened" if weakened else "changed"
    return Comparison(outcome, f"{outcome}: was {before}; now {now}")


def read_recorded(folder: str | Path, model_name: str) -> dict[str, RecordedVerdict]:
    """The recorded verdicts of a model by claim, from `folder`/MODEL.toml; none where that file is missing.

    Raises:
        VsgError: the file cannot be read as recorded verdicts; one line that names it.
    """
    path = Path(folder, f"{model_name}.toml")
    return {name: _entry(path, name, entry) for name, entry in _parsed(path, tomllib.loads).items()}


def write_recorded(folder: str | Path, model_name: str, records: Sequence[Record]) -> Path:
    """Accept the verdicts of `records` into `folder`/MODEL.toml, and return its path.

    Other entries and all comments stay. Records that say nothing about the model, say because weights were missing,
    are skipped.

    Raises:
        WrongUse: a record is broken, or of another model.
    """
    # It keeps comments, and takes far longer to read than tomllib.
    import tomlkit

    path = Path(folder, f"{model_name}.toml")
    document = _parsed(path, tomlkit.parse)
    for record in sorted(records, key=lambda record: record.claim.id):
        if record.model.name != model_name:
            raise WrongUse(f"a record of {record.model.name} cannot go into {path}")
        if record.outcome == "broken":
            raise WrongUse(
                f"{record.claim.id} on {model_name} is broken and cannot be recorded: {record.reason}"
            )
        if not record.is_finding:
            continue
        table = document.setdefault(record.claim.id, tomlkit.table())
        accepted = recorded_verdict(record).model_dump(mode="json", exclude_none=True)
        # The key under which 0.1 kept why a claim does not apply.
        table.pop("reason", None)
        for key in RecordedVerdict.model_fields:
            if key in accepted and (key, accepted[key]) != ("not_applicable", ""):
                # In place, so that the line keeps its comment.
                table[key] = accepted[key]
            else:
                table.pop(key, None)
    return write_atomically(path, tomlkit.dumps(document))


def recorded_verdict(record: Record) -> RecordedVerdict:
    """The recorded verdict that results when a record is accepted."""
    interval = record.evidence.interval
    return RecordedVerdict(
        verdict=record.verdict,
        not_applicable=record.not_run.reason if record.not_run else "",
        estimate=None if record.evidence.estimate is None else rounded(record.evidence.estimate),
        interval=interval and (rounded(interval[0]), rounded(interval[1])),
        n=record.evidence.n,
        p_value=None if record.evidence.p_value is None else rounded(record.evidence.p_value),
        share=None if record.evidence.share is None else rounded(record.evidence.share),
        rule=record.claim.rule_text,
        rules=record.claim.rules_digest,
        weights=record.weights,
        form=record.model.form,
        dtype=record.evidence.dtype or "float32",
        thinking=record.evidence.thinking,
    )


def _obstacle(recorded: RecordedVerdict, record: Record) -> str:
    """Why a verdict cannot be compared with the recorded one; empty when it can."""
    if recorded.weights != record.weights or not recorded.weights:
        return "the recorded verdict is of different weights"
    if not recorded.rules:
        return f"it was recorded before rules had digests: accept it again with {run_command()} --record"
    if recorded.rules != record.claim.rules_digest:
        return "the recorded verdict was judged by a different rule"
    dtype = record.evidence.dtype
    if dtype is not None and dtype != recorded.dtype:
        return f"computed in {dtype}, recorded in {recorded.dtype}"
    form = record.model.form
    if _packing(form) != _packing(recorded.form):
        return f"weights in {form}, recorded in {recorded.form}"
    thinking = record.evidence.thinking
    if thinking != recorded.thinking:
        return (
            f"thinking {thinking or 'not chosen'}, recorded with thinking {recorded.thinking or 'not chosen'}"
        )
    if record.evidence.chosen_trials is not None:
        return f"measured with --trials {record.evidence.chosen_trials}, recorded with the claim's own number"
    return ""


def _packing(form: str | None) -> str:
    """Return what loading packs weights into, as their form states; empty if it packs nothing."""
    return next((packing for packing in ("nf4", "int8") if (form or "").startswith(packing)), "")


def _verdict_text(
    verdict: Verdict,
    estimate: float | None,
    interval: Interval | None,
    n: int | None,
    unit: Unit,
    reason: str,
    value_unit: str,
) -> str:
    if estimate is None or interval is None or n is None:
        return f"{verdict} ({reason})"
    return f"{verdict}, {measured_text(estimate, interval, n, unit, value_unit)}"


def _parsed(path: Path, parse: Callable[[str], Document]) -> Document:
    """Parse a file of recorded verdicts; one that is missing is empty.

    Raises:
        VsgError: it cannot be read; one line that names it.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return parse("")
    except (OSError, ValueError) as error:
        raise VsgError(f"cannot read recorded verdicts {path}: {error}") from error


def _entry(path: Path, name: str, entry: Any) -> RecordedVerdict:
    try:
        # As JSON, in which an array is a tuple.
        return RecordedVerdict.model_validate_json(json.dumps(entry, default=str))
    except ValidationError as error:
        raise VsgError(
            f"{path}: entry {name} is damaged ({first_fault(error)}): mend or delete it"
        ) from error
