"""Looks at the concept tokens of a model: one JSON file per model, in microscope/ next to records/.

They judge nothing: a few fixed prompts to look at, which the report shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from vsg_core.errors import VsgError
from vsg_core.records.files import file_name, json_text, parsed, read_text, set_apart, write_atomically
from vsg_core.records.record import SCHEMA_VERSION, ModelReference, Run, Stored
from vsg_core.records.upgrade import upgraded_microscope

FOLDER = "microscope"


class SoftStep(Stored):
    """One concept token."""

    tokens: tuple[tuple[str, float], ...]
    """Its heaviest components with their weights."""

    rest: float
    """The weight of all other components."""

    entropy: float
    """Of the next-token distribution it was made from, in bits."""

    likely: tuple[tuple[str, float], ...]
    """The most probable next tokens with their probabilities."""

    nearest: str
    """The token whose embedding is nearest to the vector."""

    distance: float
    """L2 distance to that embedding, in mean norms of a token embedding."""


class GreedyStep(Stored):
    """One token of greedy decoding."""

    token: str
    probability: float
    entropy: float
    """Of the next-token distribution, in bits."""


class SeenPrompt(Stored):
    """Both paths after one prompt."""

    prompt: str
    soft: tuple[SoftStep, ...]
    greedy: tuple[GreedyStep, ...]
    parts_at: int | None
    """The first step, from 0, at which the heaviest token is not the greedy one; null where there is none."""


class Microscope(Stored):
    """The concept tokens of a model as the report shows them."""

    format: Annotated[Literal[2], Field(alias="schema")] = SCHEMA_VERSION
    model: ModelReference
    mixing: dict[str, float]
    """How logits became mixtures: the settings that were on."""

    prompts: tuple[SeenPrompt, ...]
    dtype: str | None = None
    rests_on: str = ""
    """A digest of the weights, the dtype, the device, the libraries and the code; empty where it is not known."""

    run: Run

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def of(
        cls,
        seen: Mapping[str, Any],
        model: ModelReference,
        run: Run,
        dtype: str | None = None,
        rests_on: str = "",
    ) -> Microscope:
        """Store a look: the mixing and the prompts as the generator returns them, in lists."""
        about = {"model": model, "run": run, "dtype": dtype, "rests_on": rests_on}
        return cls.model_validate({**seen, **about}, strict=False)


def write_microscope(seen: Microscope, reports: str | Path) -> Path:
    """Write it to `reports`/microscope/MODEL.json, whole or not at all; returns the path.

    A look at other weights that has this place is kept under a name with the digest of its weights.

    Raises:
        WrongUse: the model's name cannot name a file.
        VsgError: the file cannot be written.
    """
    path = _path(reports, seen.model.name)
    if seen.model.weights and path.is_file():
        with suppress(VsgError):
            before = _read(path)
            if before.model.weights not in ("", seen.model.weights):
                write_microscope(before.model_copy(update={"model": set_apart(before.model)}), reports)
    text = json_text(seen.model_dump(mode="json", by_alias=True), indent=1)
    return write_atomically(path, text + "\n")


def read_microscope(reports: str | Path, model_name: str) -> Microscope | None:
    """The look at a model; None where there is none that can be read."""
    with suppress(VsgError, OSError):
        path = _path(reports, model_name)
        return _read(path) if path.is_file() else None
    return None


def read_microscopes(reports: str | Path) -> list[Microscope]:
    """All in `reports`/microscope, by model; none where there is no such folder.

    Raises:
        VsgError: a file is damaged, or of another schema; one line that names it.
    """
    return [_read(path) for path in sorted(Path(reports, FOLDER).glob("*.json"))]


def _path(reports: str | Path, model_name: str) -> Path:
    return Path(reports, FOLDER, f"{file_name(model_name)}.json")


def _read(path: Path) -> Microscope:
    return parsed(Microscope, upgraded_microscope, path, read_text(path))
