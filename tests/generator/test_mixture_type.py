"""The type of a mixture: order, overlap, permutation, spelling, and its vector."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import ROWS, TOKENS, every_architecture, tiny
from tests.support.drawing import property_test
from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.mixing.mixture import Mixture

mixtures = st.dictionaries(st.integers(0, TOKENS - 1), st.floats(0.01, 1), min_size=1, max_size=6).map(
    lambda weights: Mixture.from_weights(weights).normalised()
)


def test_weights_are_sorted_and_equal_ones_keep_their_order():
    mixture = Mixture.from_weights({7: 0.2, 4: 0.6, 9: 0.2})
    assert mixture == Mixture((4, 7, 9), (0.6, 0.2, 0.2))
    assert mixture.heaviest == 4
    assert mixture.by_token() == {4: 0.6, 7: 0.2, 9: 0.2}


def test_overlap_is_the_shared_weight():
    """Weight on other tokens does not count; a mixture is normalised only on request."""
    mixture = Mixture((4, 7), (0.75, 0.25))
    assert mixture.overlap(Mixture((4, 7), (1.5, 0.5)).normalised()) == pytest.approx(1)
    assert mixture.overlap(Mixture((4, 9), (1.0, 1.0)).normalised()) == pytest.approx(0.5)
    assert mixture.overlap(Mixture((7, 4), (0.75, 0.25))) == pytest.approx(0.5)


@property_test(50)
@given(mixtures, mixtures)
def test_overlap_is_one_minus_the_total_variation_distance(first: Mixture, second: Mixture):
    a, b = first.by_token(), second.by_token()
    distance = sum(abs(a.get(token, 0) - b.get(token, 0)) for token in a | b) / 2
    assert first.overlap(second) == pytest.approx(1 - distance)
    assert first.overlap(second) == pytest.approx(second.overlap(first))


def test_permuting_moves_every_weight_by_one_place():
    mixture = Mixture((4, 7, 9), (0.6, 0.3, 0.1))
    assert mixture.permuted() == Mixture((4, 7, 9), (0.3, 0.1, 0.6))
    assert mixture.permuted().heaviest == 9
    assert Mixture((), ()).permuted() == Mixture((), ())


def test_the_heaviest_tokens_are_spelled():
    lm = tiny("llama")
    mixture = Mixture((4, 7, 9), (0.6, 0.3, 0.1))
    assert mixture.spelled(lm, 2) == [("w4", 0.6), ("w7", 0.3)]
    assert len(mixture.spelled(lm)) == 3


def test_what_is_not_a_mixture_is_refused():
    with pytest.raises(WrongUse, match="2 tokens has 1 weights"):
        Mixture((4, 7), (1.0,))
    with pytest.raises(WrongUse, match="empty mixture"):
        _ = Mixture((), ()).heaviest
    with pytest.raises(VsgError, match="NaN or a negative"):
        tiny("llama").mix([Mixture((4,), (-1.0,))])
    with pytest.raises(VsgError, match="pad the embedding table"):
        tiny("llama").mix([Mixture((TOKENS,), (1.0,))])


@every_architecture
@property_test(5)
@given(st.lists(mixtures, min_size=1, max_size=4))
def test_mixtures_of_any_size_mix_as_they_do_alone(architecture: str, batch: list[Mixture]):
    """The vector of a mixture does not depend on its neighbours, to the last digit."""
    lm = tiny(architecture)
    mixed = lm.mix(batch)
    assert mixed.shape == (len(batch), lm.embedding_table.shape[-1])
    for row, mixture in zip(mixed, batch, strict=True):
        alone = lm.mix(torch.tensor([mixture.weights]), torch.tensor([mixture.token_ids]))[0]
        assert torch.equal(row, alone)
        whole = torch.zeros(1, ROWS)
        whole[0, list(mixture.token_ids)] = torch.tensor(mixture.weights)
        torch.testing.assert_close(row, lm.mix(whole)[0])


def test_weights_that_do_not_fit_their_ids_are_refused():
    with pytest.raises(WrongUse, match=r"mixture weights \[1, 2\] do not fit ids \[1, 3\]"):
        tiny("llama").mix(torch.ones(1, 2), torch.tensor([[3, 4, 5]]))
