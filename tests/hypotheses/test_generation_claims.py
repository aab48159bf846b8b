"""Tests of what the claims about generation count, and of the data they ask about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch

from fixtures.generation import (
    Agreement,
    Continuations,
    Traces,
    compare_with_greedy,
    mean_weight,
    share_agreeing,
    share_before_departure,
    uniform_draws,
)
from hypotheses import test_generation
from tests.support.architectures import tiny
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.mixing.presets import SOFT_THINKING
from vsg_core.generator.writing.decoding import Trace, decode
from vsg_core.generator.writing.writers import ConceptToken, TokenWriter

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel


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
