"""A vector taken apart into the few tokens whose mixture it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.lazy import numpy as np
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel

Floats: TypeAlias = "np.ndarray[Any, Any]"
# Largest gradient, in norms of a row and of the target, at which weights solve the normal equations up to rounding
ROUNDING = 1e-10
# Pairs of a residual and a candidate whose alignment is computed at once
PAIRS = 1 << 14
# Rows of a table that fit into the CPU cache
ROWS = 1 << 10


def decompose(
    lm: LanguageModel,
    vectors: Tensor,
    most: int | Sequence[int] = 64,
    tolerance: float = 1e-3,
    table: Tensor | None = None,
) -> list[Mixture]:
    """Recover, for each vector [batch, hidden], a few tokens and non-negative weights that mix to it.

    Uses only the vectors and the embedding table, by non-negative orthogonal matching pursuit (Bruckstein, Elad &
    Zibulevsky, 2008): add the token of the whole table that is best aligned with the residual, solve for all weights
    again, drop those that became 0, until less than `tolerance` of the vector's norm remains, `most` tokens are
    chosen, or no token is aligned with the residual: then no mixture of any tokens is nearer.

    Args:
        most: for all vectors, or one number per vector.
        table: [vocab, hidden] rows to choose from, in place of the model's own embeddings.

    Returns:
        One mixture per vector. Its weights are not constrained to a sum of 1: see `Mixture.normalised`.
    """
    directions = _Directions(lm.embedding_table if table is None else table, lm.is_token)
    limits = [most] * len(vectors) if isinstance(most, int) else most
    pursuits = [
        _Pursuit(target, limit, tolerance)
        for target, limit in zip(vectors.detach().cpu().double().numpy(), limits, strict=True)
    ]
    while unfinished := [each for each in pursuits if not each.finished]:
        best = directions.best_aligned(np.stack([each.residual for each in unfinished]))
        for each, token, row in zip(unfinished, best.tolist(), directions.rows(best), strict=True):
            each.add(token, row)
    return [each.mixture for each in pursuits]


class _Directions:
    """The rows of a table [vocab, hidden], compared by their angle to a vector.

    A product with the whole table finds the rows that can be best aligned, whatever the rounding; only these are
    compared exactly. That product is computed in bfloat16 where the processor multiplies it twice as fast.
    """

    def __init__(self, table: Tensor, is_token: Tensor) -> None:
        coarse = torch.bfloat16 if _multiplies_bfloat16(table.device) else torch.float32
        self.table, self.coarse = table, table.to(coarse)
        self.scale = table.float().norm(dim=-1).clamp(min=1e-12).reciprocal().to(coarse)  # [vocab]
        self.padding = (~is_token).nonzero().flatten()
        # The length that rounding to `coarse` took from a unit row, at most
        parts = zip(*(torch.split(each, ROWS) for each in (table, self.coarse, self.scale)), strict=True)
        self.lost = max(float(((rows - few).float().norm(dim=-1) * by).max()) for rows, few, by in parts)

    def rows(self, tokens: Floats) -> Floats:
        """Look up the rows [n, hidden] float64 of tokens [n]."""
        rows: Floats = self.table[torch.from_numpy(tokens).to(self.table.device)].cpu().double().numpy()
        return rows

    def best_aligned(self, residuals: Floats) -> Floats:
        """Find the token [batch] whose row has the smallest angle to each residual [batch, hidden] float64.

        Of rows that are equal it is the one with the lowest id.
        """
        vectors = residuals / np.linalg.norm(residuals, axis=-1, keepdims=True)
        # First the dtype, since a card may lack float64
        few = torch.from_numpy(vectors).to(self.coarse.dtype).to(self.coarse.device)
        along = (few @ self.coarse.T).mul_(self.scale)  # [batch, vocab]
        along.index_fill_(-1, self.padding, -torch.inf)
        possible = along >= self._least(along, np.linalg.norm(vectors - few.cpu().double().numpy(), axis=-1))
        # NumPy is many times faster at this than torch
        places, tokens = np.divmod(np.flatnonzero(possible.cpu().numpy()), len(self.table))  # [pairs] each
        exact = np.concatenate(
            [
                self._cosines(vectors[places[part : part + PAIRS]], tokens[part : part + PAIRS])
                for part in range(0, len(places), PAIRS)
            ]
        )
        # The first of each vector, in the order of falling cosines, then of rising ids
        order = np.lexsort((tokens, -exact, places))
        best: Floats = tokens[order][np.unique(places[order], return_index=True)[1]]
        return best

    def _least(self, along: Tensor, lost: Floats) -> Tensor:
        """Bound the rounded cosine [batch, 1] of the best aligned row from below.

        A cosine is off by what rounding took from its row and its vector, and by half an eps of itself for its
        product, its scale and the product with that; so is the cosine of the row that seems best. A tenth more covers
        products of errors.

        Args:
            along: [batch, vocab] the rounded cosines.
            lost: [batch] the length that rounding took from each vector.
        """
        best = along.amax(-1, keepdim=True).float()  # [batch, 1]
        sums = self.table.shape[-1] * torch.finfo(torch.float32).eps
        off = self.lost + torch.from_numpy(lost).float().to(best.device).unsqueeze(-1) + sums
        # The bound itself is rounded, too
        return (best - 2.2 * off - 4 * torch.finfo(along.dtype).eps * best.abs()).to(along.dtype)

    def _cosines(self, vectors: Floats, tokens: Floats) -> Floats:
        """Compute the cosine [pairs] of each unit vector [pairs, hidden] and its token's row in float64."""
        rows = self.rows(tokens)
        cosines: Floats = (vectors * rows).sum(-1) / np.linalg.norm(rows, axis=-1).clip(1e-12)
        return cosines


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device is a CPU with instructions for bfloat16; cards are fast enough without."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and capabilities.get("avx512_bf16", False)


