"""Registered claims: what is fixed, with digests, before the data that will judge it exist.

A freeze is one file, hypotheses/registered/NAME.toml. Its bytes and a nonce that was unknown when they were written
determine every item that the confirming run draws.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field, ValidationError

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.files import write_atomically
from vsg_core.records.record import Number, Stored, first_fault
from vsg_core.vocabulary import EngineName, Verdict

FREEZE_VERSION: Literal[1] = 1
# The chance of deciding about the smallest effect that matters that a freeze asks of every claim.
LEAST_POWER = 0.9
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Commitment(Stored):
    """A nonce that is not known yet, by its digest."""

    sha256: str = Field(pattern=_SHA256.pattern)
    """The sha256 of the nonce's UTF-8 bytes, in lower-case hexadecimal."""

    by: str
    """Who committed to the nonce, and how: a sentence."""


class FrozenModel(Stored):
    """A model on an engine, as the confirming run computes it."""

    name: str
    """Its name in reports; of a second engine MODEL+ENGINE."""

    target: str
    """What `pytest --model` takes for it."""

    engine: EngineName
    """What computes it."""

    weights: str
    """The sha256 of the weights, or their revision."""

    form: str | None = None
    """The form of the weights: Q4_K_M, bfloat16."""

    dtype: str
    """What it is computed in."""


class FrozenRun(Stored):
    """A claim on a model: how likely its trials are to decide it, and what exploration gave."""

    model: str
    """The name of the model."""

    power: float
    """The chance that the claim holds if it is true by the smallest effect that matters."""

    spread: Number | None = None
    """What the power was computed from, in the claim's own unit: the standard deviation of the values, or the rate of
    the arm that a rate is compared with; null of a plain rate, which needs none."""

    spread_of: str
    """Whose exploratory record the spread is from: the model's own name, or that of the model with the largest."""

    exploratory: Verdict | None = None
    """The recorded exploratory verdict; null without one."""


class FrozenClaim(Stored):
    """A claim with everything that its verdict will rest on."""

    id: str
    """The name of its function without test_."""

    statement: str
    """Its sentence."""

    rule: str
    """The rule and every control's in words, for people to read."""

    rules: str
    """The digest of the rule and of every control's."""

    alpha: float = 0.05
    """The chance of a false verdict that its rule allows, and with it the chance that a placebo of it is decided."""

    matters: Number
    """The smallest effect that matters, as a distance from the bound in its unit."""

    trials: int
    """How many items it draws."""

    units: int | None = None
    """How many independent units they are expected to give at least, with which power is computed; null for as many."""

    controls: tuple[str, ...]
    """Each control and positive control in a sentence."""

    exclusions: str
    """What its items are drawn from, and which are left out, in a sentence."""

    parts: dict[str, str]
    """Digests of its function and of every fixture, data file and room of vsg_core that it reaches, by name."""

    runs: tuple[FrozenRun, ...]
    """One per model that it applies to."""


