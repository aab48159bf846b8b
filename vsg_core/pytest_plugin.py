"""The pytest plugin: which models (selection), one claim on one (running) or over several (across), a look at each
model's concept tokens (microscope), the end of a run (session)."""

from __future__ import annotations

pytest_plugins = [
    "vsg_core.pytest_options",
    "vsg_core.pytest_selection",
    "vsg_core.pytest_across",
    "vsg_core.pytest_running",
    "vsg_core.pytest_microscope",
    "vsg_core.pytest_session",
]
