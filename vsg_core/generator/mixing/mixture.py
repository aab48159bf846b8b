"""From logits to the weights of a mixture, and what is measured of a distribution.

A mixture is a row of weights over the vocabulary that sums to 1: the embedding that stands for it is the
weighted sum of the token embeddings (Soft Thinking, arXiv 2505.15778).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.mixing.draws import Generators, dirichlet, gumbel_softmax

NOT_FINITE = "next-token logits contain NaN or infinity: load the model with dtype float32"
CHUNK = 1 << 18  # numbers looked at together: what is made of them then stays in the processor's cache


@dataclass(frozen=True)
class Mixing:
    """How next-token logits become a vector, in this order; None leaves a step out.

    The order is that of Soft Thinking's own code (arXiv 2505.15778, sglang_soft_thinking_pkg, sampler.py), with
    what the study and Soft Tokens add where they add it.

    Args:
        temperature: logits are divided by it; above 0.
        top_k: keep the k most probable tokens; among equals, those with the lower id.
        top_p: keep the fewest most probable tokens whose share of what is left reaches it; in (0, 1].
        min_p: keep what is at least this fraction as probable as the most probable token; in (0, 1).
        sharpening: exponent on the kept probabilities; 1 leaves them. The study's, not Soft Thinking's.
        dirichlet: weights are drawn from a Dirichlet distribution of this times the weights (arXiv 2508.03440).
        top_n: mix only the n heaviest of what is left (Soft Thinking's max_topk), renormalised.
        gumbel: weights are drawn by Gumbel-softmax at this temperature (arXiv 1611.01144, 2508.03440).
        max_norm: a mixture longer than this many mean token-embedding norms is scaled down to it (the study).
        gaussian: standard deviation of the noise on every entry of the vector, in standard deviations of the
            table's entries (Soft Tokens, arXiv 2509.19170).

    Raises:
        WrongUse: a value outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    sharpening: float = 1.0
    dirichlet: float | None = None
    top_n: int | None = None
    gumbel: float | None = None
    max_norm: float | None = None
    gaussian: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "sharpening", "dirichlet", "gumbel", "max_norm", "gaussian"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise WrongUse(f"{name} is {value}: give a number above 0")
        for name in ("top_k", "top_n"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise WrongUse(f"{name} is {value}: give at least 1, or None for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise WrongUse(f"top_p is {self.top_p}: give a number above 0 and at most 1")
        if self.min_p is not None and not 0 < self.min_p < 1:
            raise WrongUse(f"min_p is {self.min_p}: give a number between 0 and 1")

    @property
    def is_random(self) -> bool:
        """Whether the same logits give other vectors with other generators."""
        return any(value is not None for value in (self.dirichlet, self.gumbel, self.gaussian))


PLAIN = Mixing()
# What the study used (abstractionlair/vector-space-generation, src/qwen_concept_tokens.py).
STUDY = Mixing(temperature=0.8, top_k=50, sharpening=1.5, max_norm=1.5)
# What Soft Thinking's readme runs (arXiv 2505.15778), and its random kin at their best settings (arXiv 2508.03440).
SOFT_THINKING = Mixing(temperature=0.6, top_k=30, top_p=0.95, min_p=0.001, top_n=10)
DIRICHLET = replace(SOFT_THINKING, dirichlet=4.0)
GUMBEL = replace(SOFT_THINKING, gumbel=0.5)
# Soft tokens (arXiv 2509.19170). The paper gives sigma as 0.33 of the embeddings' "RMS norm"; read as the root mean
# square of an entry, so that the noise is a third as long as an embedding and not many times as long.
SOFT_TOKENS = Mixing(temperature=0.5, gaussian=0.33)
PRESETS = {
    "plain": PLAIN, "study": STUDY, "soft-thinking": SOFT_THINKING, "dirichlet": DIRICHLET, "gumbel": GUMBEL,
    "soft-tokens": SOFT_TOKENS,
}  # fmt: skip


def mixture_weights(logits: Tensor, mixing: Mixing = PLAIN, generators: Generators | None = None) -> Tensor:
    """[batch, vocab] logits -> [batch, vocab] float32 weights that sum to 1.

    Args:
        generators: one a row, where the mixing draws weights.

    Raises:
        WrongUse: top_k above the vocabulary, or no generators where weights are drawn.
        VsgError: NaN or infinity among the logits (-inf rules a token out), or every token ruled out.
    """
    if mixing.top_k is None:
        return _weigh(logits.float(), mixing, generators)
    weights, ids = top_k_weights(logits, mixing, generators)
    return torch.zeros_like(logits, dtype=torch.float32).scatter(-1, ids, weights)


def top_k_weights(
    logits: Tensor, mixing: Mixing, generators: Generators | None = None
) -> tuple[Tensor, Tensor]:
    """[batch, vocab] logits -> the weights [batch, top_k] of `mixture_weights` that are not left out, and their ids.

    Heaviest first. Much faster than to weigh the whole vocabulary. Raises as `mixture_weights` does.
    """
    k, vocab = mixing.top_k or logits.shape[-1], logits.shape[-1]
    if k > vocab:
        raise WrongUse(f"top_k is {k}, above the vocabulary of {vocab}: give at most {vocab}")
    ids = top_k_ids(logits, k)
    weights = _weigh(logits.gather(-1, ids).float(), mixing, generators)
    if mixing.is_random:
        order = weights.argsort(dim=-1, descending=True, stable=True)
        weights, ids = weights.gather(-1, order), ids.gather(-1, order)
    return weights, ids


def _weigh(logits: Tensor, mixing: Mixing, generators: Generators | None) -> Tensor:
    """[batch, candidates] logits -> the candidates' weights, from temperature to Gumbel-softmax."""
    _check_logits(logits)
    if generators is None and (mixing.dirichlet or mixing.gumbel):
        raise WrongUse("this mixing draws its weights: give a generator for each row")
    weights = (logits / mixing.temperature).softmax(-1)
    if mixing.top_p is not None:
        weights = weights * top_p_mask(weights, mixing.top_p)
    if mixing.min_p is not None:
        weights = weights * (weights >= mixing.min_p * weights.amax(-1, keepdim=True))
    if mixing.sharpening != 1:
        # Relative to the largest, so that a high exponent cannot underflow the whole row to 0.
        weights = (weights / weights.amax(-1, keepdim=True)) ** mixing.sharpening
    if mixing.dirichlet is not None and generators is not None:
        weights = dirichlet(weights / weights.sum(-1, keepdim=True), mixing.dirichlet, generators)
    if mixing.top_n is not None:
        heaviest = top_k_ids(weights, min(mixing.top_n, weights.shape[-1]))
        weights = torch.zeros_like(weights).scatter(-1, heaviest, weights.gather(-1, heaviest))
    weights = weights / weights.sum(-1, keepdim=True)
    if mixing.gumbel is not None and generators is not None:
        weights = gumbel_softmax(weights, mixing.gumbel, generators)
    return weights


def input_mixture(probabilities: Tensor, drawn: Tensor, beta: float, candidates: int) -> Tensor:
    """Weights [batch, n] of Mixture of Inputs (arXiv 2505.14827, eq. 5): (H p + (beta + 1 - H) y) / (beta + 1).

    Args:
        probabilities: p [batch, n], the distribution that tokens were drawn from.
        drawn: [batch] places in it; y is one-hot at them.
        beta: how much the token counts; the paper's default is 1.
        candidates: how many tokens p could spread over; H is its entropy relative to that of a uniform one.
    """
    p = probabilities.float()
    # H [batch, 1]; of one candidate it is 0
    share = (torch.special.entr(p).sum(-1, keepdim=True) / log(max(candidates, 2))).clamp(max=1)
    observed = torch.zeros_like(p).scatter(-1, drawn.unsqueeze(-1), 1.0)
    return (share * p + (beta + 1 - share) * observed) / (beta + 1)


def top_k_ids(logits: Tensor, k: int) -> Tensor:
    """[batch, vocab] -> ids [batch, k] of the k largest, in order; of equal ones those with the lower id."""
    vocab, most = logits.shape[-1], k + 1
    while True:
        values, ids = logits.topk(min(most, vocab))
        if (values[:, :-1] > values[:, 1:]).all():
            return ids[:, :k]  # no two are equal: the order is theirs
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


def entropy_bits(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """[..., vocab] logits -> [...] entropy in bits of softmax(logits / temperature), from float32 logarithms.

    Never NaN.

    Raises:
        VsgError: NaN or infinity among the logits (-inf rules a token out), or every token ruled out.
    """
    parts = _few_rows(logits)
    return torch.cat([_entropy_bits(part.float(), temperature) for part in parts]).reshape(logits.shape[:-1])


def _entropy_bits(logits: Tensor, temperature: float) -> Tensor:
    if temperature != 1:  # below 0 first, so that a low temperature cannot overflow
        logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    logs = logits.log_softmax(-1)
    masses = logs.exp()
    total = masses.sum(-1)  # 1 but for how the logarithms rounded, which over a large vocabulary adds up
    # finite: 0 * -inf is NaN where a token is ruled out
    bits = (total.log() - torch.linalg.vecdot(masses, logs.clamp(min=-1e4)) / total) / log(2)
    if not bits.isfinite().all():
        raise VsgError(NOT_FINITE)
    return bits


def js_divergence_bits(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits of two distributions [..., vocab] -> [...]; 0 to 1 (Lin, 1991)."""
    p, q = torch.broadcast_tensors(p, q)
    parts = zip(_few_rows(p), _few_rows(q), strict=True)
    return torch.cat([_js_divergence_bits(_float64(a), _float64(b)) for a, b in parts]).reshape(p.shape[:-1])


def _js_divergence_bits(p: Tensor, q: Tensor) -> Tensor:
    middle = (p + q) / 2
    divergence = torch.special.entr(middle) - (torch.special.entr(p) + torch.special.entr(q)) / 2
    return (divergence.sum(-1) / log(2)).clamp(min=0)


def _few_rows(numbers: Tensor) -> tuple[Tensor, ...]:
    """[..., vocab] -> parts [few, vocab], of CHUNK numbers each."""
    return numbers.reshape(-1, numbers.shape[-1]).split(max(1, CHUNK // numbers.shape[-1]))


def _check_logits(logits: Tensor) -> None:
    if not logits.amax(-1).isfinite().all():  # the maximum of a row with NaN is NaN
        raise VsgError(NOT_FINITE)


def _float64(numbers: Tensor) -> Tensor:
    """In float64; on the CPU where the device has none (MPS)."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
