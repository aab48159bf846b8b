"""Tests of what the claims about word problems count, and of the problems that they ask."""

from __future__ import annotations

import ast
import operator

import pytest
import torch

from fixtures.draws import Draw
from fixtures.partly_mixed import Merged, PartlyMixed
from fixtures.pools.word_problems import WORD_PROBLEMS, WordProblem
from fixtures.prompts import read_data
from fixtures.worked import Attempts, GivenBack, Problem, WorkedProblems, as_problems, first_number
from hypotheses import test_word_problems as claims
from hypotheses.test_word_problems import differ, lead
from tests.support.architectures import tiny
from vsg_core.errors import NotApplicable
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.writing.thinking import Thought
from vsg_core.generator.writing.writers import ConceptToken

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


def concept(weight: float, entropy: float = 1.0) -> ConceptToken:
    return ConceptToken(torch.zeros(2), Mixture((10, 20), (weight, 1 - weight)), entropy)


def thinking(attempts: Attempts, *steps: list[object]) -> Attempts:
    """The same answers after thoughts of these steps."""
    thoughts = [
        Thought(list(kept), thought.ended, thought.trace, thought.answer)
        for kept, thought in zip(steps, attempts.thoughts, strict=True)
    ]
    return Attempts(attempts.problems, thoughts)


def successes(trials) -> list[bool]:
    return [trial.success for trial in trials]


# Each way solves what no other does, so that it is seen where it counts.
MIXED, SURE = concept(0.5), concept(0.95)
WAYS = [attempts(*("1" if bit == "1" else "-" for bit in f"{way:03b}")) for way in range(8)]
for _way in WAYS:
    _way.problems[:] = [Problem(f"question {row}", "", "", 1) for row in range(3)]


def solves(way: int) -> list[bool]:
    return [bit == "1" for bit in f"{way:03b}"]


FORK, AGREED = Merged((1, 2, 1)), Merged((3, 3, 3))
WORKED = WorkedProblems(
    1,
    greedy=WAYS[1],
    sampled=WAYS[2],
    soft=thinking(WAYS[3], [MIXED, SURE, MIXED, MIXED], [], [SURE, MIXED]),
    inputs=WAYS[0],
    entropies=[[2.0, 0.5, 2.5, 1.0], [], [3.0, 3.0]],
)
PARTLY = PartlyMixed(
    2.0,
    unsure=thinking(WAYS[4], [10, SURE, MIXED, 10], [], [SURE, MIXED]),
    surest=WAYS[5],
    at_random=WAYS[6],
    merged=thinking(WAYS[5], [FORK, AGREED, FORK], [AGREED], [FORK]),
)


def test_mixing_where_unsure_is_compared_with_all_other_places():
    evidence = claims.test_mixing_where_unsure_beats_mixing_everywhere(WORKED, PARTLY)
    assert successes(evidence.trials) == solves(4)
    assert [trial.inputs for trial in evidence.trials] == [
        {"positions mixed": 1, "of": 4},
        {"positions mixed": 0, "of": 0},
        {"positions mixed": 1, "of": 2},
    ]
    arms = dict(evidence.arms)
    # Of four positions two mixtures are at 2 bits or below; the third thought's only one is above.
    assert [trial.value for trial in arms.pop(claims.CLOSED)] == [0.5, 0.0, 0.0]
    assert {name: successes(arm) for name, arm in arms.items()} == {
        "greedy tokens": solves(1),
        "high entropy against random positions": solves(4),
        claims.EVERYWHERE: solves(3),
        claims.AT_RANDOM: solves(6),
        claims.SUREST: solves(5),
    }


def test_merged_samples_are_compared_with_one_and_with_no_thought():
    other = WAYS[0]
    back = GivenBack(other, other, other, WAYS[7], other, other, other, other, other, [], [], limit=0.0)
    evidence = claims.test_merging_three_samples_loses_nothing(WORKED, PARTLY, back)
    assert successes(evidence.trials) == solves(5)
    assert [trial.inputs["forks"] for trial in evidence.trials if trial.inputs] == [2, 0, 1]
    assert {name: successes(arm) for name, arm in evidence.arms.items()} == {
        "greedy tokens": solves(1),
        "no thought": solves(7),
        claims.ONE: solves(2),
        "thoughts with a fork": [True, False, True],
    }


