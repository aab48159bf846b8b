"""Weights and measures of next-token distributions.

Compared with other libraries and with hand-computed values, at the limits of a setting, for ties, for tails, and at
the ends of a float's range.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import chisquare, entropy

from tests.support.architectures import ROWS, TOKENS, tiny
from tests.support.drawing import distributions, logit_rows, property_test
from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.mixing.distributions import entropy_bits, js_divergence_bits, js_divergences_bits
from vsg_core.generator.mixing.presets import STUDY, Mixing
from vsg_core.generator.mixing.weights import largest, mixture_weights, sample, top_k_ids, top_p_mask

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
    """They are never NaN or negative, sum to 1, number at most top_k, and rank no token above a more probable one."""
    weights = mixture_weights(logits, mixing)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(logits)), atol=1e-5, rtol=0)
    if mixing.top_k is not None:
        assert ((weights > 0).sum(-1) <= mixing.top_k).all()
    probable = logits.softmax(-1)
    # Pairs [batch, vocab, vocab]; of equally probable tokens either may get the weight.
    more = probable.unsqueeze(-1) > probable.unsqueeze(-2)
    above = weights.unsqueeze(-2) > weights.unsqueeze(-1) + 1e-6
    assert not (more & above).any()


def test_a_mixture_equals_a_hand_computed_one():
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


@property_test(40)
@given(st.permutations(range(VOCAB)), st.floats(-1e4, 1e4))
def test_low_temperature_gives_one_hot_and_high_temperature_uniform_weights(order, shift):
    """As temperature goes to 0 only the most probable token is left, to infinity all are equal; a shift is ignored."""
    logits = torch.tensor([order], dtype=torch.float32) + shift
    cold = mixture_weights(logits, Mixing(temperature=1e-4))
    assert torch.equal(cold, torch.eye(VOCAB)[logits.argmax(-1)])
    hot = mixture_weights(logits, Mixing(temperature=1e9))
    torch.testing.assert_close(hot, torch.full((1, VOCAB), 1 / VOCAB), atol=1e-5, rtol=0)


@property_test(60)
@given(logit_rows(VOCAB), st.floats(0.2, 5))
def test_temperature_and_sharpening_are_the_same_without_a_cut(logits, exponent):
    """Raising p to the power s and renormalising equals a temperature of 1/s."""
    sharpened = mixture_weights(logits, Mixing(sharpening=exponent))
    torch.testing.assert_close(sharpened, mixture_weights(logits, Mixing(1 / exponent)), atol=1e-5, rtol=1e-3)


def test_high_sharpening_does_not_underflow():
    weights = mixture_weights(torch.zeros(1, 50_000), Mixing(sharpening=100.0))
    torch.testing.assert_close(weights, torch.full((1, 50_000), 1 / 50_000))


@property_test(100)
@given(logit_rows(VOCAB), st.integers(1, VOCAB))
def test_top_k_is_exact_under_ties(logits, k):
    """There are exactly k per row, in order; among equal ones, those with the lower id."""
    for ids, row in zip(top_k_ids(logits, k), logits, strict=True):
        assert ids.tolist() == sorted(range(VOCAB), key=lambda i: (-row[i].item(), i))[:k]


@pytest.mark.parametrize("equal", [0.0, -math.inf])
def test_top_k_among_many_ties(equal):
    """More tokens are tied at the cut than a first search for the largest returns."""
    logits = torch.full((2, 500), equal)
    logits[1, [400, 300]] = torch.tensor([2.0, 1.0])
    assert top_k_ids(logits, 4).tolist() == [[0, 1, 2, 3], [400, 300, 0, 1]]


@property_test(60)
@given(st.integers(0, 1000), st.integers(100, 200), st.integers(1, 9), st.sampled_from([2, 9, 1000]))
def test_the_largest_of_a_long_row_are_those_of_topk(seed, vocab, k, distinct):
    """Whatever the number of groups and of those left over, with ties, -inf and NaN, in each row of a batch."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(distinct, (4, vocab), generator=generator).float()
    numbers[1, numbers[1] < distinct / 2] = -math.inf
    numbers[2, 7] = math.nan
    numbers[3, vocab // 16 * 16 :] = distinct
    values, ids = largest(numbers, k)
    expected = numbers.topk(k).values
    assert torch.allclose(values, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.allclose(numbers.gather(-1, ids), expected, rtol=0, atol=0, equal_nan=True)
    assert all(len(set(row)) == k for row in ids.tolist()), "each is found once"


@property_test(30)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_top_k_of_a_long_row_is_exact_under_ties(seed, k):
    """As in a short row: exactly k, in order, and of equal ones those with the lower ids."""
    logits = torch.randint(5, (2, 300), generator=torch.Generator().manual_seed(seed)).float()
    logits[1, :290] -= 9
    for ids, row in zip(top_k_ids(logits, k), logits.tolist(), strict=True):
        assert ids.tolist() == sorted(range(300), key=lambda i: (-row[i], i))[:k]


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64)
    for p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (1.0, 4)):
        assert top_p_mask(probabilities, p).sum() == kept, f"top_p {p}"


