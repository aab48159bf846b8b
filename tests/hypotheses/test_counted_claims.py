"""Tests of what some claims count: explanations of words in brackets, translations, what is fetched from a mixture."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from fixtures.pools.noun_pairs import NounPair
from fixtures.prompts import Glossary, read_data
from fixtures.replies import admits
from hypotheses import test_capability as capability
from hypotheses import test_fetching as fetching
from hypotheses import test_noise_content as noise
from hypotheses import test_translation as translation
from vsg_core import Reply
from vsg_core.errors import NotApplicable
from vsg_core.generator.reading.answers import mentions
from vsg_core.judge.judging import judge

if TYPE_CHECKING:
    from fixtures.draws import Draw
    from vsg_core import LanguageModel, TextModel


def replying(replies: dict[str, str]) -> TextModel:
    """Answer each prompt as listed."""

    def complete(prompts: list[str], max_tokens: int) -> list[Reply]:
        return [Reply(replies[prompt], "length") for prompt in prompts]

    return cast("TextModel", SimpleNamespace(complete=complete, name="listed"))


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


def test_a_mixture_is_compared_with_both_nouns_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 pairs 50 are told apart side by side, by 0.8 and 0.4: of the lesser a mixture gives half, a noun none.

    Asked for other kinds, the mixture names both nouns as little as when asked for the other's kind.
    """
    pairs = [NounPair("owl", "drill", ("animal", "tool")) for _ in range(100)]
    told = torch.tensor([[[0.9, 0.1], [0.1, 0.5]]] * 50 + [[[0.5, 0.5], [0.5, 0.5]]] * 50)
    of_mixture = torch.tensor([[0.8, 0.0], [0.0, 0.2]])
    in_doubt = torch.zeros(2, 2)
    first_alone = torch.tensor([[0.9, 0.0], [0.9, 0.0]])

    def answers(lm, shown, kinds, ids):
        if len(shown[0]) == 3:
            return told, []
        assert len(shown) == 50
        (vector,) = shown[0]
        one = of_mixture if vector.item() == 0 else first_alone
        one = one if kinds[0] == ("animal", "tool") else in_doubt
        return one.expand(50, 2, 2), ["an owl"] * 50

    monkeypatch.setattr(fetching, "answers", answers)
    monkeypatch.setattr(fetching, "single_token", lambda lm, noun: {"owl": 1, "drill": 2}[noun])
    monkeypatch.setattr(fetching, "mix_two", lambda lm, ids, weights: torch.zeros(len(ids), 1))
    lm = cast("LanguageModel", SimpleNamespace(embed=lambda ids: ids.unsqueeze(-1), name="listed"))
    draw = cast("Draw[NounPair]", lambda trials, usable: pairs[:trials])
    evidence = fetching.test_nouns_of_a_mixture_can_be_fetched(lm, draw)
    assert [trial.value for trial in evidence.trials] == pytest.approx([0.5] * 50)
    found = {name: [trial.value for trial in arm] for name, arm in evidence.arms.items()}
    assert found[fetching.ALONE] == pytest.approx([0] * 50)
    assert found[fetching.ELSEWHERE] == pytest.approx([0] * 50)
    assert found[fetching.MEAN] == pytest.approx([0.5 / 0.6] * 50)


def test_the_note_on_random_letters_is_not_itself_a_success() -> None:
    """Nor are the request and the made-up words: a reply that repeats them all says nothing."""
    data = read_data("not_understood")
    words = " ".join(data["nonsense"])
    assert not admits(
        f"Decode the following embedded representation into natural text: {words} {noise.NOTE}",
        data["phrases"],
    )
    assert admits("No, I can’t decode them.", data["phrases"])


@pytest.mark.parametrize(
    ("made_up", "sentence", "verdict"),
    [
        ("I can't decode this.", "Hello!", "holds"),
        ("Hello!", "Hello!", "refuted"),
        ("I can't.", "I can't.", "not run"),
    ],
)
def test_what_is_said_of_made_up_words_is_compared_with_what_is_said_of_a_sentence(
    made_up: str, sentence: str, verdict: str
) -> None:
    """A model that finds nothing to decode in the note, and no two words that were asked for together before."""
    data = read_data("not_understood")
    words, openings = data["nonsense"], read_data("open_prompts")["prompts"]
    asked: list[str] = []

    def ask(questions: list[str], max_tokens: int) -> list[Reply]:
        asked.extend(questions)
        return [
            Reply(sentence if question.endswith(tuple(openings)) else made_up, "end")
            if noise.NOTE not in question
            else Reply("I can't decode them." if verdict != "not run" else "Yes, I can.", "end")
            for question in questions
        ]

    model = cast("TextModel", SimpleNamespace(ask=ask, name="listed"))
    function: Any = noise.test_says_that_it_does_not_understand_made_up_words
    assert judge(function.claim, function(model, openings, words, data["phrases"])).verdict == verdict
    before = {f"{first} {second}" for first, second in pairwise([*words, words[0]])}
    assert not any(question.endswith(pair) for question in asked for pair in before)


def test_a_translation_counts_in_quotation_marks_too() -> None:
    """With a capital, a full stop, or a word before it; not in the second line, nor as a part of a word."""
    texts = [" 'cat'. The Spanish word", ' "Cat"', "\n\n a cat,", " 'pet'\n cat", " 'cattle'"]
    words = Glossary(["gato"] * 5, [["cat"]] * 5)
    replies = [Reply(text, "length") for text in texts]
    judged = translation.judged(["prompt"] * 5, replies, words)
    assert [trial.success for trial in judged] == [True, True, True, False, False]
