"""The closed words of the project: every value that a record, a rule or a marker may take, each list in one place."""

from __future__ import annotations

import re
from typing import Literal, get_args

Kind = Literal["base", "instruct"]
Verdict = Literal["holds", "refuted", "negligible", "inconclusive", "not run"]
# How a verdict compares with the recorded one.
Outcome = Literal["same", "new", "changed", "weakened", "not comparable", "not run", "broken"]
RuleKind = Literal["rate", "difference", "equivalence", "always"]
# On which side of its limit the whole interval must lie.
Side = Literal["above", "below", "within", "at most"]
# What a claim's verdicts are worth: "identity" for what arithmetic, the harness or a library settles, or is all but
# certain before any data; the others are findings.
Status = Literal["identity", "exploratory", "confirmed", "failed to confirm"]
Role = Literal["positive control", "control", "comparison"]
# The verdicts that a control guards: one whose rule does not hold makes them inconclusive.
Protects = Literal["holds", "refuted", "both"]
# Whether a second engine gives the verdict of the first.
Replication = Literal["replicated", "not replicated", "undecided"]
# Why a claim was not run. "not applicable" is a finding about the model; the others say nothing about it.
Cause = Literal["not applicable", "weights", "records", "memory", "worker", "skipped", "error"]

KINDS: tuple[Kind, ...] = get_args(Kind)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# What --dtype, --engine and --weights take.
DTYPES = ("float32", "bfloat16", "float16")
EngineName = Literal["transformers", "llama.cpp"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
# What computes unless a run chooses.
FIRST_ENGINE: EngineName = "transformers"
PACKINGS = ("nf4", "int8")
# The weights as they were published, computed by the engine's own kernels for them.
AS_IS = "as-is"
WEIGHTS = (*PACKINGS, AS_IS)

# The name that stands for the model in the record of a claim judged once over several models.
ACROSS = "across-models"


def form_bits(form: str) -> int | None:
    """Bits per weight that the name of a weights form states: 4 for Q4_K_M, 16 for bfloat16, None if none.

    Exact for plain types; for a mixture such as Q4_K_M the bits of most of its weights, without their scales.
    """
    stated = re.search(r"(?i)(?:float|int|fp|bf|nf|iq|tq|q|f)(\d+)|(\d+)-bit", form)
    return int(stated[1] or stated[2]) if stated else None


def form_text(form: str) -> str:
    """A weights form in words: "4-bit" for Q4_K_M, "16-bit" for bfloat16; the form itself if it states no bits."""
    bits = form_bits(form)
    return form if bits is None else f"{bits}-bit"


def is_quantised(form: str) -> bool:
    """Return whether a weights form has fewer than 16 bits per weight."""
    bits = form_bits(form)
    return bits is not None and bits < 16
