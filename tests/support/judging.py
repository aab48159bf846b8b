"""Claims and trials for the tests of the judge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vsg_core.judge.claims import Claim, claim
from vsg_core.judge.rule_base import Rule
from vsg_core.judge.rules import judge, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.files import build_record

MODEL = {"name": "tiny", "family": "llama", "kind": "base", "sha256": "ab12", "revision": None}


def declare(rule: Rule, **arguments: Any) -> Claim:
    """The claim "example" with that rule; further arguments as @claim takes them."""

    @claim("It works", source="a paper", reported="always", rule=rule, **arguments)
    def test_example(lm: object) -> None:
        """The docstring."""

    return test_example.claim  # type: ignore[attr-defined]


def successes(number: int, of: int = 40, **arguments: Any) -> list[Trial]:
    """So many successes, then failures."""
    return [Trial(f"prompt {i}", output="text", success=i < number, **arguments) for i in range(of)]


def values(numbers: Iterable[float]) -> list[Trial]:
    """A trial for each number."""
    return [Trial(f"prompt {i}", value=number) for i, number in enumerate(numbers)]


def record_of(number: int, of: int = 40, **declared: Any) -> dict[str, Any]:
    """The record of a claim "rate above 50 %" with so many successes."""
    declared = {"rule": rate(above=0.5)} | declared
    example = declare(**declared)
    evidence = Evidence(successes(number, of))
    return build_record(example, MODEL, evidence, judge(example, evidence), {"dtype": "float32"})
