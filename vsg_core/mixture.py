"""From logits to the weights of a mixture, and what is measured of a distribution.

A mixture is a row of weights over the vocabulary that sums to 1: the embedding that stands for it is the
weighted sum of the token embeddings (Soft Thinking, arXiv 2505.15778).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from vsg_core.errors import VsgError, WrongUse

ENTROPY_CHUNK = 1 << 18  # numbers: 1 MB in float32


@dataclass(frozen=True)
class Mixing:
    """How next-token logits become weights: temperature, then top_k, then top_p, then sharpening.

    Args:
        temperature: logits are divided by it; above 0.
        top_k: keep the k most probable tokens; among equals, those with the lower id. None keeps all.
        top_p: keep the fewest most probable tokens whose probabilities reach it; in (0, 1]. None keeps all.
        sharpening: exponent on the kept probabilities; 1 leaves them.
        max_norm: a mixture longer than this many mean token-embedding norms is scaled down to it. None: never.

    Raises:
        WrongUse: a value outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    sharpening: float = 1.0
    max_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "sharpening", "max_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise WrongUse(f"{name} is {value}: give a number above 0")
        if self.top_k is not None and self.top_k < 1:
            raise WrongUse(f"top_k is {self.top_k}: give at least 1, or None for the whole vocabulary")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise WrongUse(f"top_p is {self.top_p}: give a number above 0 and at most 1")


PLAIN = Mixing()
# What the study used (abstractionlair/vector-space-generation, src/qwen_concept_tokens.py).
STUDY = Mixing(temperature=0.8, top_k=50, sharpening=1.5, max_norm=1.5)
PRESETS = {"plain": PLAIN, "study": STUDY}


def mixture_weights(logits: Tensor, mixing: Mixing = PLAIN) -> Tensor:
    """[batch, vocab] logits -> [batch, vocab] float32 weights that sum to 1.

    Raises:
        WrongUse: top_k above the vocabulary.
        VsgError: NaN or infinity among the logits (-inf rules a token out), or every token ruled out.
    """
    if mixing.top_k is None:
        return _weigh(logits.float(), mixing)
    weights, ids = top_k_weights(logits, mixing)
    return torch.zeros_like(logits, dtype=torch.float32).scatter(-1, ids, weights)


def top_k_weights(logits: Tensor, mixing: Mixing) -> tuple[Tensor, Tensor]:
    """[batch, vocab] logits -> the weights [batch, top_k] of `mixture_weights` that are not left out, and their ids.

    Heaviest first. Much faster than to weigh the whole vocabulary. Raises as `mixture_weights` does.
    """
    k, vocab = mixing.top_k or logits.shape[-1], logits.shape[-1]
    if k > vocab:
        raise WrongUse(f"top_k is {k}, above the vocabulary of {vocab}: give at most {vocab}")
    ids = top_k_ids(logits, k)
    return _weigh(logits.gather(-1, ids).float(), mixing), ids


def _weigh(logits: Tensor, mixing: Mixing) -> Tensor:
    """[batch, candidates] logits -> the candidates' weights: temperature, top_p, sharpening."""
    _check_logits(logits)
    weights = (logits / mixing.temperature).softmax(-1)
    if mixing.top_p is not None:
        weights = weights * top_p_mask(weights, mixing.top_p)
    if mixing.sharpening != 1:
        # Relative to the largest, so that a high exponent cannot underflow the whole row to 0.
        weights = (weights / weights.amax(-1, keepdim=True)) ** mixing.sharpening
    return weights / weights.sum(-1, keepdim=True)


def top_k_ids(logits: Tensor, k: int) -> Tensor:
    """[batch, vocab] -> ids [batch, k] of the k largest, in order; of equal ones those with the lower id."""
    vocab, most = logits.shape[-1], k + 1
    while True:
        values, ids = logits.topk(min(most, vocab))
        if most >= vocab or (values[:, -1] < values[:, k - 1]).all():
            break  # whatever equals the k-th largest is among them
        most *= 4
    ids = ids.sort(dim=-1).values  # topk leaves the order of equal ones open
    order = logits.gather(-1, ids).sort(dim=-1, descending=True, stable=True).indices
    return ids.gather(-1, order[:, :k])


def top_p_mask(probabilities: Tensor, p: float) -> Tensor:
    """[batch, vocab] -> bool [batch, vocab]: the fewest most probable tokens whose share of the sum reaches p."""
    ordered, ids = probabilities.sort(dim=-1, descending=True, stable=True)
    ordered = _float64(ordered)  # in float32 a long tail would round to nothing
    sums = ordered.cumsum(-1)
    kept = (sums - ordered) / sums[..., -1:] < p  # the share of the more probable ones falls short of p
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter(-1, ids, kept.to(ids.device))


def sample(weights: Tensor, draws: Tensor) -> Tensor:
    """[batch, vocab] weights and [batch] draws in [0, 1) -> [batch] ids, by the inverse of the cumulative weights."""
    cumulative = _float64(weights).cumsum(-1)  # in float32 the tail of a large vocabulary would be lost
    target = draws.to(cumulative).unsqueeze(-1) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).to(weights.device)


def entropy_bits(logits: Tensor) -> Tensor:
    """[..., vocab] logits -> [...] entropy in bits of their softmax, from float32 logarithms; never NaN.

    Raises:
        VsgError: NaN or infinity among the logits (-inf rules a token out), or every token ruled out.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    # A few rows at a time: what is between logits and entropy then stays in the processor's cache.
    few = max(1, ENTROPY_CHUNK // logits.shape[-1])
    return torch.cat([_entropy_bits(part.float()) for part in rows.split(few)]).reshape(logits.shape[:-1])


def _entropy_bits(logits: Tensor) -> Tensor:
    largest = logits.amax(-1, keepdim=True)
    _check_logits(largest)
    shifted = (logits - largest).clamp_(min=-1e4)  # finite: 0 * -inf is NaN where a token is ruled out
    masses = shifted.exp()
    total = masses.sum(-1)
    return (total.log() - torch.linalg.vecdot(masses, shifted) / total) / log(2)


def js_divergence_bits(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits of two distributions [..., vocab] -> [...]; 0 to 1 (Lin, 1991)."""
    p, q = _float64(p), _float64(q)
    middle = (p + q) / 2
    divergence = torch.special.entr(middle) - (torch.special.entr(p) + torch.special.entr(q)) / 2
    return (divergence.sum(-1) / log(2)).clamp(min=0)


def _check_logits(logits: Tensor) -> None:
    if not logits.amax(-1).isfinite().all():  # the maximum of a row with NaN is NaN
        raise VsgError("next-token logits contain NaN or infinity: load the model with dtype float32")


def _float64(numbers: Tensor) -> Tensor:
    """In float64; on the CPU where the device has none (MPS)."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
