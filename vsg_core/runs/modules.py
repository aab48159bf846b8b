"""A module as its file says it: what each of its names is made of, and what it imports, without running it."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vsg_core.runs.syntax import bound_names, digest, own_names, parsed, statements_in, tree_text

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Stands for the statements that belong to every name of a module.
ALWAYS = ""
# Mentioned by code that opens files.
OPENING = frozenset({
    "__file__", "open", "Path", "read_text", "read_bytes", "glob", "rglob", "iterdir", "listdir", "scandir", "files",
    "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_csv", "read_json", "read_table", "read_parquet",
    "connect", "getline", "get_data", "subprocess",
})  # fmt: skip
# Mentioned by code that opens files which it does not name.
LISTING = frozenset({"glob", "rglob", "iterdir", "listdir", "scandir", "walk"})
# Names by which code reaches any name of its module, and any module.
LOOKING_UP = frozenset({"globals", "vars", "locals", "eval", "exec"})
IMPORTING = frozenset({
    "import_module", "__import__", "run_path", "run_module", "spec_from_file_location", "__subclasses__",
    "__init_subclass__",
})  # fmt: skip
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb"})
# Mentioned by code that reads options of the run.
CONFIGURED = frozenset({"getoption", "getini", "option", "getvalue"})
# Put between the pieces of a file's name.
BETWEEN = frozenset({"", "/", ".", "_", "-"})
# Modules whose decorators and functions keep nothing of what they are given.
HARMLESS = frozenset(
    {*sys.stdlib_module_names, "vsg_core", "pytest", "hypothesis", "numpy", "torch", "scipy"}
)
BUILT_IN = frozenset(dir(builtins)) - {"setattr", "delattr", "exec", "eval"}


@dataclass(frozen=True)
class Import:
    """The target of an imported name: a name of a module, or the module itself if `attribute` is None."""

    module: str
    attribute: str | None = None


@dataclass
class Symbol:
    """A name of a module, with the statements that make it."""

    module: Module
    name: str
    statements: list[ast.stmt] = field(default_factory=list)

    @cached_property
    def digest(self) -> str:
        """A digest of its statements; the decorator of a claim, whose words change no verdict, is left out."""
        return digest(map(tree_text, self.statements))

    @cached_property
    def mentions(self) -> Mentions:
        """Names and strings in its statements."""
        found = Mentions()
        for statement in self.statements:
            found.read(statement, self.module)
        return found

    @property
    def functions(self) -> Iterator[Function]:
        """Its functions: itself, or the methods of a class."""
        for statement in self.statements:
            inside = statement.body if isinstance(statement, ast.ClassDef) else [statement]
            yield from (each for each in inside if isinstance(each, FUNCTIONS))


@dataclass
class Mentions:
    """Names and strings in some statements.

    Attributes:
        references: dotted names of their module.
        imports: what they import themselves.
        constants: strings, except those that only index something.
        patterns: f-strings, as their fixed pieces; None stands for what is filled in.
        joins: it puts strings together in another way: by +, %, join or format.
        words: every name and attribute.
    """

    references: set[tuple[str, ...]] = field(default_factory=set)
    imports: set[Import] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)
    patterns: set[tuple[str | None, ...]] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    joins: bool = False

    def read(self, node: ast.AST, module: Module, own: frozenset[str] = frozenset()) -> None:
        """Add what a tree mentions; `own` are names that are not the module's there."""
        if isinstance(node, FUNCTIONS):
            inside = own | own_names(node)
            for child in [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]:
                self.read(child, module, own)
            for statement in node.body:
                self.read(statement, module, inside)
            return
        if isinstance(node, (ast.Name, ast.Attribute)) and (chain := _chain(node)):
            self.words |= set(chain)
            if chain[0] not in own:
                self.references.add(chain)
            return
        self._read_one(node, module)
        for child in ast.iter_child_nodes(node):
            # What indexes a table of a file is a key in it, not the name of a file.
            if not (
                isinstance(node, ast.Subscript) and child is node.slice and isinstance(child, ast.Constant)
            ):
                self.read(child, module, own)

    def _read_one(self, node: ast.AST, module: Module) -> None:
        if isinstance(node, ast.Attribute):
            self.words.add(node.attr)
            self.joins |= node.attr == "format" and _is_piece_of_name(node.value)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports |= {found for _, found in imported(node, module)}
            if isinstance(node, ast.Import):
                self.imports |= {Import(each.name) for each in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.constants.add(node.value)
            self._read_annotation(node.value, module)
        elif isinstance(node, ast.Call):
            self.joins |= _joins(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
            self.joins |= any(map(_is_piece_of_name, (node.left, node.right)))
        elif isinstance(node, ast.JoinedStr):
            pieces = (str(each.value) if isinstance(each, ast.Constant) else None for each in node.values)
            self.patterns.add(tuple(pieces))

    def _read_annotation(self, text: str, module: Module) -> None:
        """A name in quotes, as annotations have them, may be one of the module."""
        if text.isidentifier() and text in module.names:
            self.references.add((text,))


@dataclass
class Module:
    """A module's names.

    Attributes:
        name: its dotted name, which imports use.
        symbols: what its statements bind, by name; ALWAYS has the statements that belong to every name.
        imports: what it imports, by the name that it has here.
        stars: the modules of which it imports every name.
        loads: the modules that its `import` statements load, by their whole names.
    """

    name: str
    path: Path
    is_package: bool = False
    symbols: dict[str, Symbol] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    loads: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, path: Path) -> Module:
        """Read a module from its file.

        Raises:
            OSError, ValueError, SyntaxError: it cannot be read.
        """
        module = cls(name, path, path.name == "__init__.py")
        module.symbols[ALWAYS] = Symbol(module, ALWAYS)
        tree = parsed(path.read_text(encoding="utf-8-sig"), str(path))
        for statement in tree.body:
            module._add(statement)
        for statement in tree.body:
            module._add_effects(statement)
        for node in statements_in(tree):
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                node.decorator_list = [each for each in node.decorator_list if not module._declares(each)]
        return module

    @property
    def names(self) -> set[str]:
        return {*self.symbols, *self.imports}

    def _add(self, statement: ast.stmt) -> None:
        """Note what a statement at the top of the module binds."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._bind(statement)
        elif isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            self._symbol(statement.name).statements.append(statement)
        elif isinstance(statement, ast.If) and _is_type_checking(statement.test):
            for each in [*statement.body, *statement.orelse]:
                self._add(each)
        elif (names := _assigned(statement)) and "pytestmark" not in names:
            for name in names:
                self._symbol(name).statements.append(statement)
        else:
            self._add_to_all(statement)

    def _add_effects(self, statement: ast.stmt) -> None:
        """Note what a definition or assignment at the top of the module may change besides the name that it binds."""
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            # pytest alone calls tests.
            is_test = statement.name.startswith("test")
            if not is_test and any(map(self._may_register, statement.decorator_list)):
                self.symbols[ALWAYS].statements.append(statement)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            names = set(_assigned(statement))
            if isinstance(statement, ast.AugAssign) and names & {*self.imports}:
                self.symbols[ALWAYS].statements.append(statement)
            for name in sorted(self._given_to_calls(statement) - names):
                if name not in self.symbols:
                    self.symbols[ALWAYS].statements.append(statement)
                elif statement not in self.symbols[name].statements:
                    self.symbols[name].statements.append(statement)

    def _may_register(self, decorator: ast.expr) -> bool:
        """Return whether a decorator may put what it decorates where other code finds it."""
        chain = _chain(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if not chain:
            return True
        found = self.imports.get(chain[0])
        if found is None:
            return chain[0] not in BUILT_IN
        return found.module.partition(".")[0] not in HARMLESS and chain[-1] != "fixture"

    def _given_to_calls(self, statement: ast.stmt) -> set[str]:
        """The names whose values an assignment may change: arguments of its calls, and owners of called methods."""
        names: set[str] = set()
        for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
            chain = _chain(call.func)
            given = [*call.args, *(each.value for each in call.keywords)]
            if self._keeps_nothing(chain):
                continue
            names |= {chain[0]} if len(chain) > 1 and not self._is_module(chain[:-1]) else set()
            names |= {node.id for each in given for node in ast.walk(each) if isinstance(node, ast.Name)}
        own = {name for name in names if name in self.symbols and name in self._values}
        return own | {name for name in names if name in self.imports and self._is_of_others(name)}

    def _keeps_nothing(self, chain: tuple[str, ...]) -> bool:
        if not chain:
            return False
        found = self.imports.get(chain[0])
        if found is None:
            return chain[0] in BUILT_IN and chain[0] not in self.symbols
        return found.module.partition(".")[0] in HARMLESS

    def _is_module(self, chain: tuple[str, ...]) -> bool:
        """Return whether a dotted name may be a module: its functions are called, not methods of a value."""
        found = self.imports.get(chain[0])
        return found is not None and found.attribute is None

    def _is_of_others(self, name: str) -> bool:
        return self.imports[name].module.partition(".")[0] not in HARMLESS

    @cached_property
    def _values(self) -> set[str]:
        """The names that are values: neither functions nor classes."""
        made = (*FUNCTIONS, ast.ClassDef)
        return {
            name
            for name, symbol in self.symbols.items()
            if not all(isinstance(each, made) for each in symbol.statements)
        }

    def _add_to_all(self, statement: ast.stmt) -> None:
        """A statement that may do anything belongs to every name."""
        self.symbols[ALWAYS].statements.append(statement)
        for name in bound_names(statement):
            self._symbol(name)
        for node in statements_in(statement):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._bind(node)

    def _declares(self, decorator: ast.expr) -> bool:
        """Return whether a decorator is `@claim(...)`: what it says of the verdict is in the key by its meaning."""
        chain = _chain(decorator.func) if isinstance(decorator, ast.Call) else ()
        found = self.imports.get(chain[0]) if chain else None
        if found is None or found.module.partition(".")[0] != "vsg_core":
            return False
        return (found.attribute, *chain[1:]) in (("claim",), (None, "claim"))

    def _symbol(self, name: str) -> Symbol:
        return self.symbols.setdefault(name, Symbol(self, name))

    def _bind(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            self.loads |= {each.name for each in node.names}
        for name, found in imported(node, self):
            if name == "*":
                self.stars.append(found.module)
            else:
                self.imports[name] = found


def imported(node: ast.Import | ast.ImportFrom, module: Module) -> Iterator[tuple[str, Import]]:
    """The names that an import statement of a module binds, each with its target."""
    if isinstance(node, ast.Import):
        for each in node.names:
            first = each.name.partition(".")[0]
            yield (each.asname, Import(each.name)) if each.asname else (first, Import(first))
        return
    source = node.module or ""
    if node.level:
        package = module.name.split(".")
        package = package[: len(package) - node.level + module.is_package]
        source = ".".join(filter(None, [*package, source]))
    for each in node.names:
        yield each.asname or each.name, Import(source, None if each.name == "*" else each.name)


def _chain(node: ast.AST) -> tuple[str, ...]:
    """A dotted name as its parts; empty for an attribute of anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _text(node: ast.AST) -> str | None:
    """The string that an expression is, if it is one."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _joins(call: ast.Call) -> bool:
    """Return whether a call is one of "".join, of strings that it is not seen to make."""
    of_join = (
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "join"
        and _text(call.func.value) in BETWEEN
    )
    return of_join and not any(isinstance(each, (ast.GeneratorExp, ast.ListComp)) for each in call.args)


def _is_piece_of_name(node: ast.AST) -> bool:
    """Return whether a string may be the end of a file's name, or the folder that it is in."""
    text = _text(node) or " "
    return " " not in text and bool(re.search(r"\.\w+$|/", text))


def _is_type_checking(test: ast.expr) -> bool:
    return _chain(test)[-1:] == ("TYPE_CHECKING",)


def _assigned(statement: ast.stmt) -> list[str]:
    """The names that an assignment binds; none for one that changes something else too."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    else:
        return []
    plain = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)
    if not all(isinstance(node, plain) for target in targets for node in ast.walk(target)):
        return []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
