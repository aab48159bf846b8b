"""The pytest plugin.

Its modules: claims of one's own next to the project's (own_claims), the models of a run (selection), misspelt fixtures
(collection), a claim on one model (running) or over several (across), the order of claims (order), their keys (keyed),
claims shown from their records (resume), files of claims that are refused (refusals), a look at each model's concept
tokens (microscope), the claim that is running (live_line), runs that try the shapes of claims alone (dry), what a run
refuses before it starts (checks), claims in worker processes (scatter, planning and live; worker in the workers), its
end (session), and an end from outside (signals).
"""

from __future__ import annotations

pytest_plugins = [
    "vsg_core.plugin.options",
    "vsg_core.plugin.selection",
    "vsg_core.plugin.collection",
    "vsg_core.plugin.across",
    "vsg_core.plugin.order",
    "vsg_core.plugin.refusals",
    "vsg_core.plugin.keyed",
    "vsg_core.plugin.resume",
    "vsg_core.plugin.running",
    "vsg_core.plugin.microscope",
    "vsg_core.plugin.dry",
    "vsg_core.plugin.live_line",
    "vsg_core.plugin.checks",
    "vsg_core.plugin.scatter",
    "vsg_core.plugin.session",
    "vsg_core.plugin.signals",
]
