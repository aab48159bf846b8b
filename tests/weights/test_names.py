"""Names of models: readable in every script, and fit for files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsg_core.vocabulary import ACROSS
from vsg_core.weights.names import LONGEST, is_name, shown, slug


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Tiny Llama", "tiny-llama"),
        ("名前", "名前"),
        ("Ünïcode Model", "ünïcode-model"),
        ("u\u0308ber", "über"),
        ("🙂🏽 x", "🙂🏽-x"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a [b] 'c' \"d\"", "a-b-c-d"),
        ("--run..", "run"),
        ("\u202eevil", "evil"),
        ("a\nb\x00", "a-b"),
        ("by\udcfftes", "by-tes"),
        ("..", "model"),
        ("", "model"),
        ("CON", "con-local"),
        ("aux.v2", "aux.v2-local"),
        (ACROSS, f"{ACROSS}-local"),
    ],
)
def test_a_name_keeps_what_can_be_read(text: str, name: str) -> None:
    assert slug(text) == name


def test_names_of_earlier_versions_stay() -> None:
    """Records and recorded verdicts are kept under them."""
    for text in ("Qwen--Tiny_1.5B (chat)", "a--b", "x+y", "My Model.v2 "):
        assert slug(text) == re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")


@given(st.text(max_size=300))
def test_every_text_gives_a_name_that_files_can_have(text: str) -> None:
    name = slug(text)
    assert is_name(name)
    assert len(name.encode()) <= LONGEST + len("-local")
    assert slug(name) == name


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    assert slug("n" * 250) != slug("n" * 251)
    assert len(slug("名" * 85).encode()) <= LONGEST


def test_text_is_shown_on_one_line() -> None:
    assert shown("a\nb\udcff\u2028名") == "a\\nb\\udcff\\u2028名"
