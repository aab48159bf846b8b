"""Tests of what the claims about answers, scripts, fluency and shapes of prompts count."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from fixtures.fact_branches import FactBranches
from fixtures.pools.facts import FACTS
from fixtures.pools.openings import Opening
from fixtures.prompts import Fact
from fixtures.replies import NoiseTexts, own_texts
from hypotheses import test_language as language
from hypotheses import test_mixed_tokens as mixed_tokens
from hypotheses import test_noise_content as noise_content
from hypotheses import test_writing as writing
from tests.support.architectures import tiny
from vsg_core import entropy_bits

if TYPE_CHECKING:
    from fixtures.draws import Draw
    from vsg_core import LanguageModel


def drawing(facts: list[Fact]) -> Draw[Fact]:
    """Draw the first of these facts."""
    return cast("Draw[Fact]", lambda trials: facts[:trials])


def test_only_branches_that_name_an_answer_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 90 facts with an answer 50 have a second and 30 a third; after the sentence 25 of 50 have another one."""
    facts = [Fact("capital", "Peru", "Lima", f"prompt {i}", "", ("Lima", "Cusco")) for i in range(100)]
    seconds = ["Cusco"] * 30 + ["Lima"] * 20 + [None] * 50
    branches = [
        FactBranches(
            fact.prompt,
            [0.5, 0.2, 0.1],
            ["first", "second", "third"],
            [None if row >= 90 else "Lima", second, "Cusco" if row < 30 else None],
        )
        for row, (fact, second) in enumerate(zip(facts, seconds, strict=True))
    ]
    monkeypatch.setattr(mixed_tokens, "follow_branches", lambda *_: branches)
    texts = [" Cusco"] * 25 + [" Lima"] * 25 + [" a city"] * 40

    def generate(prompts: list[str], max_new_tokens: int) -> list[SimpleNamespace]:
        assert prompts == [f"{mixed_tokens.BEFORE} prompt {i}" for i in range(90)]
        assert max_new_tokens == 12
        return [SimpleNamespace(text=text) for text in texts]

    lm = cast("LanguageModel", SimpleNamespace(generate=generate))
    evidence = mixed_tokens.test_second_token_leads_to_a_rival_answer(lm, drawing(facts))
    counts = {name: [trial.success for trial in arm] for name, arm in evidence.arms.items()}
    assert [trial.success for trial in evidence.trials] == [True] * 60 + [False] * 20
    assert len({trial.cluster for trial in evidence.trials}) == 50
    assert counts[mixed_tokens.ELSEWHERE] == [True] * 25 + [False] * 25
    assert (len(counts[mixed_tokens.ANSWERS]), sum(map(bool, counts[mixed_tokens.ANSWERS]))) == (180, 80)


def test_names_are_mixed_place_by_place() -> None:
    """As far as the shorter name goes, the first name's token the heavier one."""
    lm = tiny("llama")
    mixed = language.mixed_names(lm, "w5 w6 w7", "w8 w9")
    table = lm.embed(torch.cat([lm.tokenize(f" {name}", special=False) for name in ("w5 w6", "w8 w9")]))
    assert torch.allclose(mixed, 0.6 * table[:2] + 0.4 * table[2:], atol=1e-6)
    text = language.repeated(lm, table[:1])
    assert (text == table[0]).all(-1).sum() == 2


def test_texts_after_noise_are_compared_with_those_after_sentences() -> None:
    """The opening is completed; the value is the sentence's text's cost minus that after noise."""
    lm, generator = tiny("llama"), torch.Generator().manual_seed(0)
    openings = [Opening(f"w{i} w{i + 1}", ("w3", "w4")) for i in range(50)]
    assert noise_content.completed(openings[0]) == "w0 w1 w3."
    sentences = [noise_content.completed(opening) for opening in openings]
    own = own_texts(lm, sentences, torch.Generator().manual_seed(0))
    assert [text.beginning for text in own] == sentences
    after = [replace(text, kind="after noise", bits=text.bits - 2) for text in own]
    texts = NoiseTexts(after, own, own, after)
    draw = cast("Draw[Opening]", lambda trials: openings[:trials])
    evidence = noise_content.test_text_after_noise_is_fluent(lm, texts, draw, generator)
    assert [trial.value for trial in evidence.trials] == pytest.approx([2.0] * len(evidence.trials))
    assert {trial.value for trial in evidence.arms["after random tokens"]} == {0.0}


def test_facts_of_one_shape_differ_before_their_subject() -> None:
    """They go on alike after it, and are as long to within two words."""

    def fact(prompt: str, open_prompt: str, subject: str = "Peru") -> Fact:
        return Fact("", subject, "", prompt, open_prompt, ())

    assert writing.have_one_shape(fact("Now the capital of Peru is", "Now the beauty of Peru is"))
    assert not writing.have_one_shape(fact("Now Peru has a capital called", "Now the beauty of Peru is"))
    assert not writing.have_one_shape(fact("Peru has", "Now the beauty of a place like Peru has"))
    assert not writing.have_one_shape(fact("Now the main city of Peru is", "Near Peru is"))
    assert writing.with_subject("He is sure that the opposite of he is", "he", "blorf") == (
        "He is sure that the opposite of blorf is"
    )


def test_every_subject_of_a_pair_is_replaced() -> None:
    """Of both prompts, in the facts that the claim draws."""
    facts = [fact for fact in FACTS.share("a_claim") if writing.have_one_shape(fact)]
    assert len(facts) >= 90
    for fact in facts:
        for prompt in (fact.prompt, fact.open_prompt):
            assert f" {fact.subject} " in prompt
            assert writing.with_subject(prompt, fact.subject, "blorf").count("blorf") == 1


def test_entropies_are_compared_within_a_pair() -> None:
    """Success where the open prompt has more bits; the same pairs with made-up subjects are the control."""
    lm = tiny("llama")
    facts = [Fact("", "w9", "", f"w{i} w5 w9 w7", f"w{i} w6 w9 w7", ()) for i in range(10, 50)]
    draw = cast("Draw[Fact]", lambda _, usable: [fact for fact in facts if all(usable([fact]))])
    openings = cast("Draw[Opening]", lambda trials: [Opening(f"w2 w{i}", ()) for i in range(3, 3 + trials)])
    evidence = writing.test_entropy_separates_open_from_factual_prompts(lm, draw, ["w3", "w4"], openings)
    for row, fact in enumerate(facts):
        own, known = entropy_bits(lm.next_logits([fact.open_prompt, fact.prompt]))
        assert evidence.trials[row].success == bool(own > known)
        control = evidence.arms[writing.NO_SUBJECT][row]
        word = ("w3", "w4")[row % 2]
        assert control.prompt == " / ".join(
            f"{prompt.replace('w9', word)} …" for prompt in (fact.open_prompt, fact.prompt)
        )
    of_another_shape = evidence.arms["open prompts of another shape"]
    assert of_another_shape[2].prompt == f"w2 w5 … / {facts[2].prompt} …"
    assert len(of_another_shape) == len(facts)
