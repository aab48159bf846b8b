"""Durations of claims, from the records of earlier runs."""

from __future__ import annotations

from pathlib import Path

from vsg_core.errors import VsgError
from vsg_core.records.files import read_reports


def measured_seconds(reports: str | Path) -> dict[tuple[str, str], float]:
    """The seconds that each claim took when it was last measured, by (model, claim)."""
    try:
        records = read_reports(reports)
    except VsgError:
        # A damaged record is reported by the run that meets it.
        return {}
    return {
        (record.model.name, record.claim.id): record.run.seconds
        for record in records
        if record.run.seconds is not None and record.evidence.trials
    }
