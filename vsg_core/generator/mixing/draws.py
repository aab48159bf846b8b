"""Random draws that belong to a sequence and a step, so that the batch a sequence lands in does not matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Generators = Sequence[np.random.Generator]  # one for each row of a batch


def generators(seed: int, rows: Tensor, step: int) -> Generators:
    """A generator for each of the sequences numbered `rows` [batch], at that step."""
    return [np.random.default_rng((seed, row, step)) for row in rows.tolist()]


def dirichlet(weights: Tensor, concentration: float, each: Generators) -> Tensor:
    """[batch, n] -> weights drawn from a Dirichlet distribution of concentration * weights (arXiv 2508.03440).

    They are the given weights on average, and the nearer to them the higher the concentration.
    """
    drawn = weights.double().cpu().numpy().copy()  # [batch, n]
    for one, row in zip(each, drawn, strict=True):
        row[row > 0] = one.dirichlet(concentration * row[row > 0])
    return torch.from_numpy(drawn).to(weights)


def gumbel_softmax(weights: Tensor, temperature: float, each: Generators) -> Tensor:
    """[batch, n] -> softmax((log w + g) / temperature), g from Gumbel(0, 1) (Jang et al., arXiv 1611.01144).

    The heaviest token is then a draw from the weights; the lower the temperature, the more weight it has.
    """
    noise = _draw(each, weights, lambda one, size: one.gumbel(size=size))
    return ((weights.log() + noise) / temperature).softmax(-1)


def gaussian(vectors: Tensor, scale: float, each: Generators) -> Tensor:
    """[batch, hidden] -> the vectors with noise of that standard deviation on every entry."""
    return vectors + scale * _draw(each, vectors, lambda one, size: one.standard_normal(size))


def uniform(each: Generators) -> Tensor:
    """[batch] draws in [0, 1), float64."""
    return torch.tensor([one.random() for one in each], dtype=torch.float64)


def _draw(each: Generators, like: Tensor, draw: Callable[[np.random.Generator, int], np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([draw(one, like.shape[-1]) for one in each])).to(like)
