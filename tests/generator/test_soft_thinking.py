"""Soft Thinking in its published order, its randomised variants, Mixture of Inputs and noised soft tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from tests.support.architectures import END, ROWS, TOKENS, every_architecture, tiny
from tests.support.drawing import property_test
from vsg_core.cli import concept as concept_command
from vsg_core.errors import WrongUse
from vsg_core.generator.mixing import draws
from vsg_core.generator.mixing.presets import GUMBEL, PLAIN, PRESETS, SOFT_THINKING, SOFT_TOKENS, Mixing
from vsg_core.generator.mixing.weights import input_mixture, mixture_weights, sample
from vsg_core.generator.writing.decoding import decode
from vsg_core.generator.writing.writers import (
    ColdStop,
    ConceptWriter,
    InputMixtureWriter,
    TokenWriter,
    write_concepts,
)

SEQUENCES = [torch.arange(3, 9), torch.arange(20, 23), torch.tensor([7])]
# The tiny models know 60 tokens.
SMALL = Mixing(temperature=0.6, top_k=20, top_p=0.95, min_p=0.001, top_n=10)
RANDOM = {
    "gumbel": replace(SMALL, gumbel=0.5),
    "dirichlet": replace(SMALL, dirichlet=4.0),
    "gaussian": SOFT_TOKENS,
}
random_mixings = pytest.mark.parametrize("mixing", RANDOM.values(), ids=RANDOM.keys())


def logits_of(*probabilities: float) -> torch.Tensor:
    """Return logits [1, n] whose softmax equals the given probabilities."""
    return torch.tensor([probabilities]).log()


def test_min_p_comes_after_top_p():
    """Of .4 .3 .2 .1, top_p .5 keeps two and min_p .6 keeps both; with min_p first, top_p would leave one."""
    logits = logits_of(0.4, 0.3, 0.2, 0.1)
    weights = mixture_weights(logits, Mixing(top_p=0.5, min_p=0.6))
    torch.testing.assert_close(weights, torch.tensor([[4 / 7, 3 / 7, 0.0, 0.0]]))
    weights = mixture_weights(logits, Mixing(top_p=0.5, min_p=0.8))
    torch.testing.assert_close(weights, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))


def test_top_n_cuts_what_top_p_leaves():
    """Of .4 .3 .2 .1, top_p .95 keeps all four; then the two heaviest remain, renormalised."""
    weights = mixture_weights(logits_of(0.4, 0.3, 0.2, 0.1), Mixing(top_p=0.95, top_n=2))
    torch.testing.assert_close(weights, torch.tensor([[4 / 7, 3 / 7, 0.0, 0.0]]))


@property_test(40)
@given(st.integers(0, 10_000), st.floats(0.5, 6))
def test_the_preset_follows_soft_thinkings_own_order(seed, spread):
    """As its sampler: softmax(logits / T), top_k, top_p and min_p each renormalised, the top n, renormalised."""
    logits = torch.randn(2, 200, generator=torch.Generator().manual_seed(seed)) * spread
    probs, order = (logits / 0.6).softmax(-1).sort(descending=True)
    probs[:, 30:] = 0
    probs /= probs.sum(-1, keepdim=True)
    probs[probs.double().cumsum(-1) - probs >= 0.95] = 0
    probs /= probs.sum(-1, keepdim=True)
    probs[probs < 0.001 * probs.amax(-1, keepdim=True)] = 0
    probs[:, 10:] = 0
    probs /= probs.sum(-1, keepdim=True)
    expected = torch.zeros_like(logits).scatter(-1, order, probs)
    torch.testing.assert_close(mixture_weights(logits, SOFT_THINKING), expected)


def test_gumbel_softmax_follows_its_formula():
    """softmax((log w + g) / tau) on the kept weights, heaviest first; g is numpy's draw for that sequence and step."""
    logits = logits_of(0.2, 0.5, 0.3)
    weights = mixture_weights(logits, Mixing(top_k=2, gumbel=0.5), draws.generators(7, torch.tensor([4]), 2))
    noise = np.random.default_rng((7, 4, 2)).gumbel(size=2)
    high, low = np.exp((np.log([0.5 / 0.8, 0.3 / 0.8]) + noise) / 0.5)
    expected = torch.tensor([[0.0, high / (high + low), low / (high + low)]], dtype=torch.float32)
    torch.testing.assert_close(weights, expected)


def test_the_heaviest_after_gumbel_is_a_draw_from_the_weights():
    """In 20,000 sequences each token is the heaviest as often as its weight (chi-square, p above 0.001)."""
    weights = mixture_weights(
        logits_of(0.5, 0.3, 0.2).expand(20_000, -1),
        Mixing(gumbel=0.5),
        draws.generators(0, torch.arange(20_000), 0),
    )
    torch.testing.assert_close(weights.sum(-1), torch.ones(20_000))
    assert chisquare(weights.argmax(-1).bincount().numpy(), [10_000, 6_000, 4_000]).pvalue > 0.001


