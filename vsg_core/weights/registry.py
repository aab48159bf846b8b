"""The models that claims can be run on, read from registry.toml."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from vsg_core.errors import VsgError, WrongUse
from vsg_core.vocabulary import FIRST_ENGINE, EngineName, Kind, is_quantised
from vsg_core.weights.names import DEFAULT_MODEL as DEFAULT_MODEL
from vsg_core.weights.names import is_name

REGISTRY = Path(__file__).with_name("registry.toml")
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=STRICT)
class Gguf:
    """A GGUF file that holds all weights of a model."""

    file: str = Field(description="Its name.")
    size: StrictInt = Field(description="Bytes.")
    sha256: str = Field(description="Its sha256, in hex.")


@dataclass(frozen=True, config=STRICT)
class Hub:
    """A repository on the Hugging Face hub at one revision."""

    repo: str = Field(description="OWNER/NAME.")
    revision: str = Field(default="main", description="A commit, a branch or a tag.")
    kind: Literal["hub"] = Field(default="hub", repr=False)

    def __str__(self) -> str:
        return f"hub {self.repo}"


@dataclass(frozen=True, config=STRICT)
class Package:
    """A wheel in a package index."""

    name: str = Field(description="The package's name.")
    sha256: str = Field(description="The wheel's sha256, in hex.")
    size: StrictInt = Field(description="Bytes of the wheel.")


@dataclass(frozen=True, config=STRICT)
class Wheels:
    """Wheels that carry a GGUF in parts."""

    version: str = Field(description="The version of every package.")
    member: str = Field(description="Pattern of the one file in each wheel that holds a part.")
    packages: tuple[Package, ...] = Field(description="In the order in which their parts are joined.")
    kind: Literal["wheels"] = Field(default="wheels", repr=False)

    def __str__(self) -> str:
        first, last = self.packages[0].name, self.packages[-1].name
        names = first if first == last else f"{first} … {last} "
        return f"wheels {names}=={self.version}"


@dataclass(frozen=True, config=STRICT)
class Local:
    """A model folder or .gguf file on this machine; never part of the registry."""

    path: Path = Field(description="Absolute.")
    kind: Literal["local"] = Field(default="local", repr=False)

    def __str__(self) -> str:
        return f"folder {self.path}" if self.path.is_dir() else f"file {self.path}"


@dataclass(frozen=True, config=STRICT)
class Hosted:
    """A model behind an API that takes text only; never part of the registry."""

    model: str = Field(description="The server's name for it.")
    url: str = Field(description="The base of the API, without credentials.")
    kind: Literal["hosted"] = Field(default="hosted", repr=False)

    def __str__(self) -> str:
        return f"hosted at {self.url}"


Source = Hub | Wheels | Local | Hosted


@dataclass(frozen=True, config=STRICT)
class Entry:
    """A model as described before it is loaded."""

    name: str = Field(
        description='Safe in file names: lower case letters, digits, symbols, ".", "-" and "_".'
    )
    family: str = Field(description="A pytest marker, and so an identifier.")
    kind: Kind = Field(description="Trained to continue text, or to follow instructions.")
    sources: tuple[Annotated[Source, Field(discriminator="kind")], ...] = Field(
        description="Where the weights come from, tried in this order; at least one."
    )
    licence: str = Field(default="unknown", description="The licence's name.")
    size: StrictInt | None = Field(default=None, description="Bytes of the weights, None if unknown.")
    size_approx: StrictBool = Field(default=False, description="The size was not measured.")
    parameters: StrictInt | None = Field(default=None, description="Their number, None if unknown.")
    form: str | None = Field(
        default=None, description="The form of the published weights: Q4_K_M, bfloat16, ...; None if unknown."
    )
    gguf: Gguf | None = Field(
        default=None, description="The GGUF that holds the weights, None if they are safetensors."
    )
    named_only: StrictBool = Field(
        default=False, description="Fetch only when the model is named, whatever its size."
    )
    architecture: str | None = Field(default=None, description="transformers' `model_type`.")
    encoder_decoder: StrictBool = Field(default=False, description="Embeddings go to the encoder.")
    note: str | None = Field(
        default=None, description="What a reader must know of it, such as that it was not run here."
    )
    adapter: Hub | Local | None = Field(
        default=None, description="A PEFT adapter of the model; never part of the registry."
    )
    packing: Literal["nf4", "int8"] | None = Field(
        default=None,
        description="What its weights are packed into while loading; never part of the registry.",
    )
    engine: EngineName = Field(default=FIRST_ENGINE, description="What computes; never part of the registry.")
    as_is: StrictBool = Field(
        default=False,
        description="Compute with the kernels of the published form; never part of the registry.",
    )
    series: str | None = Field(
        default=None,
        description="Groups models that differ only in size, kind or quantisation; "
        "None if there are no such siblings.",
    )
    initial: Annotated[
        Mapping[str, Any] | None,
        Field(
            description="Settings at the start of training that a GGUF leaves out of the configuration; "
            "None if they were not published."
        ),
    ] = dataclasses.field(default=None, hash=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_name(self.name) or self.name != self.name.lower():
            raise ValueError('name must be lower case letters, digits, ".", "-" and "_"')
        if not self.family.isidentifier():
            raise ValueError(f"family {self.family!r} must be an identifier: it is a marker")
        if not self.sources:
            raise ValueError("sources is empty")
        if self.gguf is None and any(isinstance(source, Wheels) for source in self.sources):
            raise ValueError("wheels carry a GGUF: gguf is missing")
        return self

    @property
    def is_hosted(self) -> bool:
        """True if it runs on a server that takes text only."""
        return isinstance(self.sources[0], Hosted)

    @property
    def quantised(self) -> bool:
        """True if the published weights have fewer than 16 bits each."""
        return self.form is not None and is_quantised(self.form)

    @property
    def sha256(self) -> str | None:
        """The sha256 of the GGUF; None for safetensors, which the revision identifies."""
        return self.gguf.sha256 if self.gguf else None

    @property
    def revision(self) -> str | None:
        """The pinned revision on the hub, if the hub is a source."""
        return next((source.revision for source in self.sources if isinstance(source, Hub)), None)


def entries() -> list[Entry]:
    """List all models of the registry, in its order.

    Raises:
        VsgError: the file is damaged; the message names the model and the value.
    """
    return list(_read(REGISTRY))


def entry(name: str) -> Entry:
    """Look up a model by name.

    Raises:
        WrongUse: there is no such model; the message suggests the closest names.
    """
    by_name = {known.name: known for known in entries()}
    if name in by_name:
        return by_name[name]
    beginning = [known for known in by_name if name and known.startswith(name.lower())]
    close = (beginning or get_close_matches(name.lower(), by_name, cutoff=0.6))[:3]
    hint = f"did you mean {' or '.join(close)}?" if close else "`vsg models` lists the names"
    raise WrongUse(f"no model {name!r} in the registry, and no such folder or .gguf file; {hint}")


def families() -> list[str]:
    """List the families of the registry, in its order."""
    return list(dict.fromkeys(known.family for known in entries()))


@cache
def _read(path: Path) -> tuple[Entry, ...]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise VsgError(f"{path} is not a model registry: {error}") from error
    models = tuple(_entry(path, table) for table in tables)
    names = [model.name for model in models]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise VsgError(f"{path}: {', '.join(sorted(repeated))} appears more than once")
    return models


def _entry(path: Path, table: dict[str, Any]) -> Entry:
    gguf = table.get("gguf")
    size = {"size": gguf["size"]} if isinstance(gguf, dict) and "size" in gguf else {}
    try:
        model = _ENTRY.validate_python({**size, **table})
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors(include_url=False))
        raise VsgError(f"{path}, model {table.get('name')!r}: {faults}") from error
    if model.adapter or model.packing or model.as_is or model.engine != FIRST_ENGINE:
        raise VsgError(
            f"{path}, model {model.name!r}: adapter, packing, engine and as_is are choices of a run; leave them out"
        )
    for source in model.sources:
        if isinstance(source, (Local, Hosted)):
            raise VsgError(
                f"{path}, model {model.name!r}: unknown kind of source {source.kind!r}; use hub or wheels"
            )
    return model


_ENTRY = TypeAdapter(Entry)


def _fault(fault: ErrorDetails) -> str:
    """Describe one fault, with the field and its value."""
    field = ".".join(map(str, fault["loc"]))
    match fault["type"]:
        case "missing":
            return f"{field} is missing"
        case "unexpected_keyword_argument":
            return f"unknown field {field}"
        case "union_tag_not_found":
            return f"{field}.kind is missing; use hub or wheels"
        case "union_tag_invalid":
            return f"{field}: unknown kind of source {fault['ctx']['tag']!r}; use hub or wheels"
        case "value_error":
            return str(fault["ctx"]["error"])
    return f"{field} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
