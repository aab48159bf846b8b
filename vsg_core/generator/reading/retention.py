"""The retained share: how much of a branch's weight in a mixture is found again in the next distribution."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.mixing.blends import arithmetic_blend, weights_of_branches
from vsg_core.generator.mixing.distributions import float64, js_divergence_bits
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel

# The smallest divergence of two branches that make a fork, in bits.
FEWEST_BITS = 0.2
# The largest condition number of the branches, scaled to one length, at which shares are still of them. At 10, two
# branches have a cosine of 0.98, and a deviation of the next distribution is enlarged five times.
CONDITION = 10.0
# Rows that a message names at most.
NAMED = 5


@dataclass(frozen=True)
class Retained:
    """Next distributions fitted as combinations of those of their branches.

    Attributes:
        shares: [batch, k] float64, the coefficients c_i of the fit; they need not be positive or sum to 1.
        retained: [batch, k] float64, the retained shares c_i / w_i: 1 where the branch has its weight (linear), 0 where
            nothing is left of it (pruned), above 1 where it gained, below 0 where the next distribution avoids it.
        residual: [batch] float64, the norm of what the fit leaves over that of the next distribution, 0 to 1. Near 1
            the next distribution is not made of the branches, and their shares describe little of it.
    """

    shares: Tensor
    retained: Tensor
    residual: Tensor

    @property
    def least(self) -> Tensor:
        """The smallest retained share [batch] of each mixture's branches."""
        return self.retained.amin(-1)


def retained_shares(mixed: Tensor, branches: Tensor, weights: Tensor) -> Retained:
    """Fit each next distribution after a mixture as a combination of its branches', and compare with the weights.

    With p the distribution after the mixture and p_i that after branch i alone, in the same context:

        c = argmin_c || p - sum_i c_i p_i ||_2        retained_i = c_i / w_i
        residual = || p - sum_i c_i p_i ||_2 / || p ||_2

    Least squares over the whole vocabulary in float64, without constraints: nothing is clamped, and the coefficients
    are not made to sum to 1. The norm is that of probabilities, so that the likely tokens of a branch decide. A
    distribution that is linear in the weights has retained shares of 1 and a residual of 0, whatever the branches are.

    Args:
        mixed: [batch, vocab] the next distribution after each mixture.
        branches: [batch, k, vocab] the next distribution after each branch alone.
        weights: [batch, k] the branches' weights in the mixture, above 0; or [k] for all rows.

    Raises:
        WrongUse: the shapes do not fit, or a weight is not above 0.
        VsgError: some rows are not `separable`: branches that are nearly the same share any coefficients. Or there are
            NaN among the numbers.
    """
    weights = weights_of_branches(branches, weights)
    if mixed.shape != (len(branches), branches.shape[-1]):
        raise WrongUse(
            f"next distributions have shape {list(mixed.shape)}, and branches {list(branches.shape)}: "
            "give [batch, vocab] and [batch, k, vocab]"
        )
    if not bool((weights > 0).all()):
        raise WrongUse("a weight is not above 0: leave out the branches that are not in the mixture")
    mixed, branches = float64(mixed), float64(branches)
    if not bool(mixed.isfinite().all()):
        raise VsgError("the next distributions contain NaN or infinity")
    _check_separable(branches)
    along = torch.bmm(branches, mixed.unsqueeze(-1))  # [batch, k, 1]
    shares = torch.linalg.solve(torch.bmm(branches, branches.mT), along).squeeze(-1)
    left = mixed - arithmetic_blend(branches, shares)
    return Retained(shares, shares / weights, left.norm(dim=-1) / mixed.norm(dim=-1))


def separable(branches: Tensor, bits: float = FEWEST_BITS, condition: float = CONDITION) -> Tensor:
    """Return which rows [batch] have branches that a fit can tell apart.

    Every two of a row's branches are at least `bits` apart (Jensen-Shannon divergence), and the condition number of
    all of them, each scaled to length 1, is at most `condition`. The first keeps forks whose branches lead to different
    tokens; the second is what the fit needs: a peaked branch and a flat one are far apart in bits, and yet may have
    nearly one direction.

    Args:
        branches: [batch, k, vocab] the next distribution after each branch.
    """
    branches = float64(branches)
    if branches.dim() != 3:
        raise WrongUse(f"branches have shape {list(branches.shape)}: give [batch, k, vocab]")
    if not bool(branches.isfinite().all()):
        raise VsgError("the branches contain NaN or infinity")
    apart = torch.ones(len(branches), dtype=torch.bool, device=branches.device)
    for one, other in combinations(branches.unbind(1), 2):
        apart &= js_divergence_bits(one, other) >= bits
    directions = branches / branches.norm(dim=-1, keepdim=True)
    # The squares of the singular values, rising
    squares = torch.linalg.eigvalsh(torch.bmm(directions, directions.mT))  # [batch, k]
    well_conditioned: Tensor = squares[:, -1] <= condition**2 * squares[:, 0]
    return apart & well_conditioned


def final_state_blend(lm: LanguageModel, states: Tensor, weights: Tensor) -> Tensor:
    """Blend as a network that is linear up to its last layer: the final norm and the head on sum_i w_i h_i.

    The blend after the norm would be the `geometric_blend` in every model whose head is linear. Before it, a mixture of
    different states is shorter than its parts, and the norm brings it back to full length.

    Args:
        states: [batch, k, hidden] the branches' states before the final norm (`LanguageModel.final_states`).
        weights: [batch, k], or [k] for all rows.

    Returns:
        [batch, vocab] float64.

    Raises:
        WrongUse: the shapes do not fit.
        NotApplicable: the model's final norm is not known.
    """
    return float64(lm.lens(arithmetic_blend(states, weights).float())).softmax(-1)


def _check_separable(branches: Tensor) -> None:
    rows = (~separable(branches)).nonzero().flatten().tolist()
    if rows:
        named = ", ".join(map(str, rows[:NAMED])) + ("" if len(rows) <= NAMED else ", ...")
        raise VsgError(
            f"{len(rows)} of {len(branches)} rows ({named}) have branches that are nearly the same, which share any "
            "coefficients: keep those that are `separable`"
        )
