"""Random draws, each tied to a sequence and a step, so that they do not depend on the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from vsg_core.generator import engine
from vsg_core.lazy import numpy as np
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Generators: TypeAlias = "Sequence[np.random.Generator]"  # one per row of a batch


def generators(seed: int, rows: Tensor, step: int) -> Generators:
    """Make one generator per sequence of `rows` [batch], seeded from its number and the step."""
    return [np.random.default_rng((seed, row, step)) for row in rows.tolist()]


def dirichlet(weights: Tensor, concentration: float, each: Generators) -> Tensor:
    """Draw weights [batch, n] from a Dirichlet distribution of concentration * weights (arXiv 2508.03440).

    Their mean is the given weights; a higher concentration keeps them closer to that.
    """
    # Not from weights that are refused.
    engine.lists()
    drawn = weights.double().cpu().numpy().copy()  # [batch, n]
    for generator, row in zip(each, drawn, strict=True):
        row[row > 0] = generator.dirichlet(concentration * row[row > 0])
    return torch.from_numpy(drawn).to(weights)


def gumbel_softmax(weights: Tensor, temperature: float, each: Generators) -> Tensor:
    """Compute softmax((log w + g) / temperature) [batch, n], g from Gumbel(0, 1) (Jang et al., arXiv 1611.01144).

    The heaviest token is then a draw from the weights; a lower temperature gives it more weight.
    """
    noise = _draw(each, weights, lambda generator, size: generator.gumbel(size=size))
    return ((weights.log() + noise) / temperature).softmax(-1)


def gaussian(vectors: Tensor, scale: float, each: Generators) -> Tensor:
    """Add noise of standard deviation `scale` to every entry of the vectors [batch, hidden]."""
    return vectors + scale * _draw(each, vectors, lambda generator, size: generator.standard_normal(size))


def uniform(each: Generators) -> Tensor:
    """Draw [batch] numbers in [0, 1), float64."""
    return torch.tensor([generator.random() for generator in each], dtype=torch.float64)


def _draw(
    each: Generators, like: Tensor, draw: Callable[[np.random.Generator, int], np.ndarray[Any, Any]]
) -> Tensor:
    drawn = torch.from_numpy(np.stack([draw(generator, like.shape[-1]) for generator in each]))
    return engine.sent(drawn, like.device, like.dtype)
