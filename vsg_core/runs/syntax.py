"""Syntax trees without what changes nothing: positions, comments, docstrings, formatting."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator

# Hexadecimal digits of a digest in a key.
DIGITS = 16
# Fields that say how a constant was written, or in which context a name appears, which its place shows.
UNSAID = frozenset({"kind", "type_comment", "ctx"})
BODIES = ("body", "orelse", "finalbody")


def parsed(text: str, name: str = "") -> ast.Module:
    """The tree of a source without its docstrings and other strings that are statements.

    Raises:
        SyntaxError: it is not Python.
    """
    tree = ast.parse(text, name)
    for node in [tree, *statements_in(tree)]:
        for field in BODIES:
            if before := getattr(node, field, None):
                kept = [each for each in before if not is_text(each)]
                # Only a module's body may be empty.
                empty = not kept and not isinstance(node, ast.Module)
                setattr(node, field, [ast.Pass()] if empty else kept)
    return tree


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a tree, at any depth; with them the branches of try and match, which hold statements too."""
    for field in (*BODIES, "handlers", "cases"):
        for statement in getattr(node, field, ()):
            yield statement
            yield from statements_in(statement)


def is_text(statement: ast.AST) -> bool:
    """Return whether a statement is a string alone, which does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def tree_text(node: object) -> str:
    """A tree as text; the same text in every version of Python that parses it alike, so absent fields are left out."""
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={tree_text(value)}"
            for name, value in ast.iter_fields(node)
            if name not in UNSAID and value is not None and value != []
        )
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(tree_text, node))}]"
    return repr(node)


def digest(texts: Iterable[str | bytes]) -> str:
    """The beginning of the sha256 of several texts, each with its length, so that no two lists give one digest."""
    total = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        total.update(b"%d:" % len(content) + content)
    return total.hexdigest()[:DIGITS]


def bound_names(statement: ast.AST) -> Iterator[str]:
    """The names that a statement of a module binds there, those in its blocks included; none of its functions'."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    if isinstance(statement, ast.Name) and isinstance(statement.ctx, ast.Store):
        yield statement.id
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.Lambda):
            yield from bound_names(child)


def own_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Names that are certainly a function's own: its parameters, and what it assigns outside inner scopes."""
    arguments = function.args
    given = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    names = {each.arg for each in given if each is not None}
    shared: set[str] = set()
    waiting: list[ast.AST] = list(function.body)
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, (*inner, *comprehensions)):
            waiting += ast.iter_child_nodes(node)
    # A function inside may declare a name global.
    inside = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    return frozenset(names - shared - inside)