@property_test(80)
@given(distributions(VOCAB), st.floats(0.01, 1))
def test_top_p_is_the_smallest_set_that_reaches_p(row, p):
    """The kept tokens reach p, but not without the least of them, and no other token outweighs a kept one."""
    kept = top_p_mask(row.unsqueeze(0), p)[0]
    assert row[kept].sum() >= p * row.sum() - 1e-12
    assert row[kept].sum() - row[kept].min() < p * row.sum() + 1e-12
    assert kept.all() or row[~kept].max() <= row[kept].min()


def test_top_p_of_1_keeps_a_long_tail():
    """Tokens too small to change a float32 sum still count."""
    tail = torch.full((1, 10_000), 1e-9)
    tail[0, 0] = 1.0
    assert top_p_mask(tail, 1.0).all()


def test_top_k_comes_before_top_p():
    """Here top_p is a share of what top_k has left: .4 and .3 of .7, not of 1."""
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    weights = mixture_weights(logits, Mixing(top_k=2, top_p=0.6))
    torch.testing.assert_close(weights, torch.tensor([[4 / 7, 3 / 7, 0.0, 0.0]]))
    torch.testing.assert_close(mixture_weights(logits, Mixing(top_k=2, top_p=0.5)), torch.eye(4)[:1])


@property_test(100)
@given(logit_rows(VOCAB), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_entropy_equals_scipys_in_bits(logits, dtype):
    """Any dtype works, also with tokens that are ruled out; the result is never NaN."""
    logits = logits.to(dtype)
    expected = entropy(logits.double().softmax(-1).numpy(), base=2, axis=-1)
    assert entropy_bits(logits).tolist() == pytest.approx(expected.tolist(), abs=1e-4)


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
def test_entropies_equal_hand_computed_ones(row, bits):
    """The result is never NaN, even for the largest float32 logits and with tokens ruled out."""
    assert entropy_bits(torch.tensor(row)).item() == pytest.approx(bits, abs=1e-6)
    weights = mixture_weights(torch.tensor([row]), Mixing(0.8, top_k=2, sharpening=1.5))
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)


def test_entropies_and_divergences_keep_the_shape_of_their_rows(monkeypatch):
    """However few rows are computed at a time, each entropy and divergence is at the position of its row."""
    logits = torch.randn(2, 3, VOCAB, generator=torch.Generator().manual_seed(0)) * 3
    expected = torch.from_numpy(entropy(logits.softmax(-1), base=2, axis=-1))
    for at_a_time in (1, 2 * VOCAB, 100 * VOCAB):
        monkeypatch.setattr("vsg_core.generator.mixing.distributions.CHUNK", at_a_time)
        torch.testing.assert_close(entropy_bits(logits), expected, atol=1e-5, rtol=0)
        # Each row against the first.
        p, q = logits.softmax(-1), logits[:1, :1].softmax(-1)
        bits = jensenshannon(p, q.expand_as(p), base=2, axis=-1) ** 2
        torch.testing.assert_close(
            js_divergence_bits(p, q), torch.from_numpy(bits).double(), atol=1e-6, rtol=0
        )


def test_entropy_of_the_largest_float16_logits():
    """The largest float16 is 65504."""
    row = torch.tensor([65504.0, 65504.0, -65504.0, -math.inf], dtype=torch.float16)
    assert entropy_bits(row).item() == pytest.approx(1.0, abs=1e-6)


def test_entropy_is_0_where_the_studys_float16_clamp_gave_nan():
    """1e-10 is 0 in float16, so the study's clamped p log p was NaN; log-probabilities give 0 bits."""
    logits = torch.tensor([[40.0, 0.0, -40.0]], dtype=torch.float16)
    clamped = logits.softmax(-1).clamp(min=1e-10)
    assert torch.isnan((clamped * clamped.log()).sum()), "the study's formula should lose this case"
    assert entropy_bits(logits).item() == pytest.approx(0.0, abs=1e-4)


