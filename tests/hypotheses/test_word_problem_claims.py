"""Tests of what the claims about word problems count, and of the problems that they ask."""

from __future__ import annotations

import ast
import operator

import pytest

from fixtures.prompts import Problem
from fixtures.worked import Attempts, first_number
from hypotheses.test_word_problems import lead
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
