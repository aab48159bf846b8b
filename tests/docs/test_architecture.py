"""The paths and names in the documentation exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Written by a run, so not in the repository; capitals stand for names.
WRITTEN_BY_A_RUN = re.compile(r"^reports/|[A-Z]{4}")


def paths(text: str) -> set[str]:
    """List the paths in backticks: those that start at a folder of the repository, and files at its root."""
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._")
    named = re.findall(rf"`((?:{folders})/[\w./-]*|[\w.-]+\.(?:toml|txt|ini|cff|md|yaml))`", text)
    return {path for path in named if not WRITTEN_BY_A_RUN.search(path)}


def test_the_package_does_not_import_its_own_public_face() -> None:
    """Through it a room could reach any other, which the import contracts would not see."""
    for path in (ROOT / "vsg_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert "vsg_core" not in modules, (
                f"{path}:{getattr(node, 'lineno', 0)}: import from the room itself"
            )


def names_in(path: Path) -> set[str]:
    """List the functions, classes and methods of a file; methods as Class.method."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
            names |= {
                f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef)
            }
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    named = paths(page.read_text(encoding="utf-8"))
    at_root_or_beside_page = {
        path for path in named if (ROOT / path).exists() or (page.parent / path).exists()
    }
    files_of_a_run = {"claims.json", "claims.csv", "summary.md"}
    assert named - at_root_or_beside_page - files_of_a_run == set()


def test_every_name_given_with_a_file_is_defined_in_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    given = re.findall(r"`([\w.]+)` \(`([\w/.]+\.py)`\)", text)
    missing = [f"{name} in {path}" for name, path in given if name not in names_in(ROOT / path)]
    assert missing == []
    assert len(given) > 20


def test_every_room_has_a_row() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "vsg_core"
    rooms = {f"vsg_core/{path.parent.name}/" for path in source.glob("*/__init__.py")}
    modules = {f"vsg_core/{path.name}" for path in source.glob("[!_]*.py")}
    rows = set(re.findall(r"`(vsg_core/[\w.]+/?)`", text.partition("## Layers")[0]))
    assert rooms | modules <= rows


def test_the_layers_are_those_checked_by_lint() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms, *_ = settings["tool"]["importlinter"]["contracts"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = page.partition("```\n")[2].partition("```")[0]
    assert [re.split(r"\s{2,}", line)[0] for line in shown.splitlines()] == rooms["layers"]
