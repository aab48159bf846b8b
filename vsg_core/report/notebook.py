"""A record and a table of claims as HTML for notebooks."""

from __future__ import annotations

from vsg_core.markup.notebook import show
from vsg_core.records.record import Measurement, Record
from vsg_core.report.view.arms import protected_text
from vsg_core.report.view.models import shown_name, shown_names
from vsg_core.report.view.rows import Report
from vsg_core.report.view.status import holm_text, sections, status_text
from vsg_core.wording import Unit, estimate_text, interval_text


def record_html(record: Record) -> str:
    """A record: the claim, its verdict on this model, the rule, what was reported, and every other arm."""
    rows = [
        {
            "role": arm.role,
            "name": arm.name,
            "rule": arm.rule and "; ".join(filter(None, [arm.rule.text, protected_text(arm.protects)])),
            "measured": _measured(arm, arm.unit(record.claim.rule), record.claim.value_unit),
            "n": arm.n,
            "verdict": arm.verdict,
        }
        for arm in record.evidence.arms
    ]
    measured = _measured(record.evidence, record.unit, record.claim.value_unit)
    return show("record", record, shown_name(record.model), measured, rows)


def table_html(report: Report) -> str:
    """Claims by models, grouped by question, the identities last."""
    return show(
        "table", shown_names(report), sections(report), f"{status_text(report)} {holm_text(report)}".strip()
    )


def _measured(measurement: Measurement, unit: Unit, value_unit: str) -> str:
    estimate = estimate_text(measurement.estimate, measurement.interval, measurement.n, unit, value_unit)
    return f"{estimate} {interval_text(measurement.interval, unit)}".strip()