def test_dirichlet_draws_have_its_mean_and_variance():
    """Mean w and variance w (1 - w) / (c + 1) for c = 4, within five standard errors; weights of 0 stay 0."""
    weights = torch.tensor([0.5, 0.3, 0.2, 0.0])
    drawn = draws.dirichlet(weights.expand(20_000, -1), 4.0, draws.generators(0, torch.arange(20_000), 0))
    variance = weights * (1 - weights) / 5
    assert ((drawn.mean(0) - weights).abs() <= 5 * (variance / 20_000).sqrt()).all()
    torch.testing.assert_close(drawn.var(0), variance, rtol=0.05, atol=0)
    assert (drawn[:, 3] == 0).all()


def test_dirichlet_of_a_single_token_is_that_token():
    """The same applies at a concentration whose gamma draws are 0 in floating point."""
    one = torch.tensor([[0.0, 1.0]])
    assert torch.equal(draws.dirichlet(one, 1e-4, draws.generators(0, torch.arange(1), 0)), one)


@random_mixings
def test_draws_belong_to_a_sequence_and_a_step(mixing):
    """Sequence 2 gets the same vector alone as in a batch, and a different one at a different step, seed or number."""
    lm = tiny("llama")
    logits = lm.next_logits(SEQUENCES)

    def vectors(rows: list[int], step: int = 1, seed: int = 0) -> torch.Tensor:
        return ConceptWriter(lm, mixing, seed=seed)(logits[rows], torch.tensor(rows), step).inputs

    batch = vectors([0, 1, 2])
    torch.testing.assert_close(vectors([2])[0], batch[2])
    alike = logits[[2]].expand(2, -1)
    numbered = ConceptWriter(lm, mixing)(alike, torch.tensor([2, 5]), 1).inputs
    for other in (vectors([2], step=0)[0], vectors([2], seed=1)[0], numbered[1]):
        assert (other - batch[2]).abs().max() > 1e-3


@random_mixings
@every_architecture
def test_random_traces_do_not_depend_on_the_neighbours(architecture, mixing):
    """The first sequence's trace is the same whatever sequences follow it."""
    lm = tiny(architecture)
    alone = write_concepts(lm, SEQUENCES[:1], 3, mixing, seed=3)[0]
    batched = write_concepts(lm, SEQUENCES, 3, mixing, seed=3)[0]
    for one, other in zip(alone.steps, batched.steps, strict=True):
        torch.testing.assert_close(one.vector, other.vector, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["gumbel", "dirichlet"])
def test_drawn_weights_are_what_is_mixed(name):
    """Components are listed heaviest first, at most top_n of them, and their mixture is the vector."""
    lm = tiny("llama")
    for trace in write_concepts(lm, SEQUENCES, 2, RANDOM[name]):
        for concept in trace.steps:
            assert list(concept.mixture.weights) == sorted(concept.mixture.weights, reverse=True)
            assert len(concept.mixture.weights) <= 10
            mixed = lm.mix([concept.mixture])[0]
            torch.testing.assert_close(concept.vector, mixed)


def test_drawn_weights_need_generators():
    with pytest.raises(WrongUse, match="draws its weights"):
        mixture_weights(torch.zeros(1, 40), GUMBEL)


@pytest.mark.parametrize(
    "options",
    [{"min_p": 0.0}, {"min_p": 1.0}, {"top_n": 0}, {"dirichlet": 0.0}, {"gumbel": -1.0}, {"gaussian": math.nan}],
    ids=str,
)  # fmt: skip
def test_a_value_outside_its_range_is_named(options):
    ((name, value),) = options.items()
    with pytest.raises(WrongUse, match=f"{name} is {value}"):
        Mixing(**options)


def test_presets_state_whether_they_draw():
    """Randomised Soft Thinking and noised soft tokens draw, vanilla Soft Thinking does not. The command knows all."""
    assert list(PRESETS) == list(concept_command.PRESETS)
    random = {name for name, mixing in PRESETS.items() if mixing.is_random}
    assert random == {"dirichlet", "gumbel", "soft-tokens"}


def test_soft_tokens_are_a_mixture_and_noise_on_every_entry():
    """The noise has 0.33 times the table's standard deviation and a mean of 0, and is the only difference."""
    lm = tiny("llama")
    logits = lm.next_logits(SEQUENCES[:1]).expand(2_000, -1)
    noisy = ConceptWriter(lm, SOFT_TOKENS)(logits, torch.arange(2_000), 0).inputs
    noise = noisy - ConceptWriter(lm, Mixing(temperature=0.5))(logits[:1], torch.tensor([0]), 0).inputs
    assert noise.std().item() == pytest.approx(0.33 * lm.embedding_std, rel=0.02)
    assert abs(noise.mean().item()) < 0.01 * lm.embedding_std


