"""The pytest plugin.

Its modules: claims of one's own next to the project's (own_claims), the models of a run (selection), misspelt fixtures
(collection), claims that others take for granted (gates), a claim on one model (running) or over several (across), the
order of claims (order), how many trials they draw from pools (drawing), their keys (keyed), claims shown from their
records (resume), runs that confirm what was registered (confirming), files of claims that are refused (refusals), a
look at each model's concept tokens (microscope), the claim that is running (live_line), runs that try the shapes of
claims alone (dry), what a run refuses before it starts (checks), claims in worker processes (scatter, planning and
live; worker in the workers), its end (session), and an end from outside (signals, interrupted).
"""

from __future__ import annotations

import pytest

MODULES = (
    "options",
    "selection",
    "confirming",
    "collection",
    "across",
    "gates",
    "order",
    "refusals",
    "drawing",
    "keyed",
    "resume",
    "running",
    "microscope",
    "dry",
    "live_line",
    "checks",
    "scatter",
    "session",
    "signals",
    "interrupted",
)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the modules. Named in `pytest_plugins`, each would be looked for among all installed packages."""
    for name in MODULES:
        pluginmanager.import_plugin(f"{__name__}.{name}")
