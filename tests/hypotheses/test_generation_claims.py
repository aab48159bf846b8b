"""Tests of what the claims about generation count, and of the data they ask about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch

from fixtures.generation import (
    Continuations,
    Feedback,
    Texts,
    Traces,
    mean_weight,
)
from fixtures.prompts import Question
from hypotheses import test_generation
from hypotheses.test_feedback import collapsed
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.writing.decoding import Trace
from vsg_core.generator.writing.thinking import GivenWriter, Thought
from vsg_core.generator.writing.writers import ConceptToken

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel


def test_no_question_is_answered_by_its_examples(common_knowledge: list[Question]):
    """120 different questions, none of them among the worked ones."""
    assert len({asked.question for asked in common_knowledge}) == 120
    for asked in common_knowledge:
        assert asked.prompt.count(asked.question) == 1
        assert not {"cold", "dog", "Rome"} & set(asked.answers)


class Spelling(SimpleNamespace):
    """Decodes ids as numbers."""

    def decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))

    def token(self, token_id: int) -> str:
        return str(token_id)


SPELLING = cast("LanguageModel", Spelling())


def concepts(*weights: float) -> Trace:
    """A concept token per weight, which is that of its heavier token, token 5 or later."""
    mixtures = [Mixture((5 + i, 1), (weight, 1 - weight)) for i, weight in enumerate(weights)]
    return Trace([ConceptToken(torch.zeros(2), mixture, entropy=1.0) for mixture in mixtures])


def test_concept_tokens_as_columns():
    written = Continuations(SPELLING, [concepts(0.75, 0.5), concepts(1.0)])
    assert written.tokens == [[5, 6], [5]]
    assert written.text == ["5 6", "5"]
    assert written.mean_weights == [0.625, 1.0]
    assert written.first_mixtures == [[("5", 0.75), ("1", 0.25)], [("5", 1.0), ("1", 0.0)]]
    assert mean_weight([]) == 1.0


def test_soft_traces_are_compared_up_to_the_end_of_the_greedy_text():
    """The first agrees that far, the second differs; the mean weight is the whole trace's."""
    lm = SPELLING
    greedy = Continuations(lm, [Trace([5]), Trace([5, 7])])
    soft = Continuations(lm, [concepts(0.75, 0.5), concepts(0.75, 0.5)])
    traces = Traces(greedy, greedy, soft, soft, soft, soft, soft)
    evidence = test_generation.test_soft_traces_are_greedy_traces(lm, ["a", "b"], traces)
    assert [trial.success for trial in evidence.trials] == [True, False]
    assert [trial.output for trial in evidence.trials] == ["5", "5 6"]
    assert evidence.trials[1].inputs == {
        "tokens": 2,
        "tokens that agree": 1,
        "mean weight of the heaviest": 0.625,
    }
    assert [trial.success for trial in evidence.arms["sampled tokens"]] == [True, True]
    assert evidence.arms["sampled tokens"][0].mixture is None


def test_only_the_heaviest_tokens_are_compared_between_seeds():
    """Other weights on the same tokens are the same trace; the claim counts traces that differ."""
    lm = SPELLING
    first, same, other = (
        Continuations(lm, [trace]) for trace in (concepts(0.75, 0.5), concepts(0.5, 0.75), concepts(0.75))
    )
    traces = Traces(first, first, first, first, first, same, other)
    evidence = test_generation.test_gumbel_softmax_is_not_deterministic(["a"], traces)
    assert evidence.trials[0].success is True
    assert evidence.trials[0].outputs == {"the other trace": "5"}
    assert evidence.arms["the same seed"][0].success is False


def texts(tokens: list[list[int]], bits: list[float | None]) -> Texts:
    return Texts(tokens, [str(text) for text in tokens], bits)


def test_repetition_is_two_tokens_at_most_at_the_end():
    """One or two tokens over and over repeat; three, a late change, or a text that ended before do not."""
    begin = list(range(20, 28))
    ends = [[5] * 8, [5, 6] * 4, [5, 6, 7, 5, 6, 7, 5, 6], [5] * 7 + [6], list(range(8))]
    found = texts([*(begin + end for end in ends), [5] * 8], [None] * 6)
    assert found.repeats == [True, True, False, True, False, False]


def test_a_text_has_collapsed_that_repeats_or_is_unlikely():
    """Of texts that do not repeat themselves, those that cost more bits than nearly all drawn ones."""
    fine, again = list(range(16)), [5] * 16
    raw = texts([fine, fine, again, []], [4.0, 4.1, 1.0, None])
    greedy = texts([[0, 9, 2], fine, fine, fine], [1.0] * 4)
    drawn = texts([fine] * 4, [4.0] * 4)
    feedback = Feedback(raw, raw, raw, drawn, greedy, greedy)
    found = collapsed(list("abcd"), feedback, raw)
    assert [trial.success for trial in found] == [False, True, True, False]
    assert found[0].inputs == {
        "different tokens of the last 8": 8,
        "bits a token": 4.0,
        "unlikely from": 4.0,
        "tokens as in the greedy text": 2,
    }


def test_few_drawn_texts_cost_more_than_the_unlikely_bits():
    """95 of 100, and texts without tokens are left out."""
    drawn = texts([[1]] * 102, [None, *map(float, range(101))])
    assert Feedback(drawn, drawn, drawn, drawn, drawn, drawn).unlikely == 95.0


def test_the_control_gives_each_question_the_vectors_of_one_half_the_list_away(monkeypatch):
    """Of 80 questions the answers after tokens are right, and the first half's vectors are not nearly tokens."""
    questions = [Question(f"question {i}", "", ["yes"]) for i in range(80)]
    thoughts = [
        [Thought([], "end", "", "yes") for _ in questions],
        [Thought(concepts(0.5 if i < 40 else 0.95).steps, "end", str(i), "no") for i in range(80)],
    ]
    given: list[GivenWriter] = []

    def in_one_word(lm: Any, asked: list[Question], *writers: Any) -> list[list[Thought]]:
        if len(writers) == 2:
            return thoughts
        given.extend(writers)
        return [[Thought([], "end", "", "yes") for _ in asked]]

    for place, thought in enumerate(thoughts[1]):
        thought.steps[0].vector[:] = place
    monkeypatch.setattr(test_generation, "in_one_word", in_one_word)
    lm = cast("LanguageModel", SimpleNamespace(name="tiny"))
    monkeypatch.setattr(test_generation, "TokenWriter", lambda *_: None)
    monkeypatch.setattr(test_generation, "ConceptWriter", lambda *_: None)
    evidence = test_generation.test_deferring_discretisation_keeps_the_answer(lm, questions)
    assert [trial.prompt for trial in evidence.trials] == [f"question {i}" for i in range(40)]
    assert not any(trial.success for trial in evidence.trials)
    assert [vectors[0, 0].item() for vectors in given[0].given] == list(range(40, 80))
    assert {name: len(arm) for name, arm in evidence.arms.items()} == {
        "answered after an answer in tokens": 80,
        "another question's vectors": 40,
        "vectors that are nearly tokens too": 80,
    }
