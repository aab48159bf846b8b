"""Claims, trials and records for the tests of the judge and of the records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from vsg_core.judge.claims import Claim, claim
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import Rule, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.making import make_record
from vsg_core.records.record import ModelReference, Record, Run

MODEL = ModelReference(name="tiny", family="llama", kind="base", sha256="ab12")
RUN = Run(started=datetime(2026, 3, 14, 9, 26, tzinfo=UTC))


def declare(rule: Rule, **arguments: Any) -> Claim:
    """Declare the claim "example" with this rule; further arguments are those of @claim."""
    if "controls" not in arguments:
        arguments.setdefault("no_control", "arithmetic")

    @claim("It works", source="a paper", reported="always", rule=rule, **arguments)
    def test_example(lm: object) -> None:
        """The docstring."""

    return test_example.claim  # type: ignore[attr-defined]


def successes(number: int, of: int = 40, **arguments: Any) -> list[Trial]:
    """Return trials with `number` successes first, then failures."""
    return [Trial(f"prompt {i}", output="text", success=i < number, **arguments) for i in range(of)]


def values(numbers: Iterable[float]) -> list[Trial]:
    """Return one trial per number."""
    return [Trial(f"prompt {i}", value=number) for i, number in enumerate(numbers)]


def judged_record(
    claim: Claim,
    evidence: Evidence | list[Trial],
    model: ModelReference = MODEL,
    run: Run = RUN,
    dtype: str | None = "float32",
) -> Record:
    """Judge a claim on this evidence and return its record."""
    return make_record(claim, model, evidence, judge(claim, evidence), run, dtype)


def record_of(
    number: int,
    of: int = 40,
    *,
    model: ModelReference = MODEL,
    dtype: str | None = "float32",
    **declared: Any,
) -> Record:
    """Return the record of a claim "rate above 50 %" with `number` successes."""
    example = declare(**({"rule": rate(above=0.5)} | declared))
    return judged_record(example, successes(number, of), model, dtype=dtype)
