"""The claims on reading whose arms are computed in the claim itself."""

from __future__ import annotations

import torch

from hypotheses.test_reading import among, has_second_word
from hypotheses.test_reading_frames import total_variation
from tests.support.architectures import tiny
from vsg_core import Mixture


def test_a_second_word_is_heavy_and_not_another_spelling() -> None:
    lm = tiny("llama")
    first, second = lm.tokenize("w3 w4", special=False).tolist()
    assert has_second_word(lm, Mixture((first, second), (0.7, 0.3)))
    assert not has_second_word(lm, Mixture((first, second), (0.81, 0.19)))
    assert not has_second_word(lm, Mixture((first,), (1.0,)))
    assert not has_second_word(lm, Mixture((first, first), (0.7, 0.3)))


def test_a_token_is_among_its_own_answers_only() -> None:
    answers = torch.tensor([[1, 2], [3, 4], [5, 6]])
    assert among(torch.tensor([2, 1, 5]), answers).tolist() == [True, False, True]


def test_total_variation_is_half_the_absolute_difference() -> None:
    """It is at least what one noun loses: 0.3 here, of which the other gains 0.1."""
    before = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    after = torch.tensor([[0.5, 0.2, 0.3], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(
        total_variation(after, before), torch.tensor([0.3, 0.0, 1.0], dtype=torch.float64)
    )
