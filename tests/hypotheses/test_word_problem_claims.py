"""Tests of what the claims about word problems count, and of the problems that they ask."""

from __future__ import annotations

import ast
import operator

import pytest

from fixtures.pools.word_problems import WordProblem
from fixtures.prompts import read_data
from fixtures.worked import Attempts, Problem, as_problems, first_number
from hypotheses.test_word_problems import differ, lead
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


def test_every_listed_problem_has_the_answer_of_its_sum():
    """100 different questions that no claim draws; no answer is that of more than a tenth of them."""
    listed = [WordProblem(*row) for row in read_data("word_problems")["problems"]]
    assert len({problem.question for problem in listed}) == 100
    for problem in listed:
        assert value(ast.parse(problem.sum, mode="eval").body) == problem.answer, problem.question
    answers = [problem.answer for problem in listed]
    assert max(answers.count(answer) for answer in answers) <= 10


def test_a_problem_follows_the_worked_examples():
    """The examples work a sum in a line and name its result after "Answer:", as the thoughts are to."""
    (problem,) = as_problems([WordProblem("How many?", "1 + 1", 2)])
    assert problem.prompt.startswith("Q: Ann has 6 red pens")
    assert problem.prompt.count("\nA: ") == problem.prompt.count("\nAnswer: ") == 3
    assert problem.prompt.endswith("\n\nQ: How many?\nA:")
    assert (problem.question, problem.sum, problem.answer) == ("How many?", "1 + 1", 2)


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


def test_thoughts_differ_as_texts():
    """The answers do not count, nor does whether the problem is solved."""
    one, other = attempts("1", "2"), attempts("-", "-")
    other.thoughts[1] = Thought([], "end", " 1 + 1 = 2 ", "2")
    assert [trial.success for trial in differ(one, other)] == [False, True]