class _Pursuit:
    """The tokens chosen so far for one vector, and the weights at which their sum is nearest to it.

    Args:
        target: [hidden] float64, the vector.
        most: number of tokens to choose at most, in at most twice as many rounds.
        tolerance: share of the vector's norm that may remain.
    """

    def __init__(self, target: Floats, most: int, tolerance: float) -> None:
        self.target, self.most = target, most
        self.enough = tolerance * np.linalg.norm(target)
        self.tokens: list[int] = []
        self.rows = np.zeros((0, len(target)))  # [chosen, hidden]
        self.gram = np.zeros((0, 0))  # [chosen, chosen] the products of the rows
        self.weights = np.zeros(0)
        self.residual = target  # the part that the tokens do not explain
        self.rounds = 0
        self.is_nearest = False  # no further token improves on these

    @property
    def finished(self) -> bool:
        """Return whether the vector is explained, or cannot be explained better."""
        if self.is_nearest or len(self.tokens) >= self.most or self.rounds >= 2 * self.most:
            return True
        # Not <=, so that a vector with NaN is finished
        return not np.linalg.norm(self.residual) > self.enough

    @property
    def mixture(self) -> Mixture:
        """The tokens with their weights."""
        return Mixture.from_weights(dict(zip(self.tokens, self.weights.tolist(), strict=True)))

    def add(self, token: int, row: Floats) -> None:
        """Choose one more token, whose embedding is row [hidden], and solve for all weights again."""
        self.rounds += 1
        # The residual is orthogonal to the chosen rows: where none of the others is better aligned, none is at all
        self.is_nearest = token in self.tokens or bool(row @ self.residual <= 0)
        if self.is_nearest:
            return
        before = self.tokens
        self.tokens, self.rows = [*self.tokens, token], np.vstack([self.rows, row])
        products = self.rows @ row
        self.gram = np.block([[self.gram, products[:-1, None]], [products[None]]])
        self.weights = self._solve()
        kept = np.flatnonzero(self.weights > 0)
        if len(kept) < len(self.tokens):
            self.tokens = [self.tokens[place] for place in kept]
            self.rows, self.weights = self.rows[kept], self.weights[kept]
            self.gram = self.gram[np.ix_(kept, kept)]
        self.residual = self.target - self.weights @ self.rows
        self.is_nearest = self.tokens == before

    def _solve(self) -> Floats:
        """Compute the weights [chosen] >= 0 at which the sum of the rows is nearest to the target.

        Positive weights with a gradient of 0 meet the Karush-Kuhn-Tucker conditions: no others are nearer. Where
        there are none, some weights are 0, and Lawson & Hanson (1974) find which.
        """
        products = self.rows @ self.target
        bound = ROUNDING * np.sqrt(self.gram.diagonal()) * np.linalg.norm(self.target)
        weights: Floats
        try:
            weights = np.linalg.solve(self.gram, products)
            solved = bool((abs(products - self.gram @ weights) <= bound).all())
            if solved and (weights > 0).all():
                return weights
            # With the rows as `factor` times an orthonormal basis: a problem of [chosen, chosen]
            factor = np.linalg.cholesky(self.gram)
        except np.linalg.LinAlgError:
            solved = False
        from scipy.optimize import nnls  # takes a third of a second to import

        # Else the rows are dependent, or nearly so
        given = (factor.T, np.linalg.solve(factor, products)) if solved else (self.rows.T, self.target)
        weights = nnls(*given)[0]
        return weights