def test_only_thoughts_that_fork_count_at_forks(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NotApplicable, match="thoughts in which three sampled tokens differ"):
        claims.test_merging_three_samples_gains_at_forks(WORKED, PARTLY)
    monkeypatch.setattr(claims, "FEWEST_FORKS", 2)
    evidence = claims.test_merging_three_samples_gains_at_forks(WORKED, PARTLY)
    assert [trial.prompt for trial in evidence.trials] == ["question 0", "question 2"]
    assert successes(evidence.trials) == [True, True]
    assert {name: successes(arm) for name, arm in evidence.arms.items()} == {
        "greedy tokens": [False, True],
        claims.ONE: [False, False],
        "merged against greedy tokens": [True, True],
    }


def test_a_problem_is_covered_by_any_of_its_thoughts():
    first, second, *_ = claims.covered([WAYS[4], WAYS[5], WAYS[4]])
    assert successes(claims.covered([WAYS[4], WAYS[5], WAYS[4]])) == [True, False, True]
    assert first.inputs == {"answer": 1, "thoughts that solve it": 3}
    assert (first.output.count("Answer:1"), second.output.count("Answer:-")) == (3, 3)


def test_several_thoughts_gain_where_some_of_them_solve_a_problem():
    """All three thoughts solve the first problem and none the second, which gains nothing; one solves the third."""
    assert claims.gains([WAYS[4], WAYS[5], WAYS[4]]) == pytest.approx([0, 0, 2 / 3])
    with pytest.raises(
        NotApplicable, match=r"all 3 sampled thoughts solve the problem or none does, in each of 3"
    ):
        claims.gains([WAYS[4]] * 3)


def test_entropies_are_means_over_all_positions():
    """Of 1, 2 and 6 bits in two thoughts 3; of no position 0."""
    one = thinking(WAYS[0], [concept(0.5, 1.0), concept(0.5, 2.0)], [], [concept(0.5, 4.0)])
    other = thinking(WAYS[0], [concept(0.5, 6.0)], [], [concept(0.5, 4.0)])
    assert claims.mean_entropies([one, other]) == [3.0, 0.0, 4.0]


def test_eight_thoughts_of_each_way_share_their_noise():
    """On a model that solves nothing: the thoughts of both ways begin with the same tokens, and seeds differ."""
    lm = tiny("llama")
    # Prompts of ordinary words do not fit into the context of a tiny model.
    draw = Draw(WORD_PROBLEMS, "a_test", 0, chosen=4)
    seen: dict[str, Attempts] = {}
    original = claims.work

    def watched(lm, problems, thinkers):
        short = [Problem(problem.question, "w3 w4", "", problem.answer) for problem in problems]
        seen.update(original(lm, short, thinkers))
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "work", watched)
        patch.setattr(claims, "gains", lambda samples: [0.0] * len(samples[0].problems))
        evidence = claims.test_gumbel_softmax_covers_more_than_sampling(lm, draw)
    assert len(evidence.trials) == len(evidence.arms[claims.TOKENS]) == 4
    assert len(seen) == 2 * claims.SAMPLES
    firsts = {
        name: [thought.steps[0].token_id for thought in way.thoughts if thought.steps]
        for name, way in seen.items()
    }
    mixed = [firsts[f"Gumbel-softmax {seed}"] for seed in range(claims.SAMPLES)]
    assert mixed == [firsts[f"{claims.TOKENS} {seed}"] for seed in range(claims.SAMPLES)]
    assert len({tuple(tokens) for tokens in mixed}) > 1
    # The first positions have the same distribution, so the entropies differ by what follows.
    assert all(isinstance(trial.value, float) for trial in evidence.arms[claims.BITS])
