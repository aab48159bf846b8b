"""Entropy of a next-token distribution, and the divergence of two."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from vsg_core.errors import VsgError
from vsg_core.generator import engine
from vsg_core.lazy import numpy as np
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

NOT_FINITE = "next-token logits contain NaN or infinity: load the model with dtype float32"
CHUNK = 1 << 17  # elements per chunk, so that intermediates stay in the CPU cache


def entropy_bits(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy [...] in bits of softmax(logits / temperature), for logits [..., vocab]. Never NaN.

    Computed from float32 logarithms.

    Raises:
        VsgError: the logits contain NaN or infinity (-inf excludes a token), or every token is excluded.
    """
    bits = [_entropy_bits(rows.float(), temperature) for rows in _row_chunks(logits)]
    return torch.cat(bits).reshape(logits.shape[:-1])


def _entropy_bits(logits: Tensor, temperature: float) -> Tensor:
    if temperature != 1:
        # Shifted to at most 0 first, so that a low temperature cannot overflow.
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    logs = logits.log_softmax(-1)
    masses = logs.exp()
    # Not exactly 1: rounding of the logarithms adds up over a large vocabulary.
    total = masses.sum(-1)
    # Clamped, since 0 * -inf is NaN at an excluded token
    bits: Tensor = (total.log() - torch.linalg.vecdot(masses, logs.clamp(min=-1e4)) / total) / log(2)
    engine.demand(bits.isfinite().all(), lambda: VsgError(NOT_FINITE))
    return bits


def js_divergence_bits(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence [...] in bits, 0 to 1, of two distributions [..., vocab] (Lin, 1991)."""
    shape = np.broadcast_shapes(p.shape, q.shape)
    return js_divergences_bits([p.expand(shape)], [q.expand(shape)])[0, 0]


def js_divergences_bits(ps: Sequence[Tensor], qs: Sequence[Tensor]) -> Tensor:
    """Jensen-Shannon divergence [ps, qs, ...] in bits of every p with every q, all [..., vocab].

    The logarithms of each are computed once, in float64.
    """
    chunks = zip(*(_row_chunks(each) for each in (*ps, *qs)), strict=True)
    bits = [_js_divergences_bits(rows[: len(ps)], rows[len(ps) :]) for rows in chunks]
    return torch.cat(bits, -1).reshape(len(ps), len(qs), *ps[0].shape[:-1])


def _js_divergences_bits(ps: Sequence[Tensor], qs: Sequence[Tensor]) -> Tensor:
    """Divergences [ps, qs, rows] of distributions [rows, vocab]: the entropy of the middle minus the mean entropy."""
    ps, qs = [float64(p) for p in ps], [float64(q) for q in qs]
    own, others = [_entropy(p) for p in ps], [_entropy(q) for q in qs]
    pairs = [
        torch.stack(
            [_entropy((p + q).div_(2)) - (one + other) / 2 for q, other in zip(qs, others, strict=True)]
        )
        for p, one in zip(ps, own, strict=True)
    ]
    return torch.stack(pairs).clamp(min=0) / log(2)


def _entropy(p: Tensor) -> Tensor:
    """Entropy [rows] in nats of float64 distributions [rows, vocab]."""
    # Clamped, since 0 * -inf is NaN where there is no mass
    entropy: Tensor = -torch.linalg.vecdot(p, p.clamp(min=torch.finfo(p.dtype).tiny).log_())
    return entropy


def _row_chunks(numbers: Tensor) -> tuple[Tensor, ...]:
    """Split [..., vocab] into chunks [rows, vocab] of about CHUNK elements."""
    rows = numbers.reshape(-1, numbers.shape[-1])
    return torch.split(rows, max(1, CHUNK // rows.shape[-1]))


def float64(numbers: Tensor) -> Tensor:
    """The numbers in float64; on the CPU where the device has none (MPS)."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
