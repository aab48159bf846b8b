"""A vector taken apart into the few tokens whose mixture it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.lazy import numpy as np
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel

Floats: TypeAlias = "np.ndarray[Any, Any]"


def decompose(
    lm: LanguageModel,
    vectors: Tensor,
    most: int = 64,
    tolerance: float = 1e-3,
    table: Tensor | None = None,
) -> list[Mixture]:
    """Recover, for each vector [batch, hidden], a few tokens and non-negative weights that mix to it.

    Uses only the vectors and the embedding table, by non-negative orthogonal matching pursuit (Bruckstein, Elad &
    Zibulevsky, 2008): add the token best aligned with the residual, solve for all weights again, drop those that
    became 0, until less than `tolerance` of the vector's norm remains or `most` tokens are chosen.

    Args:
        table: [vocab, hidden] rows to choose from, in place of the model's own embeddings.

    Returns:
        One mixture per vector. Its weights are not constrained to a sum of 1: see `Mixture.normalised`.
    """
    norms = (lm.embedding_norms if table is None else table.float().norm(dim=-1)).clamp(min=1e-12)  # [vocab]
    table, targets = lm.embedding_table if table is None else table, vectors.to(lm.device).float()
    chosen: list[list[int]] = [[] for _ in targets]
    weights = [np.zeros(0) for _ in targets]
    residual = targets.clone()  # [batch, hidden]
    for _ in range(2 * most):
        unexplained = residual.norm(dim=-1) > tolerance * targets.norm(dim=-1)
        open_rows = [row for row in range(len(targets)) if unexplained[row] and len(chosen[row]) < most]
        if not open_rows:
            break
        along = (residual[open_rows].to(table.dtype) @ table.T).float() / norms  # [open, vocab]
        along = along.masked_fill(~lm.is_token, -torch.inf)
        for place, row in enumerate(open_rows):
            along[place, chosen[row]] = -torch.inf
            columns = [*chosen[row], int(along[place].argmax())]
            solved = _non_negative_weights(table[columns], targets[row])
            chosen[row] = [i for i, weight in zip(columns, solved, strict=True) if weight > 0]
            weights[row] = solved[solved > 0]
            explained = torch.from_numpy(weights[row]).to(targets) @ table[chosen[row]].float()
            residual[row] = targets[row] - explained
    return [
        Mixture.from_weights(dict(zip(ids, w.tolist(), strict=True)))
        for ids, w in zip(chosen, weights, strict=True)
    ]


def _non_negative_weights(rows: Tensor, target: Tensor) -> Floats:
    """Solve for weights [n] >= 0 whose sum over the rows [n, hidden] is nearest to the target [hidden]."""
    from scipy.optimize import nnls  # takes a third of a second to import

    weights: Floats = nnls(rows.T.cpu().double().numpy(), target.cpu().double().numpy())[0]
    return weights
