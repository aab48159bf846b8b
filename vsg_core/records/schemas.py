"""The published JSON schemas of what a run writes, generated from the types; docs/schemas/ has them as files."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from vsg_core.records import record as record_module
from vsg_core.records.ledger import Line
from vsg_core.records.record import Interval, Measurement, Number, Record, numbers_with_a_verdict
from vsg_core.vocabulary import Outcome, Status, Verdict

PACKAGE = "vsg_core."
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ClaimRow(Measurement):
    """One row of claims.json: the verdict of one claim on one model."""

    model_config = ConfigDict(json_schema_extra=numbers_with_a_verdict({}, {}))

    claim: str
    """Id of the claim: the name of its function without test_."""

    model: str
    """Name of the model."""

    status: Status
    """What the verdict is worth: identity for arithmetic and the harness; confirmed or failed to confirm where the
    claim was registered and run on new items; else exploratory."""

    verdict: Verdict
    """holds, refuted, negligible or inconclusive; "not run" is not a verdict, and the reason says why there is none."""

    recorded: Verdict | None
    """The verdict accepted before; null without one."""

    outcome: Outcome
    """How the verdict compares with the recorded one."""

    p_value: Number | None
    """The smallest alpha at which the verdict would still be given; null without a verdict, and in older records."""

    survives_holm: bool | None
    """Whether the verdict survives Holm's correction over all findings with a verdict on the same model; null for
    identities, for claims that decided nothing, and in older records."""

    share: Number | None
    """The share of independent units whose value is on the claim's side; null unless the rule averages values."""

    reproduced: bool | None
    """Whether every repeated run gave this verdict; null if the folder of reports has no other run of it."""

    reason: str
    """The measurement against the rule in one line, or why there is none."""

    weights_form: str | None
    """The form of the model's weights, say Q4_K_M; null where it is not known."""

    confirmed_verdict: Verdict | None = None
    """The verdict of the confirming run, whether it confirms this one or not; null without such a run."""

    confirmed_estimate: Number | None = None
    """The estimate of the confirming run; null where it gave none."""

    confirmed_interval: Interval | None = None
    """The confidence interval of the confirming run."""

    confirmed_n: int | None = None
    """The independent units of the confirming run."""


def claim_row(
    record: Record,
    reproduced: bool | None = None,
    survives: bool | None = None,
    status: Status | None = None,
    confirming: Line | None = None,
) -> ClaimRow:
    """The row of a record.

    Args:
        reproduced: whether every repeated run gave its verdict; None if there is no other run.
        survives: whether its verdict survives Holm's correction; None where that is not asked.
        status: what its verdict is worth; None for the claim's own status.
        confirming: the line of the confirming run; None without one.
    """
    return ClaimRow(
        claim=record.claim.id,
        model=record.model.name,
        status=status or record.claim.status,
        verdict=record.verdict,
        estimate=record.evidence.estimate,
        interval=record.evidence.interval,
        n=record.evidence.n,
        recorded=record.recorded.verdict if record.recorded else None,
        outcome=record.outcome,
        p_value=record.evidence.p_value,
        survives_holm=survives,
        share=record.evidence.share,
        reproduced=reproduced,
        reason=record.reason,
        weights_form=record.model.form,
        confirmed_verdict=confirming.verdict if confirming else None,
        confirmed_estimate=confirming.estimate if confirming else None,
        confirmed_interval=confirming.interval if confirming else None,
        confirmed_n=confirming.n if confirming else None,
    )


def record_schema() -> dict[str, Any]:
    """The schema of records/MODEL/CLAIM.json (draft 2020-12)."""
    schema = Record.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": _DIALECT, **_described(schema)}


def claims_schema() -> dict[str, Any]:
    """The schema of claims.json: one row per claim and model."""
    rows = _described(TypeAdapter(list[ClaimRow]).json_schema(mode="serialization"))
    return {"$schema": _DIALECT, "title": "The verdicts of a run, one row per claim and model", **rows}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the docstrings of fields to a schema.

    pydantic can do this too, but it reads the sources each time a class is made, and so in every run.
    """
    classes = {
        each.__name__: each for each in (ClaimRow, *vars(record_module).values()) if isinstance(each, type)
    }
    for definition in (schema, *schema.get("$defs", {}).values()):
        if owner := classes.get(definition.get("title", "")):
            properties = definition["properties"]
            for name, text in _docstrings(owner).items():
                shown = _shown_name(owner, name)
                properties[shown] = dict(sorted({**properties[shown], "description": text}.items()))
    return schema


def _docstrings(owner: type) -> dict[str, str]:
    """The docstring under each field of a class, inherited fields included, by the field's name."""
    found: dict[str, str] = {}
    for part in (part for part in reversed(owner.__mro__) if part.__module__.startswith(PACKAGE)):
        (definition,) = ast.parse(inspect.getsource(part)).body
        for field, text in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str(docstring))
                ):
                    found[name] = inspect.cleandoc(docstring)
    return found


def _shown_name(owner: type, name: str) -> str:
    """The name that a field has in files."""
    fields = owner.model_fields if issubclass(owner, BaseModel) else {}
    return (name in fields and fields[name].alias) or name


SCHEMAS = {"record": record_schema, "claims": claims_schema}
