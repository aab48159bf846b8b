"""Describe what differs between a freeze and the tree, the libraries and the weights that would confirm it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from vsg_core.errors import WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.projects import PACKAGE
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
from vsg_core.runs.rooms import source_text
from vsg_core.runs.syntax import digest
from vsg_core.weights.registry import Entry

# What the seed of a run, that of a claim and its items follow from, besides the pools, which are parts of the claims.
DEALS = (
    "records/registered.py", "plugin/drawing.py", "plugin/confirming.py", "registration/confirmation.py",
)  # fmt: skip
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
    return {name: value for name, value in sorted(parts.items()) if name != "seed"}


@cache
def dealing_digest() -> str:
    """The digest of the code that derives seeds from a freeze and a nonce, and deals items."""
    return digest(source_text(PACKAGE / name) for name in DEALS)


def versions_for(entries: Iterable[Entry]) -> dict[str, str]:
    """The versions of Python and of the libraries that compute these models, as keys have them."""
    found = engine_parts()
    for entry in entries:
        found |= measured_on(entry, "", None, "")
    return {name: value for name, value in sorted(found.items()) if name in ENGINE - {_ENGINE_NAME}}


def changed_sources(freeze: Freeze, project: Project, claims: Iterable[Claim]) -> list[str]:
    """List what of the sources differs from a freeze, one line each; empty where nothing does.

    Args:
        project: the sources as they are.
        claims: those of the project; of the freeze's claims all are compared.
    """
    known = {claim.id: claim for claim in claims}
    found: dict[str, list[str]] = {}
    for frozen in freeze.claims:
        claim = known.get(frozen.id)
        for what in ["is gone"] if claim is None else _changes(frozen, claim, project):
            found.setdefault(what, []).append(frozen.id)
    lines = [f"{what}: {', '.join(ids)}" for what, ids in found.items()]
    # Freezes of before 30 November 2026 do not have it.
    if freeze.dealing and freeze.dealing != dealing_digest():
        lines.append(f"the code that deals items changed: {', '.join(DEALS)} of vsg_core")
    return lines


def different_run(freeze: Freeze, entries: Mapping[str, Entry], dtype: str) -> list[str]:
    """List what else differs from a freeze, one line each with what to do; empty where nothing does.

    Args:
        entries: the models that are about to run, by their names in the freeze. Weights that are neither on this
            machine nor pinned are compared when they have been measured.
        dtype: what they are computed in.
    """
    return [
        *_other_versions(freeze.versions, versions_for(entries.values())),
        *_other_models(freeze, entries, dtype),
    ]


def refusal(registration: Registration, sources: Sequence[str], run: Sequence[str]) -> str:
    """Say in one message what differs from a freeze, and how to get what was frozen.

    The freeze's own commit does not have the freeze yet: the one that added it does.

    Args:
        sources: what of the sources differs.
        run: what else does, with what to do.
    """
    freeze, path = registration.freeze, shlex.quote(str(registration.path))
    found = f"git log -1 --no-renames --format=%H -- {path}"
    where = f"check out the commit that added the freeze: git worktree add ../{freeze.name} $({found})"
    return "\n  ".join(
        [
            f"{freeze.name} was frozen at {freeze.commit[:12]}, and what would run is something else:",
            *sources,
            *([where] if sources else []),
            *run,
        ]
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
        f"{name} is {value}, frozen with {frozen.get(name, 'none')}: install that"
        for name, value in now.items()
        if frozen.get(name) != value
    ]


def _other_models(freeze: Freeze, entries: Mapping[str, Entry], dtype: str) -> list[str]:
    found: list[str] = []
    for name, entry in entries.items():
        model, weights = freeze.model(name), weights_of(entry)
        if model is None:
            found.append(f"{name} is not a model of the freeze: leave it out")
            continue
        if weights and weights != model.weights:
            found.append(
                f"the weights of {name} are {weights[:12]}, frozen with {model.weights[:12]}: fetch those"
            )
        if model.dtype != dtype:
            found.append(f"{name} is computed in {dtype}, frozen in {model.dtype}: leave --dtype out")
    return found
