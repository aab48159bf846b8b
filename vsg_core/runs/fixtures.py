"""The fixtures that a claim reaches, found by name in the sources, as pytest finds them when it collects."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vsg_core.runs.modules import ALWAYS, IMPORTING, Function, Module, Symbol
from vsg_core.runs.sources import Node, Sources

CONFTEST = "conftest.py"
# pytest's own, and those that say what is selected: no evidence is made of them.
HOOKS = ("pytest_",)
# Functions of a file of tests that pytest calls around them, and the hook that makes its tests.
AROUND = ("setup_", "teardown_", "setUp", "tearDown", "pytest_")


@dataclass(frozen=True)
class Definition:
    """A fixture as a module defines it.

    Args:
        wants: the names of the fixtures that it asks for.
        always: it is set up without being asked for.
    """

    node: Node
    wants: frozenset[str]
    always: bool = False


@dataclass
class Fixtures:
    """The fixtures of a project.

    Args:
        files: the modules whose fixtures every claim can ask for, in the order of their names.
    """

    sources: Sources
    files: list[Path]
    _local: dict[str, dict[str, list[Definition]]] = field(default_factory=dict)

    def reached(self, module: Module, claim: list[Node]) -> dict[str, list[Definition]]:
        """All definitions of each fixture that a claim reaches, by name.

        A name that a file of claims or a conftest.py overrides has several.

        Args:
            module: the file that the claim is collected from.
            claim: the names that its function is made of.
        """
        known = self._known(module)
        symbols = [module.symbols[ALWAYS], *map(self.sources.symbol, claim)]
        if any(each.mentions.words & {"usefixtures"} and not _marked(each) for each in symbols):
            # Its marks name fixtures otherwise than by strings.
            waiting = set(known)
        else:
            waiting = set()
        waiting |= {name for symbol in symbols for function in symbol.functions for name in _asked(function)}
        waiting |= {name for symbol in symbols for name in _marked(symbol)}
        waiting |= {name for name, found in known.items() if any(each.always for each in found)}
        waiting |= self._named_inside(claim, known)
        found: dict[str, list[Definition]] = {}
        while waiting:
            name = waiting.pop()
            if name in known and name not in found:
                found[name] = known[name]
                waiting |= {wanted for each in known[name] for wanted in each.wants}
                waiting |= self._named_inside([each.node for each in known[name]], known)
        return found

    def conftests(self, path: Path) -> list[Module]:
        """The conftest.py files that pytest may load for a file: from the project's folder down, or all above it."""
        root = self.sources.root
        inside = path.is_relative_to(root)
        folders = [folder for folder in reversed(path.parents) if not inside or folder.is_relative_to(root)]
        files = [folder / CONFTEST for folder in folders]
        return [self.sources.module_of(file) for file in files if file.is_file()]

    def hooks(self, path: Path) -> list[Node]:
        """Return what pytest runs around the claims of a file besides fixtures.

        The hooks and statements of conftest.py files, the hooks of plugins, and setup_module and the like of the file.
        """
        conftests = self.conftests(path)
        always = [Node(each.name, ALWAYS) for each in conftests if each.symbols[ALWAYS].statements]
        plugins = [*conftests, *self._everywhere, *self._plugins(conftests)]
        hooks = [node for each in plugins for node in self._functions(each, HOOKS)]
        own = self._functions(self.sources.module_of(path), AROUND)
        return list(dict.fromkeys([*always, *hooks, *own]))

    def effects(self, path: Path, folders: Iterable[Path]) -> list[Node]:
        """The statements by which modules that are loaded with a claim's change others that they import."""
        files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
        modules = list(self._everywhere)
        own = self.sources.module_of(path)
        for file in files:
            # A file that cannot be read cannot be collected either.
            with suppress(OSError, ValueError, SyntaxError):
                modules.append(self.sources.module_of(file))
        return [Node(each.name, ALWAYS) for each in modules if each is not own and _acts_on_imports(each)]

    def _functions(self, module: Module, beginnings: tuple[str, ...]) -> list[Node]:
        """The functions of a module whose names begin so, imported ones included."""
        return [
            node
            for name in sorted(self.sources.bound_by(module))
            if name.startswith(beginnings)
            for node in self.sources.named(module, name)
            if any(isinstance(each, Function) for each in self.sources.symbol(node).statements)
        ]

    def _plugins(self, conftests: Iterable[Module]) -> list[Module]:
        """The modules of the project that conftest.py files name as plugins, and those that these name."""
        found: list[Module] = []
        waiting = list(conftests)
        while waiting:
            module = waiting.pop()
            symbol = module.symbols.get("pytest_plugins")
            for text in sorted(symbol.mentions.constants) if symbol else ():
                plugin = self.sources.find(text, module.path.parent)
                if plugin and plugin not in found:
                    found.append(plugin)
                    waiting.append(plugin)
        return found

    def _known(self, module: Module) -> dict[str, list[Definition]]:
        """Every fixture that a claim of this module can ask for."""
        known: dict[str, list[Definition]] = {}
        conftests = self.conftests(module.path)
        for each in [*self._everywhere, *self._plugins(conftests), *conftests, module]:
            for name, found in self._of(each).items():
                known.setdefault(name, [])
                known[name] += [one for one in found if one not in known[name]]
        return known

    @cached_property
    def _everywhere(self) -> list[Module]:
        return [self.sources.module_of(path) for path in self.files]

    def _of(self, module: Module) -> dict[str, list[Definition]]:
        """The fixtures that a module defines or imports."""
        if module.name not in self._local:
            found: dict[str, list[Definition]] = {}
            for name in self.sources.bound_by(module):
                for node in self.sources.named(module, name):
                    for given, definition in _definitions(self.sources.symbol(node), node):
                        found.setdefault(given or name, []).append(definition)
            self._local[module.name] = found
        return self._local[module.name]

    def _named_inside(self, nodes: list[Node], known: Iterable[str]) -> set[str]:
        """The fixtures that code asks for by getfixturevalue: those that it names, or all if it names none."""
        closure = self.sources.closure(nodes)
        if not any("getfixturevalue" in each.words for each in closure.mentions):
            return set()
        return closure.constants & set(known) or set(known)


