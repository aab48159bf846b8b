"""The closed words of the project: every value that a record, a rule or a marker may take, each list in one place."""

from __future__ import annotations

KINDS = ("base", "instruct")
VERDICTS = ("holds", "refuted", "inconclusive", "not run")
OUTCOMES = ("same", "new", "changed", "weakened", "not comparable", "not run", "broken")
# The name that stands for the model in the record of a claim judged once over several models.
ACROSS = "across-models"
