"""The headline of a run, as the terminal and the summary share it."""

from __future__ import annotations

from vsg_core.report.view.rows import Report
from vsg_core.wording import count_text


def claims_on_models(report: Report) -> str:
    """4 claims on 3 models."""
    return f"{count_text(len(report.claims), 'claim')} on {count_text(len(report.models), 'model')}"


def verdict_counts(report: Report) -> str:
    """6 hold, 1 refuted, 2 not run; verdicts without a cell are left out."""
    return ", ".join(
        f"{count} {'hold' if verdict == 'holds' and count > 1 else verdict}"
        for verdict, count in report.counts.items()
        if count
    )
