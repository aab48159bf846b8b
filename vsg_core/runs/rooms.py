"""The rooms of vsg_core that a verdict rests on, each digested whole."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from vsg_core.runs.modules import Import, Module, imported
from vsg_core.runs.sources import HOME, PACKAGE
from vsg_core.runs.syntax import digest, parsed, statements_in, tree_text

# Every verdict rests on them.
ALWAYS = ("generator", "judge")
# How weights are found (their digest is in the key), how claims are run, and how text is shown. What of them reaches
# evidence does so by way of the other parts of a key.
NOT_EVIDENCE = frozenset({"weights", "plugin", "cli", "registration", "runs", "markup"})


def room_digests(reached: Iterable[str]) -> dict[str, str]:
    """The digest of each room, by its name: generator and judge, then what else is reached of vsg_core.

    Args:
        reached: modules of vsg_core, "vsg_core.records.record"; "vsg_core" stands for every room.
    """
    rooms = {part[1] for part in (module.split(".") for module in reached) if len(part) > 1}
    if PACKAGE in reached:
        rooms = {
            path.stem for path in HOME.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        rooms -= {"__init__"}
    basis = set().union(*map(_files, ALWAYS))
    further = {room for room in rooms - NOT_EVIDENCE - {*ALWAYS} if not _files(room) <= basis}
    return {room: _digest(room) for room in (*ALWAYS, *sorted(further))}


@cache
def _digest(room: str) -> str:
    """The digest of a room with what it imports of vsg_core; of a further room without that of generator and judge."""
    files = _files(room)
    if room not in ALWAYS:
        files -= set().union(*map(_files, ALWAYS))
    return digest(text for path in sorted(files) for text in (str(path.relative_to(HOME)), source_text(path)))


@cache
def _files(room: str) -> frozenset[Path]:
    """The files of a room, and those that they import of vsg_core, transitively."""
    folder = HOME / room
    waiting = sorted(folder.rglob("*.py*")) if folder.is_dir() else [folder.with_suffix(".py")]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found and path.suffix in (".py", ".pyi") and path.is_file():
            found.add(path)
            waiting += _imported(path)
    return frozenset(found)


@cache
def _imported(path: Path) -> list[Path]:
    """The files of vsg_core that a file imports, at its top or inside functions."""
    parts = path.relative_to(HOME.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = Module(".".join(parts[:-1] if is_package else parts), path, is_package)
    nodes = (node for node in statements_in(_tree(path)) if isinstance(node, (ast.Import, ast.ImportFrom)))
    files = [file for node in nodes for _, found in imported(node, module) for file in _places(found)]
    return [file for file in files if file.relative_to(HOME).parts[0] not in NOT_EVIDENCE]


def _places(found: Import) -> list[Path]:
    """The files of an imported name: its module, and itself if it is one."""
    names = [found.module, *([f"{found.module}.{found.attribute}"] if found.attribute else [])]
    stems = [HOME.joinpath(*name.split(".")[1:]) for name in names if name.startswith(f"{PACKAGE}.")]
    candidates = [path for stem in stems for path in (stem.with_suffix(".py"), stem / "__init__.py")]
    return [path for path in candidates if path.is_file()]


@cache
def _tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"), str(path))


@cache
def source_text(path: Path) -> str:
    """The syntax tree of a file of vsg_core as text, without what changes nothing."""
    return tree_text(_tree(path))
