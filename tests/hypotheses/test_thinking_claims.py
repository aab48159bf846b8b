"""Tests of what the claims about thoughts in concept tokens give back to the model, and what they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import torch

from fixtures.worked import COLD_BITS, Attempts, Problem, WorkedProblems
from hypotheses import test_thinking as claims
from vsg_core.errors import NotApplicable
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.writing.thinking import Thought
from vsg_core.generator.writing.writers import ConceptToken

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel


class Numbers(SimpleNamespace):
    """A model whose token n has the embedding [n]."""

    def embed(self, ids: Tensor) -> Tensor:
        return ids.float().unsqueeze(-1)

    def mix(self, mixtures: Sequence[Mixture]) -> Tensor:
        sums = [sum(t * w for t, w in zip(each.token_ids, each.weights, strict=True)) for each in mixtures]
        return torch.tensor(sums, dtype=torch.float).reshape(-1, 1)

    def tokenize(self, text: str, special: bool = True) -> Tensor:
        return torch.tensor([99])

    def noise_like(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        return torch.full_like(vectors, 77.0)

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


LM = cast("LanguageModel", Numbers())


def concept(*weights: float) -> ConceptToken:
    """A mixture of tokens 10, 20, ..., with a vector of its own."""
    mixture = Mixture(tuple(10 * (i + 1) for i in range(len(weights))), weights)
    return ConceptToken(torch.tensor([float(len(weights))]), mixture, entropy=1.0)


def attempts(answers: Sequence[str], steps: Sequence[Sequence[object]]) -> Attempts:
    """The right answer to every problem is 1."""
    problems = [Problem(f"question {row}", "", "", 1) for row in range(len(answers))]
    pairs = zip(answers, steps, strict=True)
    return Attempts(
        problems, [Thought(list(kept), "end", f"{len(kept)} steps", answer) for answer, kept in pairs]
    )


def worked(
    soft: Attempts, greedy: Attempts | None = None, entropies: Sequence[Sequence[float]] = (), fewer: int = 2
) -> WorkedProblems:
    greedy = greedy or soft
    return WorkedProblems(fewer, greedy, greedy, soft, greedy, [list(bits) for bits in entropies])


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, list[list[float]]]]]:
    """Record what the claims give back, (questions, by name the thoughts), and answer 2 after it."""
    calls = []

    def answer_after(
        lm: LanguageModel, problems: list[Problem], thoughts: Mapping[str, Sequence[Tensor]]
    ) -> dict[str, Attempts]:
        found = {name: [vectors.flatten().tolist() for vectors in each] for name, each in thoughts.items()}
        calls.append(([problem.question for problem in problems], found))
        answered = [Thought([], "end", "", "2") for _ in problems]
        return {name: Attempts(problems, answered) for name in thoughts}

    monkeypatch.setattr(claims, "answer_after", answer_after)
    return calls


def test_only_thoughts_with_other_tokens_than_the_greedy_one_are_answered_again(given):
    """The first has the greedy tokens, and greedy's answer counts for it; the second has not."""
    soft = attempts(["1", "1"], [[concept(0.75, 0.25)], [concept(0.5, 0.25, 0.25), concept(1.0)]])
    greedy = attempts(["1", "5"], [[10], [10, 20]])
    evidence = claims.test_dropping_all_but_the_heaviest_keeps_the_answer(LM, worked(soft, greedy))
    assert given == [
        (["question 1"], {"heaviest": [[10.0, 10.0]]}),
        (["question 0", "question 1"], {"rest": [[20.0], [25.0, 10.0]]}),
    ]
    assert [trial.success for trial in evidence.trials] == [False, True]
    assert [trial.output for trial in evidence.trials] == ["1", "2"]
    assert [trial.success for trial in evidence.arms["the heaviest dropped"]] == [True, True]
    assert [trial.value for trial in evidence.arms[claims.MIXED]] == [1.0, 0.5]
    assert [trial.success for trial in evidence.arms["solved after the heaviest tokens"]] == [True, False]


