"""The basis of a function: every function, class and constant of the project that it reaches by name.

Found in the files' syntax trees alone, so nothing is imported or run. Where a tree does not say what is reached, more
is taken than may be needed: a key that changes too often costs a measurement, one that changes too seldom a verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vsg_core.runs.modules import (
    ALWAYS,
    CONFIGURED,
    ENVIRONMENT,
    IMPORTING,
    LISTING,
    LOOKING_UP,
    OPENING,
    Import,
    Mentions,
    Module,
    Symbol,
)
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
    def folders(self) -> set[Path]:
        """The folders of the files that it is in."""
        modules = {self.sources.symbol(node).module.path.parent for node in self.nodes}
        return {self.sources.root, *modules}

    @property
    def reads_environment(self) -> bool:
        """Return whether it mentions the environment's variables."""
        return any(each.words & ENVIRONMENT for each in self.mentions)

    @property
    def reads_options(self) -> bool:
        """Return whether it mentions the options of the run."""
        return any(each.words & CONFIGURED for each in self.mentions)

    @property
    def words(self) -> set[str]:
        return {word for each in self.mentions for word in each.words}

    @property
    def joins_names(self) -> bool:
        """Return whether it puts strings together that may be names of files."""
        return any(each.joins for each in self.mentions)

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
    _names: dict[Path, str] = field(default_factory=dict)
    _edges: dict[Node, tuple[frozenset[Node], frozenset[str]]] = field(default_factory=dict)

    def module_of(self, path: Path) -> Module:
        """The module in a file of the project.

        Raises:
            OSError, ValueError, SyntaxError: it cannot be read.
        """
        if path not in self._names:
            self._names[path] = self._name(path)
        name = self._names[path]
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
        nodes, rooms = self._followed(set(starts))
        while further := self._imported_by_string(nodes) - nodes:
            nodes, rooms = self._followed(nodes | further)
        return Closure(self, frozenset(nodes), frozenset(rooms))

    def _followed(self, starts: set[Node]) -> tuple[set[Node], set[str]]:
        """All that these names reach step by step."""
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
        return nodes, rooms

    def _imported_by_string(self, nodes: set[Node]) -> set[Node]:
        """The names of modules that code imports by a string: those that it names, or all if it names none."""
        symbols = [self.symbol(node) for node in nodes]
        if not any(each.mentions.words & IMPORTING for each in symbols):
            return set()
        named = {
            (text, symbol.module.path.parent) for symbol in symbols for text in symbol.mentions.constants
            if all(part.isidentifier() for part in text.split("."))
        }  # fmt: skip
        found = [module for text, near in named if (module := self.find(text, near))]
        return {node for module in found or self.everything() for node in self.all_names(module)}

    def everything(self) -> list[Module]:
        """Every module of the project's folder and of its packages."""
        paths = [
            *self.root.glob("*.py"),
            *(path for name in OWN for path in (self.root / name).rglob("*.py")),
        ]
        found = []
        for path in sorted(paths):
            with suppress(OSError, ValueError, SyntaxError):
                found.append(self.module_of(path))
        return found

    def bound_by(self, module: Module, seen: frozenset[str] = frozenset()) -> set[str]:
        """The names that a module binds, those that it imports by a star included."""
        if module.name in seen:
            return set()
        seen |= {module.name}
        stars = (self.find(name, module.path.parent) for name in module.stars)
        return (module.names - {ALWAYS}).union(*(self.bound_by(each, seen) for each in stars if each))

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
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                # A file of one's own claims may be called as one of the project's is.
                return name if _file(self.root, name) in (None, path) else str(path)
        return str(path)

    def _bases(self, name: str, near: Path | None) -> Iterator[Path]:
        first = name.partition(".")[0]
        if first in sys.stdlib_module_names or first == PACKAGE:
            return
        yield self.root
        if near is not None:
            yield near
            # The folder around one's own claims can be imported from, as the project's can.
            yield near.parent
        if first in OWN:
            yield from map(Path, filter(None, sys.path))
        else:
            yield from self._further_bases

    @cached_property
    def _further_bases(self) -> list[Path]:
        """The folders of pytest.ini's `pythonpath`, and those of sys.path that are not of libraries."""
        ini = ConfigParser(interpolation=None, strict=False)
        with suppress(OSError, ValueError, ConfigError):
            ini.read(self.root / "pytest.ini", encoding="utf-8")
        given = ini.get("pytest", "pythonpath", fallback="").split()
        searched = [Path(name).resolve() for name in sys.path if name]
        own = [path for path in searched if path.is_dir() and not FOREIGN & set(path.parts)]
        prefixes = {Path(name).resolve() for name in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
        # A project may lie in the environment's folder.
        outside = [
            path for path in own
            if path.is_relative_to(self.root) or not any(path.is_relative_to(each) for each in prefixes)
        ]  # fmt: skip
        return list(dict.fromkeys([*(self.root / name for name in given), *outside]))

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
            if any(chain[0] in LOOKING_UP for chain in symbol.mentions.references):
                found += [self._resolve(module, (name,)) for name in module.names - {ALWAYS}]
            found += [self._of_import(each, (), module) for each in symbol.mentions.imports]
            for further, own in found:
                nodes |= further
                rooms |= own
            self._edges[node] = frozenset(nodes), frozenset(rooms)
        return self._edges[node]

    def _run_by_importing(self, module: Module) -> set[Node]:
        """The statements that run when the imports of a module are carried out."""
        names = {found.module for found in module.imports.values()} | set(module.stars) | module.loads
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
        # A star may replace a name of the module.
        sources += [
            Import(star, name)
            for star in module.stars
            if not (nodes or sources) or self._binds(star, name, module)
        ]
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

    def _binds(self, star: str, name: str, module: Module) -> bool:
        target = self.find(star, module.path.parent)
        return target is not None and name in self.bound_by(target)

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
