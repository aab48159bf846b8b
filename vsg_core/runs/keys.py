"""Keys: what the verdict of a claim on a model rests on, digested, so that only what changed is measured again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

from vsg_core.errors import VsgError
from vsg_core.judge.claims import Claim
from vsg_core.projects import CLAIMS
from vsg_core.records import provenance
from vsg_core.records.files import measured_digest
from vsg_core.records.record import Key
from vsg_core.runs.data_files import DataFiles
from vsg_core.runs.fixtures import Fixtures
from vsg_core.runs.modules import Module
from vsg_core.runs.rooms import room_digests
from vsg_core.runs.sources import Closure, Sources
from vsg_core.runs.syntax import digest
from vsg_core.vocabulary import FIRST_ENGINE
from vsg_core.weights import loading
from vsg_core.weights.hosted_models import abilities_of
from vsg_core.weights.names import is_commit
from vsg_core.weights.registry import Entry

NO_KEY = "made before records had keys"
# Parts whose values a reader understands; those of others are digests.
PLAIN = frozenset(
    {"dtype", "device", "seed", "thinking", "packing", "trials", "kind", "abilities", "parameters"}
)
NOTHING: Mapping[str, Path] = MappingProxyType({})
ENGINE = frozenset({"engine", "python", "bitsandbytes", "peft", "llama-cpp-python", *provenance.PACKAGES})


@dataclass
class Project:
    """The sources of a project of claims, from which the keys of its claims are made.

    Args:
        root: its folder, with hypotheses/ and fixtures/.
        claims: the folders of the claims; none for `root`/hypotheses.
        modules: further modules with fixtures, besides fixtures/*.py.
        options: those of the run that are not the suite's own, by name.
    """

    root: Path
    claims: tuple[Path, ...] = ()
    modules: tuple[Path, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    _parts: dict[tuple[Path, str], dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the folders absolute, as the paths of claims and of loaded modules are."""
        self.root = Path(os.path.normpath(Path.cwd() / self.root))
        self.claims = tuple(Path(os.path.normpath(Path.cwd() / folder)) for folder in self.claims)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.root)

    @cached_property
    def fixtures(self) -> Fixtures:
        return Fixtures(self.sources, list(dict.fromkeys([*self._own_fixtures, *self.modules])))

    @cached_property
    def data(self) -> DataFiles:
        folders = dict.fromkeys([self._fixture_folder, *(self.claims or (self.root / CLAIMS,))])
        return DataFiles(self.root, tuple(folders))

    @cached_property
    def _fixture_folder(self) -> Path:
        """The folder of the package `fixtures` that claims import."""
        package = self.sources.find("fixtures")
        return package.path.parent if package else self.root / "fixtures"

    @cached_property
    def _own_fixtures(self) -> list[Path]:
        return sorted(self._fixture_folder.glob("[!_]*.py"))

    def file_of(self, claim: str) -> Path | None:
        """The file of the function of a claim; None if no file of claims has it.

        Raises:
            OSError, ValueError, SyntaxError: a file cannot be read.
        """
        paths = (
            path for folder in self.claims or (self.root / CLAIMS,) for path in sorted(folder.glob("*.py"))
        )
        return next((path for path in paths if f"test_{claim}" in self.sources.module_of(path).symbols), None)

    def parts(self, path: Path, function: str, further: Mapping[str, Path] = NOTHING) -> dict[str, str]:
        """The parts of a key that the sources give: the claim's function, its fixtures, data files and vsg_core.

        Args:
            path: the file of the claim.
            function: the name that the file gives its function, or the class that it is in.
            further: fixtures that pytest sets up for it, with their files; where the sources do not show one, its
                whole file counts.

        Raises:
            OSError, ValueError, SyntaxError: a file cannot be read.
        """
        if (path, function) not in self._parts:
            self._parts[path, function] = self._made_of(self.sources.module_of(path), function, further)
        return self._parts[path, function]

    def _made_of(self, module: Module, function: str, further: Mapping[str, Path]) -> dict[str, str]:
        named = self.sources.named(module, function)
        # A function that the module makes in some other way rests on the whole module.
        starts = {"claim": named or self.sources.all_names(module)}
        for name, found in self.fixtures.reached(module, starts["claim"]).items():
            starts[f"fixture {name}"] = [each.node for each in found]
        for name, path in further.items():
            if f"fixture {name}" not in starts:
                starts[f"fixture {name}"] = self.sources.all_names(self.sources.module_of(path))
        if hooks := self.fixtures.hooks(module.path):
            starts["conftest"] = hooks
        if effects := self.fixtures.effects(module.path, self.claims or (self.root / CLAIMS,)):
            starts["other modules"] = effects
        closures = {name: self.sources.closure(nodes) for name, nodes in starts.items()}
        parts = {name: closure.digest for name, closure in closures.items()}
        for closure in closures.values():
            parts |= {f"data {name}": value for name, value in self.data.read_by(closure).items()}
            parts |= _environment(closure) | self._options(closure)
        return parts | room_digests({room for closure in closures.values() for room in closure.rooms})

    def _options(self, closure: Closure) -> dict[str, str]:
        """The options of the run that code names, if it reads any."""
        if not closure.reads_options:
            return {}
        named = closure.words | {text.lstrip("-").replace("-", "_") for text in closure.constants}
        return {f"option {name}": digest([value]) for name, value in self.options.items() if name in named}


def _environment(closure: Closure) -> dict[str, str]:
    """The variables of the environment that code names, if it reads any."""
    names = {*os.environ} & closure.constants if closure.reads_environment else set()
    return {f"environment {name}": digest([os.environ[name]]) for name in sorted(names)}


def judged_by(claim: Claim) -> dict[str, str]:
    """The parts of a key that judge: rule, arms, kinds and seed; no wording is part of them."""
    arms = [(arm.name, arm.role, arm.dose and asdict(arm.dose)) for arm in claim.arms]
    return {
        "rule": digest([claim.rules_digest]),
        "arms": digest([json.dumps(arms)]),
        "kinds": " ".join(claim.kinds),
        "seed": str(claim.seed),
    }


def measured_on(
    entry: Entry, weights: str, dtype: str | None, device: str, thinking: str | None = None
) -> dict[str, str]:
    """The parts of a key that the model gives.

    Args:
        weights: identifies its bytes.
        dtype: as `load_model` takes it.
        device: "cpu", "cuda" or "mps".
        thinking: the run's choice, "on" or "off".
    """
    if entry.is_hosted:
        # The server computes, in what it likes.
        return {"weights": weights, "engine": "hosted", **abilities_of(entry)}
    initial = {} if entry.gguf is None else entry.initial
    described = digest([entry.kind, json.dumps(initial, default=str, sort_keys=True)])
    chosen = {"thinking": thinking, "packing": entry.packing}
    chosen |= _library_versions("bitsandbytes" if entry.packing else "", "peft" if entry.adapter else "")
    if entry.engine != FIRST_ENGINE:
        # In place of the one that `engine_parts` gives.
        chosen |= {"engine": entry.engine, "weights as-is": "yes" if entry.as_is else None}
        chosen |= _library_versions("llama-cpp-python")
    return {
        "weights": weights,
        "model": described,
        "dtype": dtype or "float32",
        "device": device,
        **{name: value for name, value in chosen.items() if value},
    }


def _library_versions(*names: str) -> dict[str, str]:
    """The versions of the libraries that compute for this model alone; one that is missing has none."""
    found: dict[str, str] = {}
    for name in filter(None, names):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def weights_of(entry: Entry) -> str:
    """Identify the weights of a model as its records do; empty where only fetching them would tell.

    Those that the registry pins need not be on this machine.
    """
    with suppress(VsgError, OSError):
        if found := loading.weights_id(entry):
            return found
    return entry.sha256 or (entry.revision if is_commit(entry.revision or "") else None) or ""


def engine_parts() -> dict[str, str]:
    """The parts of a key that the libraries give."""
    versions = provenance.versions()
    minor = ".".join(versions["python"].split(".")[:2])
    return {"engine": FIRST_ENGINE, **versions, "python": minor}


def device_class(device: str) -> str:
    """The kind of device that a name stands for, "auto" included: "cpu", "cuda" or "mps".

    Imports torch only where a model may run on something other than the CPU.

    Raises:
        WrongUse: this machine has no such device.
    """
    if device != "auto":
        return device.partition(":")[0]
    if provenance.versions()["torch"].endswith("+cpu") and sys.platform != "darwin":
        return "cpu"
    from vsg_core.generator.engine.placement import as_device

    return str(as_device(device).type)


def measured_over(reports: Path) -> dict[str, str]:
    """The part of a key of a claim across models that the records give: all those that it may use."""
    return {"measured records": measured_digest(reports)}


def claim_key(claim: Claim, sources: Mapping[str, str], measured: Mapping[str, str]) -> Key:
    """The key of a claim.

    Args:
        sources: the parts that `Project.parts` gives.
        measured: those of `measured_on`, or of `measured_over`.
    """
    return key_of(sources, judged_by(claim), engine_parts(), measured)


def key_of(*parts: Mapping[str, str]) -> Key:
    """The key of these parts."""
    together = {name: value for each in parts for name, value in each.items()}
    ordered = dict(sorted(together.items()))
    return Key(digest=digest(text for item in ordered.items() for text in item), parts=ordered)


def reasons(before: Key | None, now: Key) -> list[str]:
    """Why a record is stale: "rule changed", "fixture forks changed", "engine changed (torch 2.12.0 to 2.13.0)".

    Empty where it is not.
    """
    if before is None:
        return [NO_KEY]
    if before.digest == now.digest:
        return []
    return list(dict.fromkeys(_differences(before.parts, now.parts))) or ["key changed"]


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        was, becomes = before.get(name), now.get(name)
        if was == becomes:
            continue
        if was is None or becomes is None:
            # What a claim newly reaches, or no longer, it does by a change of itself or of another part.
            if name in ENGINE or "claim" not in {*before} & {*now} or before["claim"] == now["claim"]:
                yield f"{name} {'is new' if was is None else 'is gone'}"
        elif name in ENGINE:
            yield f"engine changed ({name} {was} to {becomes})"
        elif name in PLAIN:
            yield f"{name} changed ({was} to {becomes})"
        else:
            yield f"{name} changed"
