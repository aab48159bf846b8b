"""The headline of a run, as the terminal, the summary and the card share it."""

from __future__ import annotations

from vsg_core.report.view.rows import Report
from vsg_core.report.view.status import harness_of
from vsg_core.wording import count_text


def headline(report: Report, new: int = 0) -> str:
    """4 claims on 3 models: 6 hold, 1 refuted; 2 new. 9 of 9 verdicts of 3 identities hold.

    Args:
        new: the number of verdicts to call new.
    """
    models = count_text(len(report.measured_models), "model")
    counts = verdict_counts(report)
    found = f"{count_text(len(report.findings), 'claim')} on {models}: {counts or 'nothing measured'}"
    found += f"; {new} new" if new else ""
    if (harness := harness_of(report)) is None:
        return found
    return f"{found}. {harness.text}" if report.findings else f"{harness.text}, on {models}"


def verdict_counts(report: Report) -> str:
    """6 hold, 1 refuted, 2 not run: of the findings; verdicts without a cell are left out."""
    return ", ".join(
        f"{count} {'hold' if verdict == 'holds' and count > 1 else verdict}"
        for verdict, count in report.counts.items()
        if count
    )
