"""Retained shares on mixtures whose answer is known, and the blends that they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.support.architectures import tiny
from tests.support.decoding import CLOSE
from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.generator.mixing.blends import arithmetic_blend, geometric_blend
from vsg_core.generator.mixing.distributions import js_divergence_bits
from vsg_core.generator.reading.retention import final_state_blend, retained_shares, separable

ROWS, VOCAB = 12, 40
EXACT: dict[str, Any] = {"rtol": 0.0, "atol": 1e-12}
SEQUENCES = [torch.arange(3, 3 + length) for length in (9, 1, 14)]
branch_numbers = pytest.mark.parametrize("k", [1, 2, 3, 5])


def draw(k: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw separable branches [ROWS, k, VOCAB] float64 and weights [ROWS, k] of at least 0.05."""
    generator = torch.Generator().manual_seed(seed)
    branches = (4 * torch.randn(20 * ROWS, k, VOCAB, generator=generator, dtype=torch.float64)).softmax(-1)
    weights = torch.rand(ROWS, k, generator=generator, dtype=torch.float64) + 0.2
    return branches[separable(branches)][:ROWS], weights / weights.sum(-1, keepdim=True)


@branch_numbers
def test_a_linear_network_keeps_every_weight(k):
    """The arithmetic blend has the weights themselves for shares, and nothing is left."""
    branches, weights = draw(k)
    found = retained_shares(arithmetic_blend(branches, weights), branches, weights)
    torch.testing.assert_close(found.shares, weights, **EXACT)
    torch.testing.assert_close(found.retained, torch.ones(ROWS, k, dtype=torch.float64), **EXACT)
    assert found.residual.amax() < 1e-12


def test_a_pruned_branch_has_nothing():
    """The distribution after the first branch alone gives it a share of 1, and the others nothing."""
    branches, weights = draw(3)
    found = retained_shares(branches[:, 0], branches, weights)
    expected = torch.zeros(ROWS, 3, dtype=torch.float64)
    expected[:, 0] = 1 / weights[:, 0]
    torch.testing.assert_close(found.retained, expected, **EXACT)
    torch.testing.assert_close(found.least, torch.zeros(ROWS, dtype=torch.float64), **EXACT)


def test_it_is_not_clamped():
    """A branch that gained and one that is avoided: 1.3 and -0.3 of the two branches are found as they are."""
    branches, weights = draw(2)
    given = torch.tensor([1.3, -0.3], dtype=torch.float64)
    found = retained_shares(arithmetic_blend(branches, given), branches, weights)
    torch.testing.assert_close(found.shares, given.expand(ROWS, 2), **EXACT)
    torch.testing.assert_close(found.retained, given / weights, **EXACT)


def test_the_residual_is_what_no_combination_gives():
    """A distribution on a token that no branch has: shares of 0 and a residual of 1."""
    branches, weights = draw(2)
    with_room = torch.cat([branches, torch.zeros(ROWS, 2, 1, dtype=torch.float64)], dim=-1)
    elsewhere = torch.nn.functional.one_hot(torch.full((ROWS,), VOCAB), VOCAB + 1).double()
    found = retained_shares(elsewhere, with_room, weights)
    torch.testing.assert_close(found.shares, torch.zeros(ROWS, 2, dtype=torch.float64), **EXACT)
    torch.testing.assert_close(found.residual, torch.ones(ROWS, dtype=torch.float64), **EXACT)


@branch_numbers
def test_it_agrees_with_numpys_least_squares(k):
    """On distributions that are not combinations of the branches, and given in float32."""
    branches, weights = draw(k)
    mixed = (2 * torch.randn(ROWS, VOCAB, generator=torch.Generator().manual_seed(1))).softmax(-1)
    found = retained_shares(mixed, branches, weights)
    for row in range(ROWS):
        shares, *_ = np.linalg.lstsq(branches[row].T.numpy(), mixed[row].double().numpy(), rcond=None)
        np.testing.assert_allclose(found.shares[row].numpy(), shares, atol=1e-12)
        left = mixed[row].double().numpy() - shares @ branches[row].numpy()
        assert found.residual[row].item() == pytest.approx(
            np.linalg.norm(left) / np.linalg.norm(mixed[row].double().numpy())
        )
    assert found.shares.dtype == found.residual.dtype == torch.float64