def _acts_on_imports(module: Module) -> bool:
    """Return whether a module's statements mention anything that it imports, or import by a string."""
    mentions = module.symbols[ALWAYS].mentions
    named = {chain[0] for chain in mentions.references}
    return bool(named & {*module.imports} or mentions.words & IMPORTING)


def _definitions(symbol: Symbol, node: Node) -> Iterator[tuple[str, Definition]]:
    """The fixtures that a symbol makes, each with the name that it is given, empty for its own."""
    for statement in symbol.statements:
        decorators: list[ast.expr] = []
        if isinstance(statement, Function):
            decorators = [each for each in statement.decorator_list if _is_fixture(each)]
        elif isinstance(statement, ast.Assign) and _is_fixture(statement.value):
            decorators = [statement.value]
        for decorator in decorators:
            wants = _asked(statement) if isinstance(statement, Function) else _asked_by_named(symbol)
            settings = _settings(decorator)
            given = settings.get("name")
            always = "autouse" in settings and settings["autouse"] is not False
            yield given if isinstance(given, str) else "", Definition(node, frozenset(wants), always)


def _is_fixture(decorator: ast.expr) -> bool:
    """Return whether an expression is pytest.fixture, or a call of it, or a call of what that returns."""
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    name = decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")
    return name == "fixture"


def _settings(decorator: ast.expr) -> dict[str, object]:
    """The keyword arguments of a decorator; None for a value that is not a constant."""
    settings: dict[str, object] = {}
    while isinstance(decorator, ast.Call):
        for each in decorator.keywords:
            value = each.value.value if isinstance(each.value, ast.Constant) else None
            settings[each.arg or ""] = value
        decorator = decorator.func
    return settings


def _asked(function: Function) -> set[str]:
    """The names of a function's parameters without a default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {each.arg for each in required} | {each.arg for each, default in keywords if default is None}


def _asked_by_named(symbol: Symbol) -> set[str]:
    """The names that the functions of `x = pytest.fixture(function)` ask for."""
    names = {name for chain in symbol.mentions.references for name in chain}
    functions = (
        f for name in names if name in symbol.module.symbols for f in symbol.module.symbols[name].functions
    )
    return {name for function in functions for name in _asked(function)}


def _marked(symbol: Symbol) -> set[str]:
    """The names in usefixtures("..."), wherever it appears."""
    calls = (node for each in symbol.statements for node in ast.walk(each) if isinstance(node, ast.Call))
    marks = (
        call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "usefixtures"
    )
    return {
        argument.value
        for call in marks
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
