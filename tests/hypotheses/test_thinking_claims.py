"""Tests of what the claims about thoughts in concept tokens count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from fixtures.worked import NEARLY_ONE, Attempts, GivenBack, Problem, WorkedProblems
from hypotheses import test_thinking as claims
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.writing.thinking import Thought
from vsg_core.generator.writing.writers import ConceptToken


def concept(weight: float) -> ConceptToken:
    return ConceptToken(torch.zeros(2), Mixture((10, 20), (weight, 1 - weight)), entropy=1.0)


def attempts(*answers: str, steps: Sequence[int] = ()) -> Attempts:
    """The right answer to every problem is 1; the thoughts have some numbers of steps."""
    problems = [Problem(f"question {row}", "", "", 1) for row in range(len(answers))]
    lengths = steps or [0] * len(answers)
    pairs = zip(answers, lengths, strict=True)
    return Attempts(problems, [Thought([concept(0.5)] * n, "end", "", answer) for answer, n in pairs])


def worked(soft: Attempts, greedy: Attempts) -> WorkedProblems:
    return WorkedProblems(1, greedy, greedy, soft, greedy, [])


# Each way solves what no other does, so that it is seen where it counts.
NEVER = attempts("-", "-", "-")
BACK = GivenBack(
    heaviest=attempts("1", "2", "1"),
    rest=attempts("2"),
    other=attempts("1", "-", "-"),
    none=attempts("-", "1", "-"),
    shuffled=attempts("1"),
    full_stops=attempts("2"),
    noise=attempts("-"),
    cold=attempts("1", "1", "-"),
    at_random=attempts("-", "-", "1"),
    lengths=[2, 4, 0],
    dealt=[4, 2, 0],
    limit=0.25,
)


def test_answers_change_with_their_numbers():
    """The second has another number after the heaviest tokens, the third has one only there."""
    soft = attempts("1", "1", "-")
    soft.thoughts[1] = Thought([concept(0.95), concept(0.5)], "end", "", "1")
    evidence = claims.test_dropping_all_but_the_heaviest_keeps_the_answer(worked(soft, NEVER), BACK)
    assert [trial.success for trial in evidence.trials] == [False, True, True]
    assert [trial.output for trial in evidence.trials] == ["1", "2", "1"]
    assert evidence.trials[1].inputs == {"thought": "", "weights of the heaviest": [0.95, 0.5]}
    assert [trial.success for trial in evidence.arms["the heaviest dropped"]] == [True]
    assert [trial.value for trial in evidence.arms[claims.MIXED]] == [0.0, 0.5, 0.0]
    assert [trial.success for trial in evidence.arms["solved after the heaviest tokens"]] == [
        True,
        False,
        True,
    ]


def test_an_answer_is_its_first_number():
    """Another spelling of the same number is the same answer; a number and none differ, none and none do not."""
    before, after = (
        attempts(" 12", " 12", " twelve", " twelve"),
        attempts(" 12 apples", " twelve", " 12", " many"),
    )
    trials = claims.changed(before, after, worked(before, before))
    assert [trial.success for trial in trials] == [False, True, True, False]


def test_every_replaced_thought_has_an_arm():
    soft, greedy = attempts("1", "1", "-"), attempts("-", "-", "1")
    evidence = claims.test_own_concept_tokens_help_no_more_than_others(worked(soft, greedy), BACK)
    assert [trial.success for trial in evidence.trials] == [True, True, False]
    assert {name: [trial.success for trial in arm] for name, arm in evidence.arms.items()} == {
        "greedy tokens": [False, False, True],
        "own concept tokens against no thought": [True, True, False],
        claims.OTHER: [True, False, False],
        claims.NONE: [False, True, False],
        "shuffled": [True],
        "full stops": [False],
        "noise": [False],
    }


def test_cold_stop_is_compared_with_whole_thoughts_and_random_stops():
    soft = attempts("-", "1", "1", steps=[4, 4, 0])
    evidence = claims.test_cold_stop_saves_a_fifth_at_equal_accuracy(worked(soft, NEVER), BACK)
    assert [trial.success for trial in evidence.trials] == [True, True, False]
    assert evidence.trials[0].inputs == {"positions": 2, "of": 4, "limit in bits": 0.25}
    assert [trial.value for trial in evidence.arms["positions saved"]] == [0.5, 0.0, 0.0]
    assert [trial.success for trial in evidence.arms[claims.WHOLE]] == [False, True, True]
    assert [trial.success for trial in evidence.arms[claims.AT_RANDOM]] == [False, False, True]
    assert evidence.arms["Cold Stop against stopping at random"] == evidence.trials


@pytest.mark.parametrize(("weights", "share"), [([0.9, 0.89, 0.5, 1.0], 0.5), ([], 0.0)])
def test_a_weight_at_the_limit_is_not_below_it(weights, share):
    assert claims.share_below(weights, NEARLY_ONE) == share
