"""The published JSON schemas of what a run writes; docs/schemas/ has them as files."""

from __future__ import annotations

from typing import Any

from vsg_core.records.files import RECORD_SCHEMA

_FIELDS = RECORD_SCHEMA["properties"]
_VERDICTS = _FIELDS["verdict"]["enum"]

# What each field means, in records and in rows alike.
MEANINGS = {
    "schema": "Version of this schema. Another number: another meaning of some field.",
    "claim": "Id of the claim: the name of its function without test_.",
    "question": "The question that the claim belongs to.",
    "statement": "The claim: one sentence that could be false.",
    "source": "Where the claim comes from.",
    "link": "A URL of the source.",
    "reported": "What the source saw.",
    "rule": "The rule in words, with those of all controls. Equal texts judge alike.",
    "bound": "The rule's bound: its kind, its number under above, below, within or open_rate, and under over "
    "the arm that a rate is compared with.",
    "power": "What this number of trials can tell apart.",
    "docstring": "The docstring of the claim's function.",
    "seed": "Of every random draw.",
    "headline": "Whether it is one of the claims that the study is known for; their questions come first on the page.",
    "model": "The model: its name, and as far as known family, kind (base or instruct), parameters, sha256, "
    "revision and source.",
    "verdict": "holds, refuted or inconclusive; not run, with a reason, is none.",
    "reason": "The measurement against the rule in one line, or why there is none.",
    "estimate": "A rate, a difference of rates, a rate of counterexamples (always), or a mean; rates are 0 to 1.",
    "interval": "Confidence interval of the estimate, low then high. The rule looks at this one.",
    "n": "Independent units: trials, those of one cluster counted once.",
    "trials": "Every trial of the claim's own arm: what went in (numbers to six digits), what came out, "
    "what was counted.",
    "controls": "All other arms, each with its rule, its verdict and its trials; a comparison has no rule.",
    "recorded": "The verdict accepted before, under the same name; null without one.",
    "outcome": "How the verdict compares with the recorded one.",
    "provenance": "What made the record: dtype, device, engine, versions, commit, start, seconds, tokens.",
}


def record_schema() -> dict[str, Any]:
    """Of records/MODEL/CLAIM.json (draft 2020-12): a verdict has numbers and trials, what did not run has none."""
    return {
        **RECORD_SCHEMA,
        "title": "The evidence of one claim on one model",
        "properties": _explained(_FIELDS),
        **_numbers_with_a_verdict(trials={"minItems": 1}),
    }


def claims_schema() -> dict[str, Any]:
    """Of claims.json: one row a claim and model."""
    same = ("claim", "verdict", "estimate", "interval", "n", "outcome", "reason")
    row = {key: _FIELDS[key] for key in same}
    row |= {"model": {"type": "string"}, "recorded": {"enum": [*_VERDICTS, None]}}
    explained = _explained(row) | {
        "model": {**row["model"], "description": "Name of the model."},
        "recorded": {**row["recorded"], "description": "The verdict accepted before; null without one."},
    }
    return {
        "$schema": RECORD_SCHEMA["$schema"],
        "title": "The verdicts of a run, one row a claim and model",
        "type": "array",
        "items": {
            "type": "object",
            "properties": explained,
            "required": list(explained),
            **_numbers_with_a_verdict(),
        },
    }


SCHEMAS = {"record": record_schema, "claims": claims_schema}


def _explained(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: {**field, "description": MEANINGS[key]} for key, field in fields.items()}


def _numbers_with_a_verdict(**more: Any) -> dict[str, Any]:
    """Estimate, interval and n are there exactly where there is a verdict."""
    numbers = {"estimate": {"type": "number"}, "interval": {"type": "array"}, "n": {"type": "integer"}}
    return {
        "if": {"properties": {"verdict": {"const": "not run"}}},
        "then": {"properties": {key: {"type": "null"} for key in numbers}},
        "else": {"properties": {**numbers, **more}},
    }
