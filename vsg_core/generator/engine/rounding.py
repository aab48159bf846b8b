"""Weights rounded to few bits, as a model's own quantised form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from vsg_core.errors import NotApplicable
from vsg_core.generator.engine.split import is_offloaded

# Weights of a row that share a scale.
BLOCK = 32


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Round [..., width] to the nearest of 2^bits - 1 values, in blocks of 32 weights of a row.

    The values of a block are the multiples of one step, 0 in their middle; the block's largest weight is one of them.
    """
    width = weight.shape[-1]
    padded = torch.nn.functional.pad(weight.float(), (0, -width % BLOCK))
    blocks = padded.reshape(*weight.shape[:-1], -1, BLOCK)  # [..., blocks, BLOCK]
    step = blocks.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    nearest: Tensor = (blocks / step.clamp(min=torch.finfo(step.dtype).tiny)).round() * step
    return nearest.flatten(-2)[..., :width].to(weight.dtype)


@contextmanager
def with_rounded_weights(model: PreTrainedModel, bits: int) -> Iterator[None]:
    """Round all matrices of weights inside the block; vectors, such as norms and biases, stay as they are.

    Afterwards every weight is as it was, bit for bit.

    Raises:
        NotApplicable: the weights are packed already, or partly outside memory.
    """
    _check(model)
    weights, before = matrices(model), []
    try:
        for weight in weights:
            before.append(weight.data)
            weight.data = rounded(weight.data, bits)
        yield
    finally:
        for weight, own in zip(weights, before, strict=False):
            weight.data = own


def bytes_to_round(model: PreTrainedModel) -> int:
    """Bytes that rounded weights take, next to those they are rounded from."""
    return sum(weight.nbytes for weight in matrices(model))


def matrices(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """Return the weights that are rounded, shared ones once."""
    return [weight for weight in model.parameters() if weight.dim() > 1]


def _check(model: PreTrainedModel) -> None:
    name = type(model).__name__
    if is_offloaded(model):
        raise NotApplicable(f"part of {name} is outside memory: its weights are not rounded")
    if not all(weight.is_floating_point() for weight in model.parameters()):
        raise NotApplicable(f"the weights of {name} are packed already: they are not rounded")
