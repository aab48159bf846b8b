"""Where weights and measures are easily wrong: limits of a setting, ties, tails, the ends of a float's range."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.architectures import ROWS, TOKENS, tiny
from tests.drawing import distributions, logit_rows, property_test
from vsg_core.errors import VsgError
from vsg_core.mixture import Mixing, entropy_bits, js_divergence_bits, mixture_weights, sample, top_p_mask

VOCAB = 10


@property_test(40)
@given(st.permutations(range(VOCAB)), st.floats(-1e4, 1e4))
def test_the_coldest_is_one_hot_and_the_hottest_uniform(order, shift):
    """Temperature towards 0 leaves the most probable token, towards infinity makes all equal; a shift is nothing."""
    logits = torch.tensor([order], dtype=torch.float32) + shift
    cold = mixture_weights(logits, Mixing(temperature=1e-4))
    assert torch.equal(cold, torch.eye(VOCAB)[logits.argmax(-1)])
    hot = mixture_weights(logits, Mixing(temperature=1e9))
    torch.testing.assert_close(hot, torch.full((1, VOCAB), 1 / VOCAB), atol=1e-5, rtol=0)


@property_test(60)
@given(logit_rows(VOCAB), st.floats(0.2, 5))
def test_temperature_and_sharpening_are_the_same_without_a_cut(logits, exponent):
    """p to the power s, renormalised, is a temperature of 1/s."""
    sharpened = mixture_weights(logits, Mixing(sharpening=exponent))
    torch.testing.assert_close(sharpened, mixture_weights(logits, Mixing(1 / exponent)), atol=1e-5, rtol=1e-3)


@property_test(80)
@given(distributions(VOCAB), st.floats(0.01, 1))
def test_top_p_is_the_smallest_set_that_reaches_p(row, p):
    """What is kept reaches p, would not without its least token, and nothing left out outweighs anything kept."""
    kept = top_p_mask(row.unsqueeze(0), p)[0]
    assert row[kept].sum() >= p * row.sum() - 1e-12
    assert row[kept].sum() - row[kept].min() < p * row.sum() + 1e-12
    assert kept.all() or row[~kept].max() <= row[kept].min()


def test_top_p_of_1_keeps_a_long_tail():
    """Tokens too small to move a float32 sum still count."""
    tail = torch.full((1, 10_000), 1e-9)
    tail[0, 0] = 1.0
    assert top_p_mask(tail, 1.0).all()


def test_top_k_comes_before_top_p():
    """top_p is a share of what top_k has left: .4 and .3 of .7, not of 1."""
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    weights = mixture_weights(logits, Mixing(top_k=2, top_p=0.6))
    torch.testing.assert_close(weights, torch.tensor([[4 / 7, 3 / 7, 0.0, 0.0]]))
    torch.testing.assert_close(mixture_weights(logits, Mixing(top_k=2, top_p=0.5)), torch.eye(4)[:1])


@pytest.mark.parametrize(
    ("row", "bits"),
    [
        ([0.0, 0.0, 0.0, 0.0], 2.0),
        ([5.0, -math.inf, -math.inf, 5.0], 1.0),
        ([2.0e38, -2.0e38, 0.0, 1.0], 0.0),
        ([-2.0e38, -2.0e38, -math.inf, -math.inf], 1.0),
        ([0.0, -200.0, -math.inf, -1e30], 0.0),
    ],
    ids=["uniform", "two left", "huge", "hugely negative", "tiny"],
)
def test_entropies_worked_out_by_hand(row, bits):
    """In bits, and never NaN: for logits about as large as a float32 can be, and with tokens ruled out."""
    assert entropy_bits(torch.tensor(row)).item() == pytest.approx(bits, abs=1e-6)
    weights = mixture_weights(torch.tensor([row]), Mixing(0.8, top_k=2, sharpening=1.5))
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)


def test_entropies_keep_the_shape_of_their_rows(monkeypatch):
    """However few rows are worked out at a time, each entropy stands where its row stood."""
    logits = torch.randn(2, 3, VOCAB, generator=torch.Generator().manual_seed(0)) * 3
    expected = torch.from_numpy(scipy.stats.entropy(logits.softmax(-1), base=2, axis=-1))
    for at_a_time in (1, 2 * VOCAB, 100 * VOCAB):
        monkeypatch.setattr("vsg_core.mixture.ENTROPY_CHUNK", at_a_time)
        torch.testing.assert_close(entropy_bits(logits), expected, atol=1e-5, rtol=0)


def test_entropy_of_the_largest_float16_logits():
    """65504 is as far as float16 goes."""
    row = torch.tensor([65504.0, 65504.0, -65504.0, -math.inf], dtype=torch.float16)
    assert entropy_bits(row).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "row", [[0.0, math.nan], [0.0, math.inf], [-math.inf, -math.inf]], ids=["NaN", "infinity", "nothing left"]
)
@pytest.mark.parametrize("measure", [entropy_bits, mixture_weights])
def test_logits_that_say_nothing_are_refused(measure, row):
    """A row without a distribution ends in one line, in whichever measure it is met first."""
    with pytest.raises(VsgError, match="NaN or infinity"):
        measure(torch.tensor([[1.0, 2.0], row]))


def test_js_divergence_of_rows_apart_is_1_and_of_the_same_0():
    """By row, also in float32 and with zeros."""
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    q = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.0, 0.5], [0.2, 0.3, 0.5]])
    assert js_divergence_bits(p, q).tolist() == pytest.approx([1.0, 0.5, 0.0], abs=1e-7)


@property_test(60)
@given(distributions(VOCAB), st.floats(0, 1, exclude_max=True))
def test_a_draw_falls_on_the_token_whose_share_holds_it(row, draw):
    """What comes before the token is at most the draw, together with it above; so a token without weight never."""
    token = int(sample(row.unsqueeze(0), torch.tensor([draw], dtype=torch.float64)))
    assert row[token] > 0
    assert row[:token].sum() <= draw * row.sum() + 1e-12
    assert draw * row.sum() < row[: token + 1].sum() + 1e-12


@pytest.mark.parametrize("architecture", ["llama", "gemma3_text"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_wide_and_narrow_mixtures_are_worked_out_alike(monkeypatch, architecture, dtype):
    """The two ways to mix, few rows gathered or the whole table multiplied, give the same, one-hot rows exactly."""
    lm = tiny(architecture, dtype)
    rows = torch.eye(ROWS)[:TOKENS]
    soft = (torch.randn(8, ROWS, generator=torch.Generator().manual_seed(0)) * 3).softmax(-1)
    rows = torch.cat([rows, soft.masked_fill(~lm.is_token, 0)])
    gathered = lm.mix(rows)
    monkeypatch.setattr("vsg_core.language_model.GATHERED", 8)
    multiplied = lm.mix(rows)
    assert torch.equal(multiplied[:TOKENS], lm.embed(torch.arange(TOKENS))), "one-hot rows are exact"
    torch.testing.assert_close(multiplied, gathered)
