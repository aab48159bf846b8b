"""Describe what differs between a freeze and the tree, the libraries and the weights that would confirm it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vsg_core.errors import WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.records.registered import Freeze, FrozenClaim, Registration
from vsg_core.runs.keys import (
    ENGINE,
    Project,
    engine_parts,
    judged_by,
    key_of,
    measured_on,
    reasons,
    weights_of,
)
from vsg_core.weights.registry import Entry

# The run chooses them: the seed follows from the nonce, and the number of trials is the freeze's own.
CHOSEN = frozenset({"seed", "trials"})
# The name of the engine in a key; the freeze has it per model.
_ENGINE_NAME = "engine"


@contextmanager
def file_of(project: Project, claim: Claim) -> Iterator[Path]:
    """Give the file of a claim, whose sources are read inside the block.

    Raises:
        WrongUse: no file of the project has the claim, or its sources cannot be read.
    """
    try:
        if (path := project.file_of(claim.id)) is None:
            raise WrongUse(f"{claim.id}: no file of claims in {project.root} defines test_{claim.id}")
        yield path
    except (OSError, ValueError, SyntaxError) as error:
        raise WrongUse(f"{claim.id}: its sources cannot be read: {error}") from error


def parts_of(project: Project, claim: Claim) -> dict[str, str]:
    """The digests of all that the verdicts of a claim rest on, except for the model, the libraries and the seed.

    Raises:
        WrongUse: no file of the project has the claim, or its sources cannot be read.
    """
    with file_of(project, claim) as path:
        parts = project.parts(path, f"test_{claim.id}") | judged_by(claim)
    return {name: value for name, value in sorted(parts.items()) if name not in CHOSEN}


def versions_for(entries: Iterable[Entry]) -> dict[str, str]:
    """The versions of Python and of the libraries that compute these models, as keys have them."""
    found = engine_parts()
    for entry in entries:
        found |= measured_on(entry, "", None, "")
    return {name: value for name, value in sorted(found.items()) if name in ENGINE - {_ENGINE_NAME}}


def differences(
    freeze: Freeze, project: Project, claims: Iterable[Claim], entries: Mapping[str, Entry]
) -> list[str]:
    """List what differs from a freeze, one line each; empty if a run may confirm it.

    Args:
        project: the sources as they are.
        claims: those of the project; of the freeze's claims all are compared.
        entries: the models that are about to run, by their names in the freeze. Weights that are neither on this
            machine nor pinned are not compared.
    """
    known = {claim.id: claim for claim in claims}
    found: dict[str, list[str]] = {}
    for frozen in freeze.claims:
        claim = known.get(frozen.id)
        for what in ["is gone"] if claim is None else _changes(frozen, claim, project):
            found.setdefault(what, []).append(frozen.id)
    return [
        *(f"{what}: {', '.join(ids)}" for what, ids in found.items()),
        *_other_versions(freeze.versions, versions_for(entries.values())),
        *_other_weights(freeze, entries),
    ]


def refusal(registration: Registration, found: Sequence[str]) -> str:
    """Say in one message what differs from a freeze, and how to get what was frozen.

    The freeze's own commit does not have the freeze yet: the one that added it does.
    """
    freeze, path = registration.freeze, registration.path
    return (
        f"{freeze.name} was frozen at {freeze.commit[:12]}, and the tree differs:\n"
        + "".join(f"  {each}\n" for each in found)
        + "to confirm it, check out the commit that added the freeze: "
        + f"git worktree add ../{freeze.name} $(git log -1 --no-renames --format=%H -- {shlex.quote(str(path))})"
    )


def _changes(frozen: FrozenClaim, claim: Claim, project: Project) -> list[str]:
    """Describe what of a claim differs, as a run with --resume says it."""
    changes = reasons(key_of(frozen.parts), key_of(parts_of(project, claim)))
    if claim.rules_digest != frozen.rules and "rule changed" not in changes:
        changes.append("rule changed")
    return changes + (["statement changed"] if claim.statement != frozen.statement else [])


def _other_versions(frozen: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The libraries of other versions; those of the engines that do not run now are left out."""
    return [
        f"{name} is {value}, frozen with {frozen.get(name, 'none')}"
        for name, value in now.items()
        if frozen.get(name) != value
    ]


def _other_weights(freeze: Freeze, entries: Mapping[str, Entry]) -> list[str]:
    found: list[str] = []
    for name, entry in entries.items():
        model, weights = freeze.model(name), weights_of(entry)
        if model is None:
            found.append(f"{name} is not a model of the freeze")
        elif weights and weights != model.weights:
            found.append(f"the weights of {name} are {weights[:12]}, frozen with {model.weights[:12]}")
    return found
