"""Tests of what the claims about vectors, paraphrases and points between words compare, on tiny models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch

from fixtures.pools.openings import Opening
from hypotheses import test_concept_vectors as concept_vectors
from tests.support.architectures import tiny
from vsg_core import Mixture

if TYPE_CHECKING:
    from vsg_core import LanguageModel


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny("llama")


def drawing(items: list[Any]) -> Any:
    """Draw the first of these items that a claim can use."""

    def draw(trials: int, usable: Callable[[list[Any]], list[bool]] | None = None) -> list[Any]:
        can = [True] * len(items) if usable is None else usable(items)
        return [item for item, fits in zip(items, can, strict=True) if fits][:trials]

    return draw


def test_the_two_heaviest_tokens_change_places() -> None:
    """The others, and all weights, stay where they are."""
    exchanged = concept_vectors.with_the_two_heaviest_exchanged(Mixture((5, 3, 8), (0.45, 0.3, 0.25)))
    assert exchanged == Mixture((3, 5, 8), (0.45, 0.3, 0.25))


def test_weights_on_random_tokens_are_on_different_ones(lm: LanguageModel) -> None:
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(tuple(range(10)), (0.1,) * 10)
    scattered = concept_vectors.on_random_tokens(lm, mixture, generator)
    assert scattered.weights == mixture.weights
    assert len({*scattered.token_ids}) == 10
    assert {*scattered.token_ids} <= {*lm.token_ids}


def test_only_mixtures_without_a_half_are_asked_for_their_nearest_token(lm: LanguageModel) -> None:
    """Each arm is of the same prompts, and the exchanged mixture is asked for the token that was the heaviest."""
    openings = [Opening(f"w{i} w{i + 7}", ()) for i in range(30)]
    evidence = concept_vectors.test_nearest_token_is_the_heaviest(
        lm, drawing(openings), torch.Generator().manual_seed(0)
    )
    assert evidence.trials
    assert all(trial.mixture and trial.mixture[0][1] < 0.5 for trial in evidence.trials)
    for own, other in zip(evidence.trials, evidence.arms[concept_vectors.EXCHANGED], strict=True):
        assert own.prompt == other.prompt
        assert own.mixture
        assert other.mixture
        assert [token for token, _ in own.mixture[:2]] == [token for token, _ in other.mixture[1::-1]]
        assert own.success == (own.output == repr(own.mixture[0][0]))
        assert other.success == (other.output == repr(other.mixture[1][0]))
