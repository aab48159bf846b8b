"""Tests of what the claims about generation count, and of the data they ask about."""

from __future__ import annotations

import ast
import operator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from fixtures.generation import (
    Agreement,
    Attempts,
    Continuations,
    Traces,
    WorkedProblems,
    compare_with_greedy,
    first_number,
    has_sum,
    mean_weight,
    share_agreeing,
    share_before_departure,
    uniform_draws,
)
from fixtures.prompts import Problem
from hypotheses import test_generation, test_word_problems
from hypotheses.test_word_problems import lead
from tests.support.architectures import tiny
from vsg_core.errors import NotApplicable
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.mixing.presets import SOFT_THINKING
from vsg_core.generator.writing.decoding import Trace, decode
from vsg_core.generator.writing.thinking import Thought
from vsg_core.generator.writing.writers import ConceptToken, TokenWriter

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(node: ast.expr) -> float:
    """Of a sum in Python's notation."""
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int)
    return node.value


def test_every_word_problem_has_the_answer_of_its_sum(word_problems: list[Problem]):
    """100 different questions; no answer is that of more than a tenth of them, and none appears in the examples."""
    assert len({problem.question for problem in word_problems}) == 100
    for problem in word_problems:
        assert value(ast.parse(problem.sum, mode="eval").body) == problem.answer, problem.question
        assert problem.prompt.count(problem.question) == 1
        assert problem.prompt.endswith(f"\n\nQ: {problem.question}\nA:")
    answers = [problem.answer for problem in word_problems]
    assert max(answers.count(answer) for answer in answers) <= 10


@pytest.mark.parametrize(
    ("answer", "solved"),
    [
        (" 12", True), (" 12 apples", True), ("12.", True), (" He has 12, not 13", True), (" 12.0", True),
        (" 13", False), (" 121", False), (" -12", False), ("", False), (" twelve", False), (" 1 2", False),
        (" 12.5", False),
    ],
)  # fmt: skip
def test_the_first_number_of_an_answer_counts(answer, solved):
    assert (first_number(answer) == 12) is solved


def attempts(*answers: str) -> Attempts:
    """One answer to each problem, the right ones being 1, 2, 3, ..."""
    problems = [Problem(f"question {answer}", "", "a sum", answer) for answer in range(1, len(answers) + 1)]
    return Attempts(problems, [Thought([], "cold", " 1 = 1 ", answer) for answer in answers])


def test_an_attempt_is_solved_by_its_first_number():
    assert attempts(" 1", "not 2 but 3", " 3.5", " four").solved == [True, True, False, False]


def test_a_lead_is_one_way_minus_the_share_of_the_others():
    """Solved alone, solved by one of two others too, solved by another only."""
    one, others = attempts("1", "2", "-"), {"b": attempts("-", "2", "-"), "c": attempts("-", "-", "3")}
    trials = lead(one, others)
    assert [trial.value for trial in trials] == [1.0, 0.5, -0.5]
    assert trials[0].output == "1 = 1 Answer:1"
    assert trials[0].outputs == {"b": "1 = 1 Answer:-", "c": "1 = 1 Answer:-"}
    assert trials[0].inputs == {"sum": "a sum", "answer": 1, "thought ended by": "cold"}


def test_ways_that_solve_the_same_problems_have_no_difference():
    with pytest.raises(NotApplicable, match="the difference is 0 for all 2 problems"):
        lead(attempts("1", "-"), {"b": attempts("1", "-")})


def test_the_effect_of_cold_stop_is_the_mean_over_both_writers():
    """Of three problems Cold Stop solves one more in both writers, one in one of them, and spoils one in one."""
    never, worked = attempts("-", "-", "-"), attempts("1", "2", "-")
    ways = WorkedProblems(
        greedy=attempts("-", "-", "3"),
        greedy_cold=worked,
        sampled=never,
        sampled_again=never,
        soft=never,
        soft_cold=attempts("1", "-", "-"),
        inputs=never,
    )
    evidence = test_word_problems.test_cold_stop_matters_more_than_mixing(ways)
    effects = [trial.value for trial in evidence.arms["the effect of Cold Stop alone"]]
    assert effects == [1.0, 0.5, -0.5]
    assert [trial.value for trial in evidence.trials] == [1.0, 1.0, 0.0]
    assert all(trial.success for trial in evidence.arms["thoughts that Cold Stop ends after their sum"])


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


def test_agreement_is_counted_up_to_the_end_of_the_greedy_text():
    """The first position is left out, a missing token does not agree, and a text of one token is left out."""
    assert share_agreeing([5, 6, 9, 8], [5, 6, 7, 8, 9]) == 0.5
    assert share_before_departure([5, 6, 9, 8], [5, 6, 7, 8, 9]) == 0.25
    assert share_before_departure([5, 6, 7], [5, 6]) == 1.0
    soft = Continuations(SPELLING, [concepts(0.75, 0.5, 0.5), concepts(0.75, 0.5)])
    found = Agreement([[5, 6, 9], [5]], soft, [[4, 6, 8], [5]], [[5, 6, 9], [5]])
    own, arms = test_generation.agreement_trials(SPELLING, ["a", "b"], found)
    assert [trial.value for trial in own] == [-0.5]
    assert own[0].outputs == {"greedy": "5 6 9", "sampled": "4 6 8"}
    assert [trial.value for trial in arms["before the first departure"]] == [-0.5]
    assert [trial.value for trial in arms["against the sampled tokens"]] == [0.0]


def test_the_most_probable_token_is_kept_beside_a_sampled_one():
    """The paths are those that the writers write alone."""
    lm, prompts = tiny("llama"), ["w5 w9", "w7"]
    found = compare_with_greedy(lm, prompts, 4)
    draws = uniform_draws(2, 4, seed=0)
    sampled = decode(lm, prompts, TokenWriter(lm, SOFT_THINKING, draws), 4)
    assert found.sampled == [trace.tokens for trace in sampled]
    for prompt, tokens, most_probable in zip(prompts, found.sampled, found.most_probable, strict=True):
        for n, token in enumerate(most_probable):
            text = torch.cat([lm.tokenize(prompt), torch.tensor(tokens[:n], dtype=torch.long)])
            assert lm.next_logits([text]).argmax().item() == token
    assert [tokens[0] for tokens in found.soft.tokens] == [tokens[0] for tokens in found.greedy]


def test_only_the_heaviest_tokens_are_compared_between_seeds():
    """Other weights on the same tokens are the same trace; the claim counts traces that differ."""
    lm = SPELLING
    first, same, other = (
        Continuations(lm, [trace]) for trace in (concepts(0.75, 0.5), concepts(0.5, 0.75), concepts(0.75))
    )
    traces = Traces(first, first, first, same, other)
    evidence = test_generation.test_gumbel_softmax_is_not_deterministic(["a"], traces)
    assert evidence.trials[0].success is True
    assert evidence.trials[0].outputs == {"the other trace": "5"}
    assert evidence.arms["the same seed"][0].success is False


@pytest.mark.parametrize(
    ("thought", "holds"),
    [(" 7 + 5 = 12", True), (" she had 18 -9=-3", True), (" There are 1", False), (" 7 + 5 =", False)],
)
def test_a_sum_has_its_result(thought: str, holds: bool):
    assert has_sum(thought) is holds
