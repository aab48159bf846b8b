"""The folders that a run reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest


def reports_folder(config: pytest.Config) -> Path:
    """The folder in which this run writes its records and reports."""
    chosen = config.option.reports
    return config.invocation_params.dir / chosen if chosen else config.rootpath / "reports"


def recorded_folder(config: pytest.Config) -> Path:
    """The folder of the accepted verdicts."""
    return config.rootpath / "hypotheses" / "recorded"
