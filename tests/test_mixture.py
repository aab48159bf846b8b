"""Weights and measures of next-token distributions, against other libraries and cases worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chisquare, entropy

from tests.drawing import distributions, logit_rows, property_test
from vsg_core.errors import VsgError, WrongUse
from vsg_core.mixture import (
    PLAIN,
    STUDY,
    Mixing,
    entropy_bits,
    js_divergence_bits,
    mixture_weights,
    sample,
    top_k_ids,
    top_p_mask,
)  # fmt: skip

VOCAB = 12
mixings = st.builds(
    Mixing,
    temperature=st.floats(0.05, 20),
    top_k=st.none() | st.integers(1, VOCAB),
    top_p=st.none() | st.floats(0.01, 1),
    sharpening=st.floats(0.1, 50),
)


@property_test(100)
@given(logit_rows(VOCAB), mixings)
def test_weights_are_a_distribution(logits, mixing):
    """Never NaN, never negative, sum 1, at most top_k of them, and no token outranks a more probable one."""
    weights = mixture_weights(logits, mixing)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(logits)), atol=1e-5, rtol=0)
    if mixing.top_k is not None:
        assert ((weights > 0).sum(-1) <= mixing.top_k).all()
    order = logits.softmax(-1).sort(dim=-1, stable=True, descending=True).indices
    assert (weights.gather(-1, order).diff(dim=-1) <= 1e-6).all()


@property_test(100)
@given(logit_rows(VOCAB), st.integers(1, VOCAB))
def test_top_k_is_exact_under_ties(logits, k):
    """Exactly k a row, in order; of equal ones those with the lower id."""
    for ids, row in zip(top_k_ids(logits, k), logits, strict=True):
        assert ids.tolist() == sorted(range(VOCAB), key=lambda i: (-row[i].item(), i))[:k]


@pytest.mark.parametrize("equal", [0.0, -math.inf])
def test_top_k_among_many_ties(equal):
    """More equal ones at the edge than a first look at the largest finds."""
    logits = torch.full((2, 500), equal)
    logits[1, [400, 300]] = torch.tensor([2.0, 1.0])
    assert top_k_ids(logits, 4).tolist() == [[0, 1, 2, 3], [400, 300, 0, 1]]


def test_top_p_keeps_the_fewest_that_reach_it():
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64)
    for p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (1.0, 4)):
        assert top_p_mask(probabilities, p).sum() == kept, f"top_p {p}"


def test_a_mixture_worked_out_by_hand():
    """Probabilities .5 .3 .2 at temperature .5, top 2, sharpened by 2: .5^4 and .3^4, renormalised."""
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    weights = mixture_weights(logits, Mixing(temperature=0.5, top_k=2, sharpening=2.0))
    high, low = 0.5**4, 0.3**4
    torch.testing.assert_close(weights, torch.tensor([[high / (high + low), low / (high + low), 0.0]]))


@property_test(30)
@given(st.integers(0, 1000))
def test_the_studys_preset_is_the_studys_formula(seed):
    """softmax(logits / 0.8), the top 50, to the power 1.5, renormalised (src/qwen_concept_tokens.py)."""
    logits = torch.randn(2, 200, generator=torch.Generator().manual_seed(seed)) * 4
    top, ids = torch.topk(torch.softmax(logits / 0.8, dim=-1), k=50, dim=-1)
    top = torch.pow(top, 1.5)
    expected = torch.zeros_like(logits).scatter(-1, ids, top / top.sum(dim=-1, keepdim=True))
    torch.testing.assert_close(mixture_weights(logits, STUDY), expected)
    assert STUDY.max_norm == 1.5


def test_high_sharpening_does_not_underflow():
    weights = mixture_weights(torch.zeros(1, 50_000), Mixing(sharpening=100.0))
    torch.testing.assert_close(weights, torch.full((1, 50_000), 1 / 50_000))


@property_test(100)
@given(logit_rows(VOCAB), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_entropy_is_scipys_in_bits(logits, dtype):
    """Whatever the dtype, tokens that are ruled out among them; never NaN."""
    logits = logits.to(dtype)
    expected = entropy(logits.double().softmax(-1).numpy(), base=2, axis=-1)
    assert entropy_bits(logits).tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_entropy_that_the_studys_float16_clamp_lost():
    """1e-10 is 0 in float16, so the study's clamped p log p was NaN; log-probabilities give 0 bits."""
    logits = torch.tensor([[40.0, 0.0, -40.0]], dtype=torch.float16)
    clamped = logits.softmax(-1).clamp(min=1e-10)
    assert torch.isnan((clamped * clamped.log()).sum()), "the study's formula should lose this case"
    assert entropy_bits(logits).item() == pytest.approx(0.0, abs=1e-4)


@property_test(100)
@given(distributions(VOCAB), distributions(VOCAB))
def test_js_divergence_is_scipys(p, q):
    """Scipy's distance squared, in bits: symmetric, from 0 to 1."""
    p, q = (row.where(row > 1e-200, 0.0) for row in (p, q))  # scipy itself overflows on the smallest floats
    divergence = js_divergence_bits(p, q).item()
    assert divergence == pytest.approx(jensenshannon(p.numpy(), q.numpy(), base=2) ** 2, abs=1e-6)
    assert divergence == pytest.approx(js_divergence_bits(q, p).item(), abs=1e-12)
    assert 0 <= divergence <= 1 + 1e-9


def test_sampling_follows_the_weights():
    """50,000 draws: no token without weight, and the rest as often as their weights (chi-square, p above 0.001)."""
    weights = torch.tensor([[0.0, 0.5, 0.0, 0.3, 0.2, 0.0]]).expand(50_000, -1)
    draws = torch.rand(50_000, generator=torch.Generator().manual_seed(0))
    counts = sample(weights, draws).bincount(minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert chisquare(counts[[1, 3, 4]].numpy(), [25_000, 15_000, 10_000]).pvalue > 0.001


@pytest.mark.parametrize(("draw", "token"), [(0.0, 1), (math.nextafter(1.0, 0.0), 3)])
def test_extreme_draws_take_a_token_with_weight(draw, token):
    weights = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]])
    assert sample(weights, torch.tensor([draw], dtype=torch.float64)).item() == token


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0}, {"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"top_k": -3},
        {"top_p": 0.0}, {"top_p": 1.5}, {"top_p": math.nan}, {"sharpening": 0.0}, {"max_norm": -1.0},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_outside_its_range_is_named(options):
    ((name, value),) = options.items()
    with pytest.raises(WrongUse, match=f"{name} is {value}"):
        Mixing(**options)


def test_top_k_above_the_vocabulary_is_named():
    with pytest.raises(WrongUse, match=r"top_k is 13, above the vocabulary of 12"):
        mixture_weights(torch.zeros(1, 12), Mixing(top_k=13))


def test_nan_logits_are_refused():
    with pytest.raises(VsgError, match="NaN"):
        mixture_weights(torch.tensor([[0.0, math.nan]]), PLAIN)