def test_order_and_batch_do_not_matter():
    """Exchanged branches exchange their shares, permuted tokens change none, and a row alone gives the same."""
    branches, weights = draw(3)
    mixed = torch.rand(ROWS, VOCAB, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = retained_shares(mixed, branches, weights)
    order = torch.tensor([2, 0, 1])
    exchanged = retained_shares(mixed, branches[:, order], weights[:, order])
    torch.testing.assert_close(exchanged.retained, whole.retained[:, order], **EXACT)
    tokens = torch.randperm(VOCAB, generator=torch.Generator().manual_seed(3))
    permuted = retained_shares(mixed[:, tokens], branches[..., tokens], weights)
    torch.testing.assert_close(permuted.retained, whole.retained, **EXACT)
    for row in range(ROWS):
        alone = retained_shares(mixed[row : row + 1], branches[row : row + 1], weights[row : row + 1])
        torch.testing.assert_close(alone.retained[0], whole.retained[row], **EXACT)
        torch.testing.assert_close(alone.residual[0], whole.residual[row], **EXACT)


def test_weights_for_all_rows_are_those_of_each():
    branches, _ = draw(2)
    weights = torch.tensor([0.7, 0.3])
    each = retained_shares(branches[:, 0], branches, weights.expand(ROWS, 2))
    torch.testing.assert_close(retained_shares(branches[:, 0], branches, weights).retained, each.retained)


def test_branches_that_are_nearly_the_same_are_refused():
    """Equal branches, near ones, and one that is a blend of two others; the message names the rows."""
    first, second = torch.eye(5, dtype=torch.float64)[:2]
    near = 0.9 * first + 0.1 * second
    rows = torch.stack(
        [
            torch.stack([first, second, torch.eye(5, dtype=torch.float64)[2]]),
            torch.stack([first, first, second]),
            torch.stack([first, near, second]),
            torch.stack([first, second, (first + second) / 2]),
        ]
    )
    assert separable(rows).tolist() == [True, False, False, False]
    with pytest.raises(VsgError, match=r"3 of 4 rows \(1, 2, 3\) have branches that are nearly the same"):
        retained_shares(rows[:, 0], rows, torch.tensor([0.4, 0.3, 0.3]))


def test_a_flat_branch_may_have_the_direction_of_a_peaked_one():
    """Far apart in bits, and yet no fit can tell them apart: the condition number refuses what the bits let pass."""
    vocab = 10_000
    peaked, flat = torch.zeros(2, vocab, dtype=torch.float64)
    peaked[0] = 1
    flat += 0.6 / vocab
    flat[0] += 0.4
    assert js_divergence_bits(peaked, flat) > 0.2
    branches = torch.stack([peaked, flat]).unsqueeze(0)
    assert separable(branches).tolist() == [False]
    assert separable(branches, condition=1000).tolist() == [True]


def test_what_does_not_fit_is_refused_in_one_line():
    branches, weights = draw(2)
    mixed = branches[:, 0]
    with pytest.raises(WrongUse, match=r"give \[batch, k, n\]"):
        retained_shares(mixed, mixed, weights)
    with pytest.raises(WrongUse, match="and weights"):
        retained_shares(mixed, branches, torch.ones(3))
    with pytest.raises(WrongUse, match="give one per row"):
        retained_shares(mixed, branches, weights[:3])
    with pytest.raises(WrongUse, match=r"give \[batch, vocab\]"):
        retained_shares(mixed[:, :-1], branches, weights)
    with pytest.raises(WrongUse, match="a weight is not above 0"):
        retained_shares(mixed, branches, torch.tensor([1.0, 0.0]))
    with pytest.raises(VsgError, match="NaN"):
        retained_shares(mixed * float("nan"), branches, weights)
    with pytest.raises(VsgError, match="NaN"):
        separable(branches * float("nan"))
    with pytest.raises(WrongUse, match=r"give \[batch, k, vocab\]"):
        separable(mixed)


def test_the_geometric_blend_is_linear_in_the_logits():
    """By definition: the softmax of the combined logits, whatever constant each branch's logits have."""
    generator = torch.Generator().manual_seed(4)
    logits = 5 * torch.randn(ROWS, 3, VOCAB, generator=generator, dtype=torch.float64)
    _, weights = draw(3)
    expected = (weights.unsqueeze(-1) * logits).sum(1).softmax(-1)
    torch.testing.assert_close(geometric_blend(logits.softmax(-1), weights), expected, **EXACT)


def test_a_token_that_one_branch_excludes_is_excluded():
    """Zeros are kept from becoming NaN, and lose their mass."""
    branches = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    blend = geometric_blend(branches, torch.tensor([0.7, 0.3]))
    torch.testing.assert_close(blend, torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("architecture", ["gpt2", "phi", "llama", "gemma3_text", "stablelm"])
def test_final_states_have_the_models_logits(architecture):
    """Of a batch with ids and vectors: norm and head give the logits; a blend of one branch is that branch."""
    lm = tiny(architecture)
    sequences = [SEQUENCES[0], lm.embed(SEQUENCES[1]), SEQUENCES[2]]
    states, logits = lm.final_states(sequences), lm.next_logits(sequences)
    torch.testing.assert_close(lm.lens(states), logits, **CLOSE)
    both = torch.stack([states, states.flip(0)], dim=1)  # [batch, 2, hidden]
    alone = final_state_blend(lm, both, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(alone.float(), logits.softmax(-1), **CLOSE)
    mixed = final_state_blend(lm, both, torch.tensor([0.3, 0.7]))
    expected = lm.lens(0.3 * states + 0.7 * states.flip(0)).softmax(-1)
    torch.testing.assert_close(mixed.float(), expected, **CLOSE)


def test_an_encoder_decoder_has_no_final_states_at_its_prompt():
    with pytest.raises(NotApplicable, match="encoder-decoder"):
        tiny("t5").final_states([SEQUENCES[0]])
