"""The closed words of the project: every value that a record, a rule or a marker may take, each list in one place."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["base", "instruct"]
Verdict = Literal["holds", "refuted", "inconclusive", "not run"]
# How a verdict compares with the recorded one.
Outcome = Literal["same", "new", "changed", "weakened", "not comparable", "not run", "broken"]
RuleKind = Literal["rate", "difference", "equivalence", "always"]
# On which side of its limit the whole interval must lie.
Side = Literal["above", "below", "within", "at most"]
Role = Literal["positive control", "control", "comparison"]
# Why a claim was not run. "not applicable" is a finding about the model; the others say nothing about it.
Cause = Literal["not applicable", "weights", "records", "memory", "skipped", "error"]

KINDS: tuple[Kind, ...] = get_args(Kind)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

# The name that stands for the model in the record of a claim judged once over several models.
ACROSS = "across-models"
