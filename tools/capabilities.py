"""Capabilities that claims ask of an engine beyond those that every engine has, read from the sources.

A claim reaches an optional capability if its function, its fixtures, or what these call in the project or in vsg_core
mentions the member of `LanguageModel` that needs it. Nothing is imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vsg_core.judge.claims import Claim
from vsg_core.runs.keys import Project
from vsg_core.runs.modules import Module, Symbol

ROOT = Path(__file__).parents[1]
PACKAGE = "vsg_core"
ENGINES = ROOT / PACKAGE / "generator" / "engine"
PROTOCOL = ENGINES / "protocol.py"
# The members of LanguageModel that need each optional capability of protocol.py.
MEMBERS = {
    "LayerStates": ("hidden_states",),
    "LogitLens": ("final_states", "lens"),
    "HeadTable": ("head_table",),
    "PositionTable": ("position_table",),
    "Float64": ("in_float64",),
    "RoundedWeights": ("rounded",),
    "UntrainedTwin": ("untrained",),
    "LibraryScores": ("library_scores",),
    "Gradients": ("gradients_after",),
}
# The rooms that implement these members: what they mention, every claim would reach.
BEHIND = (f"{PACKAGE}.generator.engine", f"{PACKAGE}.generator.model")
# A class with these methods is an engine.
SURFACE = frozenset({"start", "step", "select"})


def optional_capabilities() -> dict[str, tuple[str, frozenset[str]]]:
    """Return the optional capabilities of protocol.py: the first line of each docstring, and its methods.

    Raises:
        ValueError: MEMBERS lacks one of them, or has one that is not there.
    """
    found = {
        each.name: (_first_line(each), _methods(each))
        for each in ast.parse(PROTOCOL.read_text(encoding="utf-8")).body
        if isinstance(each, ast.ClassDef)
        and each.name != "Engine"
        and any(isinstance(name, ast.Name) and name.id == "runtime_checkable" for name in each.decorator_list)
    }
    if differing := found.keys() ^ MEMBERS.keys():
        raise ValueError(f"MEMBERS and {PROTOCOL.name} differ in {', '.join(sorted(differing))}")
    return found


def second_engine() -> frozenset[str]:
    """Return the methods of the engine that runs on llama.cpp.

    Raises:
        ValueError: there is none.
    """
    room = ENGINES.parent
    for path in sorted(each for each in room.rglob("*.py") if "llama" in str(each.relative_to(room))):
        classes = {
            each.name: each
            for each in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(each, ast.ClassDef)
        }
        for each in classes.values():
            if (methods := _inherited(each, classes)) >= SURFACE:
                return methods
    raise ValueError(
        f"no class of {room} whose path names llama has the methods {', '.join(sorted(SURFACE))} of an engine"
    )


def lacking(methods: frozenset[str]) -> set[str]:
    """Return the optional capabilities that an engine with these methods does not have."""
    return {name for name, (_, needed) in optional_capabilities().items() if not needed <= methods}


@cache
def project() -> Project:
    """The claims of this repository and their fixtures."""
    return Project(ROOT)


def reached(claim: Claim) -> set[str]:
    """Return the optional capabilities that a claim and its fixtures reach."""
    function = f"test_{claim.id}"
    for path in sorted((ROOT / "hypotheses").glob("test_*.py")):
        module = project().sources.module_of(path)
        if function in module.symbols:
            mentioned = _mentioned(module, function)
            return {name for name, members in MEMBERS.items() if mentioned & set(members)}
    raise ValueError(f"{claim.id} is in no file of hypotheses/")


def is_across(claim: Claim) -> bool:
    """Return whether a claim is judged over the records of several models, so that it asks no engine itself."""
    function = f"test_{claim.id}"
    paths = [p for p in (ROOT / "hypotheses").glob("test_*.py") if f"def {function}(" in p.read_text("utf-8")]
    return "fixture records" in project().parts(paths[0], function)


def _mentioned(module: Module, function: str) -> set[str]:
    """The attributes that a claim, its fixtures, and what they call mention."""
    sources = project().sources
    named = sources.named(module, function)
    fixtures = project().fixtures.reached(module, named).values()
    closure = sources.closure([*named, *(each.node for found in fixtures for each in found)])
    attributes: set[str] = set()
    for node in closure.nodes:
        symbol = sources.symbol(node)
        attributes |= _attributes(symbol)
        for place, name in _of_package(symbol):
            attributes |= _reached_in_package(place, name)
    return attributes


def _attributes(symbol: Symbol) -> set[str]:
    return {
        node.attr
        for statement in symbol.statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and not _is_reference(node.value)
    }


def _is_reference(owner: ast.expr) -> bool:
    """Return whether this is the model that a gate compares with, which always runs on transformers."""
    return isinstance(owner, ast.Name) and owner.id == "reference"


def _of_package(symbol: Symbol) -> Iterator[tuple[str, str]]:
    """The names of vsg_core that a symbol mentions: (module, name)."""
    for chain in symbol.mentions.references:
        found = symbol.module.imports.get(chain[0])
        if found is None or found.module.partition(".")[0] != PACKAGE:
            continue
        name = found.attribute or (chain[1] if len(chain) > 1 else "")
        yield _home(found.module, name), name


@cache
def _face() -> dict[str, str]:
    """The module behind each name of the public face."""
    imports = Module.of(f"{PACKAGE}.__init__", ROOT / PACKAGE / "__init__.pyi").imports
    return {name: found.module for name, found in imports.items()}


def _home(module: str, name: str) -> str:
    return _face().get(name, module) if module == PACKAGE else module


@cache
def _reached_in_package(module: str, name: str) -> frozenset[str]:
    """The attributes that a name of vsg_core, and what it calls there, mentions."""
    attributes: set[str] = set()
    waiting, seen = [(module, name)], set[tuple[str, str]]()
    while waiting:
        place = waiting.pop()
        if place in seen or place[0].startswith(BEHIND):
            continue
        seen.add(place)
        parsed = _package_module(place[0])
        if parsed is None or place[1] not in parsed.symbols:
            continue
        symbol = parsed.symbols[place[1]]
        attributes |= _attributes(symbol)
        own = {chain[0] for chain in symbol.mentions.references if chain[0] in parsed.symbols}
        waiting += [(place[0], each) for each in own] + list(_of_package(symbol))
    return frozenset(attributes)


@cache
def _package_module(name: str) -> Module | None:
    stem = ROOT.joinpath(*name.split("."))
    path = next((p for p in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")) if p.is_file()), None)
    return Module.of(name, path) if path else None


def _first_line(defined: ast.ClassDef) -> str:
    return (ast.get_docstring(defined) or "").partition("\n")[0]


def _methods(defined: ast.ClassDef) -> frozenset[str]:
    return frozenset(each.name for each in defined.body if isinstance(each, ast.FunctionDef))


def _inherited(defined: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> frozenset[str]:
    """The methods of a class and of its bases in the same file."""
    bases = [classes[base.id] for base in defined.bases if isinstance(base, ast.Name) and base.id in classes]
    return _methods(defined).union(*(_inherited(base, classes) for base in bases))
