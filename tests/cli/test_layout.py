"""Tables in a terminal of 60, 80 or 120 columns and in a pipe: they fit, and no word or token is broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vsg_core.cli.printing import packed, print_table
from vsg_core.weights import registry

ROOT = Path(__file__).parents[2]
VSG = [sys.executable, "-c", "from vsg_core.cli.main import main; main()"]
WEIGHT = re.compile(r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\") [01]\.\d{3}")


def printed(cache: Path, *arguments: str, columns: int | None) -> str:
    """Return what a `vsg` process writes into a pipe."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"VSG_CACHE": str(cache), "HF_HUB_CACHE": str(cache)} | (
        {"COLUMNS": str(columns)} if columns else {}
    )
    result = subprocess.run([*VSG, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("columns", [60, 80, 120, None])
def test_models_fit_the_terminal(tmp_path: Path, columns: int | None) -> None:
    out = printed(tmp_path, "models", "--all", columns=columns)
    assert max(map(len, out.splitlines())) <= (columns or 80)
    _, _, table, *note = out.split("\n\n")
    headings, *rows = table.splitlines()
    names = [row.split()[0] for row in rows if not row.startswith(" ")]
    assert names == [entry.name for entry in registry.entries()]
    hidden = {"family", "kind", "form", "size", "licence"} - set(headings.split())
    assert all(column in "".join(note) for column in hidden), "a column that does not fit is mentioned"
    assert bool(note) == bool(hidden)


def test_eighty_columns_show_what_a_choice_depends_on(tmp_path: Path) -> None:
    """The family is part of most names, so it is the first to be left out."""
    headings = printed(tmp_path, "models", "--all", columns=80).splitlines()[4].split()
    assert headings == ["name", "kind", "form", "size", "licence"]
    assert "source" in printed(tmp_path, "models", "--all", columns=200).splitlines()[4]


def test_models_that_are_not_downloaded_are_one_sentence(tmp_path: Path) -> None:
    out = " ".join(printed(tmp_path, "models", columns=80).split())
    names = ", ".join(entry.name for entry in registry.entries())
    count = len(registry.entries())
    assert out == f"No model is downloaded. {count} more, not downloaded: {names}. --all describes them."


def test_nothing_is_cut_in_a_terminal_narrower_than_a_name(tmp_path: Path) -> None:
    for arguments in (["models"], ["models", "--all"]):
        words = {word.strip(",.") for word in printed(tmp_path, *arguments, columns=20).split()}
        assert words >= {entry.name for entry in registry.entries()}


CONCEPT = ("concept", "the cat", "-n", "2", "--tokens", "8", "--top-k", "12", "--model")


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> list[str]:
    """The tokens that CONCEPT prints, with their weights."""
    out = printed(tmp_path_factory.mktemp("cache"), *CONCEPT, str(tiny_llama), "--json", columns=None)
    return [
        f"{token!r} {weight:.3f}" for row in json.loads(out)["concepts"] for token, weight in row["tokens"]
    ]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_concept_tokens_are_never_broken(
    tmp_path: Path, tiny_llama: Path, pieces: list[str], columns: int
) -> None:
    out = printed(tmp_path, *CONCEPT, str(tiny_llama), columns=columns)
    assert max(map(len, out.splitlines())) <= columns
    assert WEIGHT.findall(out) == pieces
    assert len(pieces) > 8


def test_pieces_fill_lines_and_stay_whole() -> None:
    assert (
        packed(["' Paris' 0.5", "' a' 0.2", "' London' 0.1"], 22) == "' Paris' 0.5  ' a' 0.2\n' London' 0.1"
    )
    assert packed(["' a token longer than the line' 0.5", "'b' 0.1"], 10).splitlines() == [
        "' a token longer than the line' 0.5",
        "'b' 0.1",
    ]


def test_a_wide_character_takes_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["token", "n"], [["'猫'", "1"], ["'a'\n'bc'", "10"]], right=["n"])
    assert capsys.readouterr().out.splitlines() == ["token   n", "'猫'    1", "'a'    10", "'bc'"]
