"""Gates: claims that every other claim on their model takes for granted. They run first; a refuted one ends the rest.

With --split a gate that is measured closes only the shard that it is in; the others go by its last verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from vsg_core.errors import VsgError
from vsg_core.plugin.claim_run import ENDED, ClaimRun, recorded_verdicts
from vsg_core.plugin.places import reports_folder
from vsg_core.plugin.selection import claim_of, selected_of
from vsg_core.records.files import FOLDER, record_at, record_member_of, record_text

# The ids of all gates that were collected, those that -k or -m left out too.
GATES = pytest.StashKey[list[str]]()


# Before any are deselected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[GATES] = list(
        dict.fromkeys(claim.id for item in items if (claim := claim_of(item)) and claim.gate)
    )


def is_gate(item: pytest.Item) -> bool:
    """Return whether a test is a claim that others take for granted."""
    claim = claim_of(item)
    return claim is not None and claim.gate


def closed(run: ClaimRun) -> str | None:
    """Why a claim may not run: a gate of its model is refuted; None if none is."""
    if run.claim.gate or run.selected is None:
        return None
    for gate in run.item.config.stash.get(GATES, []):
        if _verdict(run, gate) == "refuted":
            return f"{gate}, which every claim on {run.selected.name} takes for granted, is refuted"
    return None


def gate_records(config: pytest.Config, model: str) -> Iterator[tuple[str, str]]:
    """The last records of a model's gates, by their files in a folder of reports: for workers, which have their own."""
    for gate in config.stash.get(GATES, []):
        member = record_member_of(model, gate)
        with suppress(VsgError):
            if record := record_at(reports_folder(config), member):
                yield f"{FOLDER}/{member}", record_text(record)


def _verdict(run: ClaimRun, gate: str) -> str | None:
    """The verdict of a gate on the model of another claim: of this run, else of the last, else the recorded one."""
    assert run.selected is not None
    for item in run.item.session.items:
        ended = item.stash.get(ENDED, None) if is_gate(item) and selected_of(item) == run.selected else None
        if ended is not None and ended.record is not None and ended.claim.id == gate:
            return ended.record.verdict
    name, config = run.selected.name, run.item.config
    with suppress(VsgError):
        if record := record_at(reports_folder(config), record_member_of(name, gate)):
            return record.verdict
        if recorded := recorded_verdicts(config, name).get(gate):
            return recorded.verdict
    return None
