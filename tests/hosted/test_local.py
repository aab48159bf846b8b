"""A model of this machine, asked in text alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from tests.support.architectures import tiny
from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.hosted.local import LocalTextModel
from vsg_core.hosted.text_model import MOST_LISTED, Likely

PROMPTS = ["w3 w4 w5", "w6", "w7 w8"]


@pytest.fixture(scope="module")
def model() -> LocalTextModel:
    return LocalTextModel(tiny("llama"))


def test_it_lists_what_the_model_predicts(model: LocalTextModel) -> None:
    probabilities = model.lm.next_logits(PROMPTS).double().softmax(-1)
    for row, listed in enumerate(model.likely(PROMPTS)):
        assert len(listed.tokens) <= MOST_LISTED
        assert listed.probabilities[0] == pytest.approx(probabilities[row].max().item())
        assert listed.tokens[0] == model.lm.token(int(probabilities[row].argmax()))
        assert list(listed.probabilities) == sorted(listed.probabilities, reverse=True)
    assert [len(listed.tokens) for listed in model.likely(PROMPTS, 3)] == [3, 3, 3]


def test_it_continues_greedily_or_by_seed(model: LocalTextModel) -> None:
    expected = [each.text for each in model.lm.generate(list(PROMPTS), 5)]
    assert [reply.text for reply in model.complete(PROMPTS, 5, fresh=True)] == expected
    assert model.complete(PROMPTS, 5, seed=1) == model.complete(PROMPTS, 5, seed=1)
    assert model.complete(PROMPTS, 5, seed=1) != model.complete(PROMPTS, 5, seed=2)


def test_a_bias_is_added_to_the_logits_of_one_token(model: LocalTextModel) -> None:
    logits = model.lm.next_logits(PROMPTS)
    second = logits.topk(2).indices[:, 1]
    gaps = (logits.max(-1).values - logits.gather(-1, second[:, None])[:, 0]).tolist()
    words = [model.lm.token(token) for token in second.tolist()]
    for more, expected in ((0.01, words), (-0.01, [model.lm.token(int(i)) for i in logits.argmax(-1)])):
        bias = [{word: gap + more} for word, gap in zip(words, gaps, strict=True)]
        steered = model.complete(PROMPTS, 1, bias=bias)
        assert [reply.text.strip() for reply in steered] == [word.strip() for word in expected]
    assert torch.equal(model.lm.next_logits(PROMPTS), logits)


def test_a_bias_on_two_tokens_is_not_applicable(model: LocalTextModel) -> None:
    with pytest.raises(NotApplicable, match="a bias is on one token"):
        model.complete(["w3"], 1, bias=[{"w3 w4": 1.0}])


def test_questions_are_asked_of_a_base_model_without_chat(model: LocalTextModel) -> None:
    assert model.kind == "base"
    (reply,) = model.ask(["w3 w4"], 4)
    (expected,) = model.lm.generate(["Question: w3 w4\nAnswer:"], 4)
    assert reply.text == expected.text


def test_nothing_asked_is_nothing_answered(model: LocalTextModel) -> None:
    assert model.complete([]) == model.ask([]) == model.likely([]) == []


@pytest.mark.parametrize("given", ["one text", [3]])
def test_what_is_not_a_list_of_texts_is_refused(model: LocalTextModel, given: Any) -> None:
    for ask in (model.complete, model.ask, model.likely, partial(model.complete, bias=[{}])):
        with pytest.raises(WrongUse, match="a list of texts"):
            ask(given)


def test_half_a_character_is_refused_in_one_line(model: LocalTextModel) -> None:
    with pytest.raises(WrongUse, match=r"the text 'a \\ud83d' has half a character") as caught:
        model.complete(["w3", "a \ud83d"], 1)
    str(caught.value).encode()


def test_a_list_is_ordered_and_cut() -> None:
    assert Likely.of({" b": 0.2, " a": 0.2, " c": 0.5}, 2) == Likely((" c", " a"), (0.5, 0.2))
    assert Likely((), ()).rest == 1.0
