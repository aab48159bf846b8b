"""How a record and a table of claims show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vsg_core.markup.notebook import show
from vsg_core.report.view import measures
from vsg_core.report.view.rows import Report
from vsg_core.report.view.terms import unit_of_arm


def record_html(record: Mapping[str, Any]) -> str:
    """A record: the claim, its verdict on this model, the rule, what was reported, and every other arm."""
    rows = [
        {**arm, "measured": _in_unit(arm, unit_of_arm(arm, record["bound"]))} for arm in record["controls"]
    ]
    return show("record", record, _in_unit(record, measures.unit_of(record["bound"])), rows)


def table_html(report: Report) -> str:
    """Claims by models, grouped by question."""
    return show("table", report)


def _in_unit(arm: Mapping[str, Any], unit: str) -> str:
    return f"{measures.estimate(arm, unit)} {measures.interval(arm['interval'], unit)}".strip()
