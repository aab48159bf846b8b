"""A digest of the code of a room, which a comment, a docstring or formatting does not change."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

HOME = Path(__file__).parents[1]


@cache
def code_digest(room: str) -> str:
    """The digest of all modules of a room of vsg_core, as syntax trees."""
    total = hashlib.sha256()
    for path in sorted((HOME / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                node.body = [statement for statement in node.body if not _is_text(statement)]
        total.update(f"{path.relative_to(HOME)}\n{ast.dump(tree)}\n".encode())
    return total.hexdigest()[:16]


def _is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a string alone: a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
