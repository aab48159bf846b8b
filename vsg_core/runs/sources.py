"""The basis of a function: every function, class and constant of the project that it reaches by name.

Found in the files' syntax trees alone, so nothing is imported or run. Where a tree does not say what is reached, more
is taken than may be needed: a key that changes too often costs a measurement, one that changes too seldom a verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vsg_core.runs.modules import ALWAYS, LISTING, OPENING, Import, Mentions, Module, Symbol
from vsg_core.runs.syntax import digest

PACKAGE = "vsg_core"
HOME = Path(__file__).parents[1]
# Packages of the suite: part of a project wherever they lie.
OWN = frozenset({"fixtures", "hypotheses"})
# Folders below a project whose files are other people's.
FOREIGN = frozenset(
    {"site-packages", "dist-packages", "node_modules", "__pycache__", ".git", ".venv", ".tox"}
)


@dataclass(frozen=True)
class Node:
    """A name of a module."""

    module: str
    name: str


@dataclass(frozen=True)
class Closure:
    """All that some names of the project reach.

    Args:
        nodes: the names, those it began with included.
        rooms: the modules of vsg_core that they reach, "vsg_core.judge.rules"; "vsg_core" stands for all.
    """

    sources: Sources
    nodes: frozenset[Node]
    rooms: frozenset[str]

    @cached_property
    def digest(self) -> str:
        """A digest of the trees of all that is reached."""
        parts = sorted((node.module, node.name) for node in self.nodes)
        return digest(text for place in parts for text in (*place, self.sources.symbol(Node(*place)).digest))

    @property
    def mentions(self) -> Iterator[Mentions]:
        """Names and strings in the statements of each name."""
        return (self.sources.symbol(node).mentions for node in self.nodes)

    @property
    def constants(self) -> set[str]:
        return {text for each in self.mentions for text in each.constants}

    @property
    def patterns(self) -> set[tuple[str | None, ...]]:
        return {pattern for each in self.mentions for pattern in each.patterns}

    @property
    def opens_files(self) -> bool:
        """Return whether it mentions anything by which files are opened."""
        return any(each.words & OPENING for each in self.mentions)

    @property
    def lists_files(self) -> bool:
        """Return whether it mentions anything by which files are found that it does not name."""
        return any(each.words & LISTING for each in self.mentions)


@dataclass
class Sources:
    """The modules of a project, each read once.

    Args:
        root: the project's folder.
    """

    root: Path
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _edges: dict[Node, tuple[frozenset[Node], frozenset[str]]] = field(default_factory=dict)

    def module_of(self, path: Path) -> Module:
        """The module in a file of the project.

        Raises:
            OSError, ValueError, SyntaxError: it cannot be read.
        """
        name = self._name(path)
        if (known := self._modules.get(name)) is not None and known.path == path:
            return known
        module = self._modules[name] = Module.of(name, path)
        return module

    def symbol(self, node: Node) -> Symbol:
        """The statements behind a node of this project."""
        module = self._modules[node.module]
        if module is None:
            raise KeyError(node.module)
        return module.symbols[node.name]

    def closure(self, starts: Iterable[Node]) -> Closure:
        """All that these names reach."""
        waiting = list(starts)
        nodes: set[Node] = set()
        rooms: set[str] = set()
        while waiting:
            node = waiting.pop()
            if node not in nodes:
                nodes.add(node)
                further, own = self._reached(node)
                rooms |= own
                waiting += further
        return Closure(self, frozenset(nodes), frozenset(rooms))

    def named(self, module: Module, name: str) -> list[Node]:
        """The places where a name of a module is made, in this module or in others of the project."""
        nodes, _ = self._resolve(module, (name,))
        return [node for node in nodes if node.name != ALWAYS]

    def all_names(self, module: Module) -> list[Node]:
        """Every name of a module."""
        return [Node(module.name, name) for name in module.symbols]

    def find(self, name: str, near: Path | None = None) -> Module | None:
        """A module of the project by its dotted name; None for one of Python's, of a library or of vsg_core.

        Args:
            near: the folder of the module that imports it, which is searched too.
        """
        if name not in self._modules:
            path = next(filter(None, (_file(base, name) for base in self._bases(name, near))), None)
            known = {str(each.path): each for each in self._modules.values() if each}
            try:
                self._modules[name] = known.get(str(path)) or Module.of(name, path) if path else None
            except (OSError, ValueError, SyntaxError):
                # It cannot be imported either; what imports it fails.
                self._modules[name] = None
        return self._modules[name]

    def _name(self, path: Path) -> str:
        """The dotted name by which the project's modules import a file."""
        for base in (self.root, *(folder.parent for folder in path.parents if folder.name in OWN)):
            if path.is_relative_to(base):
                parts = path.relative_to(base).with_suffix("").parts
                return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return path.stem

    def _bases(self, name: str, near: Path | None) -> Iterator[Path]:
        first = name.partition(".")[0]
        if first in sys.stdlib_module_names or first == PACKAGE:
            return
        yield self.root
        if near is not None:
            yield near
        if first in OWN:
            yield from map(Path, filter(None, sys.path))

    def _reached(self, node: Node) -> tuple[frozenset[Node], frozenset[str]]:
        """The names, and the modules of vsg_core, that a name reaches in one step."""
        if node not in self._edges:
            symbol = self.symbol(node)
            module = symbol.module
            nodes: set[Node] = {Node(module.name, ALWAYS)}
            rooms: set[str] = set()
            if node.name == ALWAYS:
                nodes |= self._run_by_importing(module)
            found = [self._resolve(module, chain) for chain in symbol.mentions.references]
            found += [self._of_import(each, (), module) for each in symbol.mentions.imports]
            for further, own in found:
                nodes |= further
                rooms |= own
            self._edges[node] = frozenset(nodes), frozenset(rooms)
        return self._edges[node]

    def _run_by_importing(self, module: Module) -> set[Node]:
        """The statements that run when the imports of a module are carried out."""
        names = {found.module for found in module.imports.values()} | set(module.stars)
        names |= {f"{found.module}.{found.attribute}" for found in module.imports.values() if found.attribute}
        parents = {name.rsplit(".", up)[0] for name in names for up in range(1, name.count(".") + 1)}
        modules = (self.find(name, module.path.parent) for name in names | parents)
        return {Node(each.name, ALWAYS) for each in modules if each}

    def _resolve(
        self, module: Module, chain: tuple[str, ...], seen: frozenset[tuple[str, str]] = frozenset()
    ) -> tuple[set[Node], set[str]]:
        """The targets of a dotted name of a module: names of the project, and modules of vsg_core."""
        name = chain[0]
        if (module.name, name) in seen:
            return set(), set()
        seen |= {(module.name, name)}
        nodes: set[Node] = set()
        rooms: set[str] = set()
        if name in module.symbols:
            nodes.add(Node(module.name, name))
        sources = [module.imports[name]] if name in module.imports else []
        if not nodes and not sources:
            sources = [Import(star, name) for star in module.stars]
        for source in sources:
            further, own = self._of_import(source, chain[1:], module, seen)
            nodes |= further
            rooms |= own
        return nodes, rooms

    def _of_import(
        self,
        found: Import,
        rest: tuple[str, ...],
        module: Module,
        seen: frozenset[tuple[str, str]] = frozenset(),
    ) -> tuple[set[Node], set[str]]:
        """The targets of an imported name, with the attributes that are read of it."""
        if found.module.partition(".")[0] == PACKAGE:
            return set(), {_of_package(found.module, [*filter(None, [found.attribute]), *rest])}
        target = self.find(found.module, module.path.parent)
        if target is None and not self._has(found.module, module):
            return set(), set()
        chain = (*filter(None, [found.attribute]), *rest)
        if target is not None and chain and (chain[0] in target.names or target.stars):
            return self._resolve(target, chain, seen)
        if chain and self._has(f"{found.module}.{chain[0]}", module):
            return self._of_import(Import(f"{found.module}.{chain[0]}"), chain[1:], module, seen)
        # A module as a whole, or an attribute that nothing here makes.
        nodes = set(self.all_names(target)) if target else set()
        if target and target.imports and not chain:
            nodes |= {node for name in target.imports for node in self._resolve(target, (name,), seen)[0]}
        return nodes, set()

    def _has(self, name: str, module: Module) -> bool:
        """Return whether the project has a module or a folder of modules of this name."""
        if self.find(name, module.path.parent) is not None:
            return True
        parts = name.split(".")
        folders = (base.joinpath(*parts) for base in self._bases(name, module.path.parent))
        return not FOREIGN & set(parts) and any(folder.is_dir() for folder in folders)


def is_of_project(path: Path, root: Path) -> bool:
    """Return whether a file is part of a project: in its folder, or a module of its fixtures; vsg_core's are not."""
    if path.is_relative_to(HOME):
        return False
    below = path.is_relative_to(root) and not FOREIGN & set(path.relative_to(root).parts)
    return below or path.parent.name in OWN


def _of_package(module: str, chain: list[str]) -> str:
    """The module of vsg_core in which a dotted name is made; "vsg_core" if it is not said."""
    if module == PACKAGE and chain:
        if chain[0] in _face():
            return _face()[chain[0]]
        module, chain = f"{module}.{chain[0]}", chain[1:]
    return module


_FACE: dict[str, str] = {}


def _face() -> dict[str, str]:
    """The module behind each name of the public face."""
    if not _FACE:
        stub = HOME / "__init__.pyi"
        imports = Module.of(f"{PACKAGE}.__init__", stub).imports
        _FACE.update({name: found.module for name, found in imports.items()})
    return _FACE


def _file(base: Path, name: str) -> Path | None:
    """The file of a module below a folder."""
    stem = base.joinpath(*name.split("."))
    for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
        if path.is_file() and not FOREIGN & set(path.relative_to(base).parts):
            return path
    return None