@pytest.mark.parametrize(
    ("temperature", "stops"), [(1.0, [None, None]), (0.1, [None, "cold"])], ids=["warm", "cold"]
)
def test_cold_stop_uses_its_own_temperature(temperature, stops):
    """Two tokens whose logits differ by 1 have .84 bits at temperature 1 and almost none at a tenth of it."""
    lm = tiny("llama")
    row = torch.full((1, ROWS), -torch.inf)
    row[0, 3:5] = torch.tensor([1.0, 0.0])
    stop = ColdStop(0.5, steps=2, temperature=temperature)
    for writer in (ConceptWriter(lm, PLAIN, stop), TokenWriter(lm, cold_stop=stop)):
        assert [writer(row, torch.tensor([0]), step).stopped[0] for step in range(2)] == stops


def test_mixture_of_inputs_equals_hand_computed_weights():
    """With p = 1/2, 1/2 of 4 tokens, H is half its maximum: (.5 p + 1.5 y) / 2 at beta 1, (.5 p + .5 y) at beta 0."""
    p, token = torch.tensor([[0.5, 0.5, 0.0, 0.0]]), torch.tensor([1])
    for beta, weights in ((1.0, [0.125, 0.875, 0.0, 0.0]), (0.0, [0.25, 0.75, 0.0, 0.0])):
        torch.testing.assert_close(input_mixture(p, token, beta, candidates=4), torch.tensor([weights]))


def test_mixture_of_inputs_at_its_extremes():
    """A certain distribution gives the token itself; a uniform one, at beta 1, the mean of distribution and token."""
    certain, uniform = torch.eye(4)[[2]], torch.full((1, 4), 0.25)
    assert torch.equal(input_mixture(certain, torch.tensor([2]), 1.0, 4), certain)
    expected = (uniform + torch.eye(4)[[0]]) / 2
    torch.testing.assert_close(input_mixture(uniform, torch.tensor([0]), 1.0, 4), expected)


def test_mixture_of_inputs_writes_tokens_and_feeds_mixtures():
    """The drawn token is kept, and its mixture is fed back; H is relative to the 3 kept candidates."""
    lm = tiny("llama")
    logits = torch.full((3_000, ROWS), -torch.inf)
    logits[:, [5, 6, 9, END]] = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    written = InputMixtureWriter(lm, Mixing(top_k=3))(logits, torch.arange(3_000), 0)
    counts = np.bincount(written.kept, minlength=10)[[5, 6, 9]]
    assert counts.sum() == 3_000
    assert chisquare(counts, 3_000 * np.array([0.5, 0.3, 0.15]) / 0.95).pvalue > 0.001
    p = torch.zeros(1, ROWS)
    p[0, [5, 6, 9]] = torch.tensor([0.5, 0.3, 0.15]) / 0.95
    expected = lm.mix(input_mixture(p, torch.tensor(written.kept[:1]), 1.0, candidates=3))
    torch.testing.assert_close(written.inputs[:1], expected)


def test_mixture_of_inputs_ends_where_its_token_does():
    """As in ordinary decoding, it stops at an end token and does not keep it."""
    lm = tiny("llama")
    row = torch.full((1, ROWS), -torch.inf)
    row[0, END] = 0.0
    assert InputMixtureWriter(lm)(row, torch.tensor([0]), 0).stopped == ["end"]
    (trace,) = decode(lm, SEQUENCES[:1], InputMixtureWriter(lm, SMALL), 4)
    assert all(isinstance(token, int) and token < TOKENS for token in trace.steps)


@pytest.mark.parametrize("mixing", [SMALL, Mixing(temperature=2.0, top_k=5)], ids=["soft thinking", "hot"])
def test_a_draw_selects_the_same_token_with_or_without_a_cut_vocabulary(mixing):
    """Candidates keep the order of their ids, so that a sampled text equals that from the whole table of weights."""
    lm = tiny("llama")
    logits = lm.next_logits(SEQUENCES).repeat(200, 1)
    rows = torch.arange(len(logits))
    drawn = torch.rand(len(logits), 1, generator=torch.Generator().manual_seed(0))
    expected = sample(mixture_weights(logits, mixing), drawn[:, 0])
    assert TokenWriter(lm, mixing, drawn)(logits, rows, 0).kept == expected.tolist()
    written = InputMixtureWriter(lm, mixing)(logits, rows, 0)
    each = draws.generators(0, rows, 0)
    assert written.kept == sample(mixture_weights(logits, mixing), draws.uniform(each)).tolist()