def test_an_answer_changes_with_its_number():
    """Another spelling of the same number is the same answer; a number and none differ, none and none do not."""
    before = attempts([" 12", " 12", " twelve", " twelve"], [[]] * 4)
    after = attempts([" 12 apples", " twelve", " 12", " many"], [[]] * 4)
    trials = claims.changed(before, after, worked(before))
    assert [trial.success for trial in trials] == [False, True, True, False]


def test_thoughts_are_given_to_other_problems_and_replaced_by_as_many_positions(given):
    thoughts = [
        [concept(1.0)],
        [],
        [concept(0.5, 0.5), concept(1.0), concept(0.5, 0.5)],
        [concept(0.5, 0.3, 0.2)],
    ]
    soft = attempts(["1", "1", "2", "3"], thoughts)
    evidence = claims.test_own_concept_tokens_help_no_more_than_others(
        LM, worked(soft, fewer=3), torch.Generator().manual_seed(0)
    )
    (everyone, by_name), (few, replaced) = given
    assert everyone == [f"question {row}" for row in range(4)]
    assert by_name[claims.OTHER] == [[2.0, 1.0, 2.0], [3.0], [1.0], []]
    assert by_name[claims.NONE] == [[], [], [], []]
    assert few == everyone[:3]
    assert [sorted(each) for each in replaced["shuffled"]] == [[1.0], [], [1.0, 2.0, 2.0]]
    assert replaced["full stops"] == [[99.0], [], [99.0] * 3]
    assert replaced["noise"] == [[77.0], [], [77.0] * 3]
    assert [trial.success for trial in evidence.trials] == [True, True, False, False]
    assert {name: len(arm) for name, arm in evidence.arms.items()} == {
        "greedy tokens": 4,
        "own concept tokens against no thought": 4,
        claims.OTHER: 4,
        claims.NONE: 4,
        "shuffled": 3,
        "full stops": 3,
        "noise": 3,
    }


SURE, UNSURE = COLD_BITS / 2, 1.0


@pytest.mark.parametrize(
    ("bits", "steps", "length"),
    [
        ([UNSURE, SURE, UNSURE], 1, 1),
        ([SURE, UNSURE, SURE, SURE, UNSURE], 2, 3),
        ([SURE, UNSURE, SURE], 2, 3),
        ([SURE, SURE], 1, 0),
        ([COLD_BITS], 1, 1),
        ([], 1, 0),
    ],
)
def test_cold_stop_writes_nothing_at_the_last_cold_step(bits, steps, length):
    assert claims.cold_length(bits, steps) == length


def test_the_most_cold_steps_are_taken_that_save_a_fifth():
    """Four in a row save nothing, three an eighth, two more than a fifth."""
    entropies = [[UNSURE, SURE, SURE, SURE], [UNSURE] * 4]
    assert claims.a_fifth_saved(entropies) == (2, [2, 4])
    with pytest.raises(NotApplicable, match="less than a fifth"):
        claims.a_fifth_saved([[UNSURE] * 9 + [SURE], []])


def test_thoughts_are_cut_where_cold_stop_ends_them_and_by_the_same_shares_elsewhere(given):
    """The whole thought keeps its answer; the saved shares are dealt out among all thoughts."""
    steps = [concept(1.0), concept(0.5, 0.5), concept(1.0), concept(1.0)]
    soft = attempts(["1", "1"], [steps, steps])
    entropies = [[UNSURE, SURE, SURE, SURE], [UNSURE] * 4]
    dealt = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        evidence = claims.test_cold_stop_saves_a_fifth_at_equal_accuracy(
            LM, worked(soft, entropies=entropies), generator
        )
        assert [trial.success for trial in evidence.trials] == [False, True]
        assert [trial.value for trial in evidence.arms["positions saved"]] == [0.5, 0.0]
        assert evidence.trials[0].output == "10 10 Answer:2"
        dealt.append([trial.success for trial in evidence.arms[claims.AT_RANDOM]])
    assert given[0] == (["question 0"], {"cut": [[1.0, 2.0]]})
    assert {tuple(successes) for successes in dealt} == {(False, True), (True, False)}
