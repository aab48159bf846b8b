"""Blends of the next distributions of several branches: the references for what follows a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsg_core.errors import WrongUse
from vsg_core.generator.mixing.distributions import float64
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def arithmetic_blend(branches: Tensor, weights: Tensor) -> Tensor:
    """Blend as a network that is linear up to its probabilities: sum_i w_i p_i.

    Args:
        branches: [batch, k, vocab] the next distribution of each branch; or [batch, k, n] any vectors.
        weights: [batch, k], or [k] for all rows; they are used as they are.

    Returns:
        [batch, vocab] float64, or [batch, n].

    Raises:
        WrongUse: the shapes do not fit.
    """
    weights = weights_of_branches(branches, weights)
    return torch.bmm(weights.unsqueeze(1), float64(branches)).squeeze(1)


def geometric_blend(branches: Tensor, weights: Tensor) -> Tensor:
    """Blend as a network that is linear up to its logits: softmax(sum_i w_i log p_i).

    The softmax of the same combination of the branches' logits. A token that any branch all but excludes is all but
    excluded, so that of branches with different tokens the lighter one loses more than its weight.

    Args:
        branches: [batch, k, vocab] the next distribution of each branch, best in float64: what underflowed to 0 counts
            as the smallest positive number.
        weights: [batch, k], or [k] for all rows.

    Returns:
        [batch, vocab] float64, each row with a sum of 1.

    Raises:
        WrongUse: the shapes do not fit.
    """
    logs = float64(branches).clamp(min=torch.finfo(torch.float64).tiny).log()
    return arithmetic_blend(logs, weights).softmax(-1)


def weights_of_branches(branches: Tensor, weights: Tensor) -> Tensor:
    """Return the weights [batch, k] float64 of branches [batch, k, n], from [batch, k] or [k].

    Raises:
        WrongUse: the shapes do not fit.
    """
    if branches.dim() != 3 or weights.shape[-1:] != branches.shape[1:2] or weights.dim() not in (1, 2):
        raise WrongUse(
            f"branches have shape {list(branches.shape)} and weights {list(weights.shape)}: "
            "give [batch, k, n] and [batch, k] or [k]"
        )
    if weights.dim() == 2 and len(weights) != len(branches):
        raise WrongUse(
            f"{len(branches)} rows of branches have {len(weights)} rows of weights: give one per row"
        )
    return float64(weights).to(float64(branches[:1]).device).expand(branches.shape[:2])
