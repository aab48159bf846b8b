"""What the claims about generation count, and the data they ask about."""

from __future__ import annotations

import ast
import operator
from types import SimpleNamespace

import pytest

from fixtures.generation import Feedback
from fixtures.prompts import Problem, Question
from hypotheses.test_feedback import collapsed, repeats
from hypotheses.test_word_problems import differences, solves, summed
from vsg_core.errors import NotApplicable
from vsg_core.generator.writing.thinking import Thought

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(node: ast.expr) -> float:
    """Of a sum in Python's notation."""
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int)
    return node.value


def test_every_word_problem_has_the_answer_of_its_sum(word_problems: list[Problem]):
    """100 different questions; no answer is that of more than a tenth of them, and none stands in the examples."""
    assert len({problem.question for problem in word_problems}) == 100
    for problem in word_problems:
        assert value(ast.parse(problem.sum, mode="eval").body) == problem.answer, problem.question
        assert problem.prompt.count(problem.question) == 1
        assert problem.prompt.endswith(f"\n\nQ: {problem.question}\nA:")
    answers = [problem.answer for problem in word_problems]
    assert max(answers.count(answer) for answer in answers) <= 10


def test_no_question_is_answered_by_its_examples(common_knowledge: list[Question]):
    """120 different questions, none of them among the worked ones."""
    assert len({asked.question for asked in common_knowledge}) == 120
    for asked in common_knowledge:
        assert asked.prompt.count(asked.question) == 1
        assert not {"cold", "dog", "Rome"} & set(asked.answers)


@pytest.mark.parametrize(
    ("answer", "solved"),
    [
        (" 12", True), (" 12 apples", True), ("12.", True), (" He has 12, not 13", True), (" 12.0", True),
        (" 13", False), (" 121", False), (" -12", False), ("", False), (" twelve", False), (" 1 2", False),
        (" 12.5", False),
    ],
)  # fmt: skip
def test_the_first_number_of_an_answer_counts(answer, solved):
    assert solves(answer, 12) is solved


def problem(answer: int) -> Problem:
    return Problem(f"question {answer}", "", "", answer)


def thought(answer: str) -> Thought:
    return Thought([], "end", "a trace", answer)


def test_a_difference_is_one_arm_less_the_share_of_the_others():
    """Solved alone, solved by one of two others too, solved by another only."""
    problems = [problem(1), problem(2), problem(3)]
    solved = {"a": [1, 1, 0], "b": [0, 1, 0], "c": [0, 0, 1]}
    worked = {name: [thought(" 5")] * 3 for name in solved}
    trials = differences(problems, worked, solved, "a", ["b", "c"])
    assert [trial.value for trial in trials] == [1.0, 0.5, -0.5]
    assert trials[0].outputs == {"b": "a trace Answer: 5", "c": "a trace Answer: 5"}


def test_arms_that_solve_the_same_problems_tell_no_difference():
    problems, worked = [problem(1), problem(2)], {name: [thought("")] * 2 for name in "ab"}
    with pytest.raises(NotApplicable, match="a and b solve the same 1 of 2 problems"):
        differences(problems, worked, {"a": [1, 0], "b": [1, 0]}, "a", ["b"])


def test_repetition_is_two_tokens_at_most_at_the_end():
    """One or two tokens over and over repeat; three, a late change, or a text that ended before do not."""
    begin = list(range(20, 28))
    ends = [[5] * 8, [5, 6] * 4, [5, 6, 7, 5, 6, 7, 5, 6], [5] * 7 + [6], list(range(8))]
    assert [repeats(begin + end) for end in ends] == [True, True, False, True, False]
    assert not repeats([5] * 8)


def test_a_text_has_collapsed_that_repeats_or_is_unlikely():
    """Of texts that do not repeat themselves, those above the bits that few drawn texts cost; an empty one is none."""
    fine, again = list(range(16)), [5] * 16
    tokens = {"raw": [fine, fine, again, []], "greedy": [[0, 9, 2], fine, fine, fine]}
    feedback = Feedback(tokens, {"raw": [4.0, 4.1, 1.0, None]}, unlikely=4.0)
    found = collapsed(SimpleNamespace(decode=str), list("abcd"), feedback, "raw")
    assert [trial.success for trial in found] == [False, True, True, False]
    assert found[0].inputs["tokens as in the greedy text"] == 2


@pytest.mark.parametrize(
    ("thought", "holds"),
    [(" 7 + 5 = 12", True), (" she had 18 -9=-3", True), (" There are 1", False), (" 7 + 5 =", False)],
)
def test_a_sum_has_its_result(thought: str, holds: bool):
    assert summed(thought) == holds