class Freeze(Stored):
    """All that was fixed under one name."""

    format: Annotated[Literal[1], Field(alias="schema")] = FREEZE_VERSION
    """Version of this file's format."""

    name: str = Field(pattern=_NAME.pattern)
    """The name of the freeze."""

    frozen: datetime
    """When it was written, UTC."""

    commit: str
    """The commit of the tree that it was made from, which had no changes."""

    note: str = ""
    """What the freeze is for, in a sentence; that of a rehearsal begins with "Rehearsal"."""

    commitment: Commitment
    """To the nonce that determines the items."""

    versions: dict[str, str]
    """Of Python and the libraries that verdicts may depend on."""

    dealing: str = ""
    """The digest of the code that derives the seeds and deals the items; empty in a freeze of before there was one."""

    explored: tuple[tuple[str, int], ...] = ()
    """The id and seed of every claim of the project. Its share of each pool may have been drawn before the freeze, so
    that the confirming run leaves it out."""

    models: tuple[FrozenModel, ...]
    """The models, in the order in which they run."""

    claims: tuple[FrozenClaim, ...]
    """The claims, in the order of their files."""

    model_config = ConfigDict(populate_by_name=True)

    def claim(self, name: str) -> FrozenClaim | None:
        """Return the claim of that id, None if it is not registered here."""
        return next((claim for claim in self.claims if claim.id == name), None)

    def model(self, name: str) -> FrozenModel | None:
        """Return the model of that name, None if it is not registered here."""
        return next((model for model in self.models if model.name == name), None)

    def run(self, claim: str, model: str) -> FrozenRun | None:
        """Return the run of a claim on a model, None if it is not registered there."""
        frozen = self.claim(claim)
        return next((run for run in frozen.runs if run.model == model), None) if frozen else None

    def expected(self, placebos: Iterable[str]) -> float:
        """The number of placebos of these claims that hold or are refuted on average: the sum of their alphas."""
        return sum(claim.alpha for name in placebos if (claim := self.claim(name)))

    def claims_on(self, model: str) -> list[str]:
        """Return the ids of the claims that are registered on a model, in their order."""
        return [claim.id for claim in self.claims if any(run.model == model for run in claim.runs)]

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Every claim on every model that it is registered on, by their names."""
        return [(claim.id, run.model) for claim in self.claims for run in claim.runs]


class Registration(NamedTuple):
    """A freeze with the bytes of its file, on which the seed depends.

    Attributes:
        path: hypotheses/registered/NAME.toml.
    """

    freeze: Freeze
    content: bytes
    path: Path

    @property
    def ledger(self) -> Path:
        """The file of its ledger."""
        return self.path.with_suffix(".ledger.jsonl")

    @property
    def records(self) -> Path:
        """The folder of the records that the lines of its ledger name."""
        return self.path.with_suffix(".records")

    def seed(self, nonce: str) -> str:
        """Derive the seed: the sha256 of the freeze's bytes, a zero byte and the nonce, in hexadecimal.

        Raises:
            WrongUse: the nonce is not the one that the freeze commits to.
        """
        try:
            given = hashlib.sha256(nonce.encode()).hexdigest()
        except UnicodeEncodeError as error:
            raise WrongUse(f"--nonce {nonce!r} is not UTF-8: give its text") from error
        if given != self.freeze.commitment.sha256:
            raise WrongUse(
                f"--nonce: its sha256 is {given}, but {self.freeze.name} commits to "
                f"{self.freeze.commitment.sha256}: give the nonce whose digest that is, without a line end"
            )
        return hashlib.sha256(self.content + b"\0" + nonce.encode()).hexdigest()


def claim_seed(seed: str, claim: str) -> int:
    """Derive the seed of a claim from that of the run: 63 bits of the sha256 of both with a space between."""
    digest = hashlib.sha256(f"{seed} {claim}".encode()).digest()
    return int.from_bytes(digest[:8]) % 2**63


def write_freeze(freeze: Freeze, folder: str | Path) -> Path:
    """Write a freeze to `folder`/NAME.toml, and return its path.

    Raises:
        WrongUse: there is one of that name.
        VsgError: it cannot be written.
    """
    import tomlkit

    path = Path(folder, f"{freeze.name}.toml")
    if path.exists():
        raise WrongUse(f"{path} exists, and a freeze is never changed: choose another name")
    document = freeze.model_dump(mode="json", by_alias=True, exclude_none=True)
    return write_atomically(path, tomlkit.dumps(document))


def read_registration(folder: str | Path, name: str) -> Registration:
    """Read the freeze `folder`/NAME.toml.

    Raises:
        WrongUse: there is none of that name; the line names those there are.
        VsgError: it is damaged.
    """
    path = Path(folder, f"{name}.toml")
    if not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(names_in(folder)) or "none"
        raise WrongUse(f"there is no freeze {name!r} in {folder} (there: {known})")
    try:
        content = path.read_bytes()
        # As JSON, in which an array is a tuple.
        text = json.dumps(tomllib.loads(content.decode()), default=str)
        registration = Registration(Freeze.model_validate_json(text), content, path)
    except ValidationError as error:
        raise VsgError(f"{path} is damaged ({first_fault(error)}): restore it from git") from error
    except (OSError, ValueError) as error:
        raise VsgError(f"cannot read {path}: {error}: restore it from git") from error
    if registration.freeze.name != name:
        raise VsgError(
            f"{path} is a copy of the freeze {registration.freeze.name}: remove it, and use the freeze itself"
        )
    return registration


def names_in(folder: str | Path) -> list[str]:
    """The names of the freezes in a folder; none where there is no such folder."""
    return sorted(path.stem for path in Path(folder).glob("*.toml"))


def check_name(name: str) -> str:
    """Return the name of a freeze if it can be one.

    Raises:
        WrongUse: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise WrongUse(
            f"the name {name!r}: give up to 40 lower-case letters, digits and hyphens, say primary-1"
        )
    return name


def check_commitment(digest: str) -> str:
    """Return the digest of a nonce if it can be one.

    Raises:
        WrongUse: it cannot.
    """
    if not _SHA256.fullmatch(digest):
        raise WrongUse(
            f"--commitment {digest!r}: give the sha256 of the nonce, 64 lower-case hexadecimal digits"
        )
    return digest
