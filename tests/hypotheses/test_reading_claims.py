"""The claims on reading whose arms are computed in the claim itself."""

from __future__ import annotations

import torch

from fixtures.readings import copying, embed_pairs
from hypotheses.test_reading import among, has_second_word
from hypotheses.test_reading_frames import answers_in, total_variation
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


def test_answers_in_a_frame_are_those_to_each_sequence_alone() -> None:
    """The probabilities of both nouns after the mixture and after the heavier one at its norm; the tokens named."""
    lm = tiny("llama")
    vectors, frame = embed_pairs(lm, [("w5", "w6"), ("w7", "w8"), ("w9", "w10")]), copying(lm, ["w4"])
    found = answers_in(lm, frame, vectors)
    for i in range(3):
        asked = [frame(rows[i : i + 1]) for rows in (vectors.mixture, vectors.heavier, vectors.second)]
        mixed, heavier, lighter = (lm.next_logits([one]).softmax(-1)[0] for one in asked)
        torch.testing.assert_close(found.mixture[i], mixed[vectors.ids[i]].double())
        torch.testing.assert_close(found.heavier[i], heavier[vectors.ids[i]].double())
        assert found.named[i] == int(mixed.argmax())
        assert found.named_alone[i] == int(lighter.argmax())
