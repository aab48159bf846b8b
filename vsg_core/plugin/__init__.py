"""The pytest plugin.

Its modules: the models of a run (selection), a claim on one model (running) or over several (across), a look at each
model's concept tokens (microscope), and the end of a run (session).
"""

from __future__ import annotations

pytest_plugins = [
    "vsg_core.plugin.options",
    "vsg_core.plugin.selection",
    "vsg_core.plugin.across",
    "vsg_core.plugin.running",
    "vsg_core.plugin.microscope",
    "vsg_core.plugin.session",
]
