"""Gates: claims that every other claim on their model takes for granted. They run first; a refuted one ends the rest.

On a second engine a gate that was never measured ends the rest, too. With --split a gate that is measured closes only
the shard that it is in; the others go by its last verdict.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vsg_core.errors import VsgError
from vsg_core.judge.claims import load_claims
from vsg_core.plugin.claim_run import ENDED, ClaimRun, recorded_verdicts
from vsg_core.plugin.places import claims_folders, reports_folder
from vsg_core.plugin.selection import claim_of, selected_of
from vsg_core.projects import option_words, run_command
from vsg_core.records.files import FOLDER, record_at, record_member_of, record_text
from vsg_core.vocabulary import FIRST_ENGINE

# The ids of the gates that were collected, those that -k or -m left out too; then of all gates of the project.
GATES = pytest.StashKey[list[str]]()
# The files that were collected, until the others have been looked at.
FILES = pytest.StashKey[set[Path]]()


# Before any are deselected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gates = (claim.id for item in items if (claim := claim_of(item)) and claim.gate)
    config.stash[GATES] = list(dict.fromkeys(gates))
    config.stash[FILES] = {item.path for item in items}


def gates_of(config: pytest.Config) -> list[str]:
    """The ids of the gates of the project; files that a run leaves out are read when the first claim needs them."""
    collected = config.stash.get(FILES, None)
    if collected is not None:
        del config.stash[FILES]
        config.stash[GATES] = list(dict.fromkeys([*config.stash[GATES], *_left_out(config, collected)]))
    return config.stash.get(GATES, [])


def _left_out(config: pytest.Config, collected: set[Path]) -> list[str]:
    """The ids of the project's gates if it has files that were not collected; none otherwise."""
    # A file of claims that cannot be imported is reported by the run that collects it.
    with suppress(VsgError):
        folders = claims_folders(config)
        if not {path for folder in folders for path in folder.glob("*.py")} <= collected:
            return [claim.id for claim in load_claims(*folders) if claim.gate]
    return []


def is_gate(item: pytest.Item) -> bool:
    """Return whether a test is a claim that others take for granted."""
    claim = claim_of(item)
    return claim is not None and claim.gate


def closed(run: ClaimRun) -> str | None:
    """Why a claim may not run: a gate of its model is refuted, or not measured on a second engine; None if none is."""
    model = run.selected
    if run.claim.gate or model is None:
        return None
    entry = model.entry
    # Quantised kernels are different arithmetic, to which a gate does not apply.
    replicates = entry.engine != FIRST_ENGINE and not entry.as_is and model.has_weights
    for gate in gates_of(run.item.config):
        verdict = _verdict(run, gate)
        if verdict == "refuted":
            return f"{gate}, which every claim on {model.name} takes for granted, is refuted"
        if verdict is None and replicates:
            how = option_words({"--model": model.target, "--engine": entry.engine, "-k": gate})
            command = shlex.join([*run_command().split(), *how])
            return f"{gate}, which every claim on {model.name} takes for granted, is not measured: {command}"
    return None


def gate_records(config: pytest.Config, model: str) -> Iterator[tuple[str, str]]:
    """The last records of a model's gates, by their files in a folder of reports: for workers, which have their own."""
    for gate in gates_of(config):
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
