"""Tests of what some claims count: explanations of words in brackets, translations, what is fetched from a mixture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from fixtures.prompts import Glossary, read_data
from hypotheses import test_capability as capability
from vsg_core import Generation
from vsg_core.errors import NotApplicable
from vsg_core.generator.reading.answers import mentions

if TYPE_CHECKING:
    from vsg_core import LanguageModel


def replying(replies: dict[str, str]) -> LanguageModel:
    """Answer each prompt as listed."""

    def generate(prompts: list[str], max_new_tokens: int) -> list[Generation]:
        return [Generation([], replies[prompt], "length") for prompt in prompts]

    return cast("LanguageModel", SimpleNamespace(generate=generate, name="listed"))


def test_a_placeholder_is_read_literally_if_its_word_is_explained() -> None:
    """Repeating it explains nothing, and words that are not explained without brackets do not count."""
    words = [f"w{row}" for row in range(100)]
    frame = "The meaning of {} in plain English is"
    bare = {frame.format(word): f"sense of {word}" if row < 50 else word for row, word in enumerate(words)}
    bracketed = {
        frame.format(f"[{word.upper()}]"): f"[{word.upper()}], or {word}" if row < 10 else f"sense of {word}"
        for row, word in enumerate(words)
    }
    glossary = Glossary(words, [[f"sense of {word}"] for word in words])
    evidence = capability.test_placeholders_are_read_literally(replying(bare | bracketed), glossary)
    assert [trial.success for trial in evidence.trials] == [False] * 10 + [True] * 40
    assert {name: sum(bool(trial.success) for trial in arm) for name, arm in evidence.arms.items()} == {
        capability.ELSEWHERE: 0,
        capability.BARE: 50,
        capability.ALL: 90,
        capability.NAMES: 50,
        capability.BRACKETS: 0,
    }
    with pytest.raises(NotApplicable, match="0 of 100 words are explained by listed without brackets"):
        capability.test_placeholders_are_read_literally(
            replying(dict.fromkeys([*bare, *bracketed], "it")), glossary
        )


def test_capitals_explain_nothing() -> None:
    assert capability.no_shouting("[SECRET] is A HIDDEN thing") == "[] is A  thing"


def test_no_placeholder_is_explained_by_itself() -> None:
    """Neither the word nor its plural has one of the words that count."""
    for word, senses in read_data("placeholders")["placeholders"]:
        assert not mentions(f"{word} {word}s", senses)