@property_test(100)
@given(distributions(VOCAB), distributions(VOCAB))
def test_js_divergence_equals_scipys(p, q):
    """The mean relative entropy to the middle, as scipy computes it, in bits: symmetric, from 0 to 1."""
    # scipy itself overflows on the smallest floats.
    p, q = (row.where(row > 1e-200, 0.0) for row in (p, q))
    divergence, middle = js_divergence_bits(p, q).item(), (p + q) / 2
    scipys = sum(rel_entr(row.numpy(), middle.numpy()).sum() for row in (p, q)) / 2 / math.log(2)
    # scipy's own distance is NaN where this is below 0.
    assert divergence == pytest.approx(scipys, abs=1e-6)
    assert divergence == pytest.approx(js_divergence_bits(q, p).item(), abs=1e-12)
    assert 0 <= divergence <= 1 + 1e-9


def test_js_divergence_is_1_for_disjoint_rows_and_0_for_equal_ones():
    """It is computed per row, also in float32 and with zeros."""
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    q = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.0, 0.5], [0.2, 0.3, 0.5]])
    assert js_divergence_bits(p, q).tolist() == pytest.approx([1.0, 0.5, 0.0], abs=1e-7)


def test_divergences_of_all_pairs_are_those_of_each_pair(monkeypatch):
    """However few rows are computed at a time, every p is compared with every q, row by row."""
    logits = torch.randn(5, 4, VOCAB, generator=torch.Generator().manual_seed(0)) * 3
    *ps, first, second = logits.softmax(-1)
    for at_a_time in (1, 3 * VOCAB):
        monkeypatch.setattr("vsg_core.generator.mixing.distributions.CHUNK", at_a_time)
        bits = js_divergences_bits(ps, [first, second])
        assert bits.shape == (3, 2, 4)
        for p, row in zip(ps, bits, strict=True):
            for q, found in zip((first, second), row, strict=True):
                expected = torch.from_numpy(jensenshannon(p, q, base=2, axis=-1) ** 2).double()
                torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_sampling_follows_the_weights():
    """In 50,000 draws no token of weight 0 occurs, and the others do as often as weighted (chi-square, p > 0.001)."""
    weights = torch.tensor([[0.0, 0.5, 0.0, 0.3, 0.2, 0.0]]).expand(50_000, -1)
    draws = torch.rand(50_000, generator=torch.Generator().manual_seed(0))
    counts = sample(weights, draws).bincount(minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert chisquare(counts[[1, 3, 4]].numpy(), [25_000, 15_000, 10_000]).pvalue > 0.001


@property_test(60)
@given(distributions(VOCAB), st.floats(0, 1, exclude_max=True))
def test_a_draw_selects_the_token_whose_share_contains_it(row, draw):
    """The weights before the token sum to at most the draw, and with the token to more, so its weight is positive."""
    token = int(sample(row.unsqueeze(0), torch.tensor([draw], dtype=torch.float64)))
    assert row[token] > 0
    assert row[:token].sum() <= draw * row.sum() + 1e-12
    assert draw * row.sum() < row[: token + 1].sum() + 1e-12


@pytest.mark.parametrize(("draw", "token"), [(0.0, 1), (math.nextafter(1.0, 0.0), 3)])
def test_extreme_draws_take_a_token_with_weight(draw, token):
    weights = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]])
    assert sample(weights, torch.tensor([draw], dtype=torch.float64)).item() == token


@pytest.mark.parametrize("architecture", ["llama", "gemma3_text"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_wide_and_narrow_mixtures_give_the_same_vectors(monkeypatch, architecture, dtype):
    """The two implementations, which gather a few rows or multiply the whole table, agree; one-hot rows are exact."""
    lm = tiny(architecture, dtype)
    rows = torch.eye(ROWS)[:TOKENS]
    soft = (torch.randn(8, ROWS, generator=torch.Generator().manual_seed(0)) * 3).softmax(-1)
    rows = torch.cat([rows, soft.masked_fill(~lm.is_token, 0)])
    gathered = lm.mix(rows)
    monkeypatch.setattr("vsg_core.generator.model.embeddings.GATHERED", 8)
    multiplied = lm.mix(rows)
    assert torch.equal(multiplied[:TOKENS], lm.embed(torch.arange(TOKENS))), "one-hot rows are exact"
    torch.testing.assert_close(multiplied, gathered)


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


@pytest.mark.parametrize(
    "row", [[0.0, math.nan], [0.0, math.inf], [-math.inf, -math.inf]], ids=["NaN", "infinity", "nothing left"]
)
@pytest.mark.parametrize("measure", [entropy_bits, mixture_weights])
def test_logits_without_a_distribution_are_refused(measure, row):
    """A row without a distribution is reported in one line by whichever measure meets it first."""
    with pytest.raises(VsgError, match="NaN or infinity"):
        measure(torch.tensor([[1.0, 2.0], row]))
