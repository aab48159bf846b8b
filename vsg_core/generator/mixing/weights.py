"""From next-token logits to the weights of a mixture, and draws from them.

A mixture's embedding is the weighted sum of its tokens' embeddings (Soft Thinking, arXiv 2505.15778).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator import engine
from vsg_core.generator.mixing.distributions import NOT_FINITE, float64
from vsg_core.generator.mixing.draws import Generators, dirichlet, gumbel_softmax
from vsg_core.generator.mixing.presets import PLAIN, Mixing
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 16  # numbers per group in the search for the largest


def mixture_weights(logits: Tensor, mixing: Mixing = PLAIN, generators: Generators | None = None) -> Tensor:
    """Turn logits [batch, vocab] into float32 weights [batch, vocab] that sum to 1.

    Args:
        generators: one per row; needed if the mixing draws weights.

    Raises:
        WrongUse: top_k is above the vocabulary, or generators are missing.
        VsgError: the logits contain NaN or infinity (-inf excludes a token), or every token is excluded.
    """
    if mixing.top_k is None:
        return _weigh(logits.float(), mixing, generators)
    weights, ids = top_k_weights(logits, mixing, generators)
    return torch.zeros_like(logits, dtype=torch.float32).scatter(-1, ids, weights)


def top_k_weights(
    logits: Tensor, mixing: Mixing, generators: Generators | None = None
) -> tuple[Tensor, Tensor]:
    """Turn logits [batch, vocab] into the top_k weights of `mixture_weights` [batch, top_k] and their ids.

    Heaviest first; much faster than weighing the whole vocabulary. Raises the errors of `mixture_weights`.
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
    """Apply the steps from temperature to Gumbel-softmax: logits [batch, candidates] -> weights of that shape."""
    _check_logits(logits)
    if generators is None and (mixing.dirichlet or mixing.gumbel):
        raise WrongUse("this mixing draws its weights: give one generator per row")
    weights = (logits if mixing.temperature == 1 else logits / mixing.temperature).softmax(-1)
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
        drawn: column [batch] of each drawn token; y is one-hot there.
        beta: weight of the drawn token; the paper's default is 1.
        candidates: number of tokens that p can spread over; H is the entropy of p relative to a uniform distribution
            over them.
    """
    p = probabilities.float()
    # H [batch, 1]; 0 for a single candidate
    share: Tensor = (torch.special.entr(p).sum(-1, keepdim=True) / log(max(candidates, 2))).clamp(max=1)
    observed = torch.zeros_like(p).scatter(-1, drawn.unsqueeze(-1), 1.0)
    return (share * p + (beta + 1 - share) * observed) / (beta + 1)


def top_k_ids(logits: Tensor, k: int) -> Tensor:
    """Ids [batch, k] of the k largest of [batch, vocab], in order; of equal ones those with the lower ids."""
    if engine.is_put_off(logits.device) and logits.dtype != torch.float64:
        return _ids_by_keys(logits, k)
    vocab, most = logits.shape[-1], k + 1
    while True:
        values, ids = largest(logits, min(most, vocab))
        if (values[:, :-1] > values[:, 1:]).all():
            return ids[:, :k]  # all differ, so the order is unique
        if most >= vocab or (values[:, -1] < values[:, k - 1]).all():
            break  # all that equal the k-th largest are included
        most *= 4
    ids = ids.sort(dim=-1).values  # topk does not define the order of equal values
    order = logits.gather(-1, ids).sort(dim=-1, descending=True, stable=True).indices
    return ids.gather(-1, order[:, :k])


def _ids_by_keys(logits: Tensor, k: int) -> Tensor:
    """The ids of `top_k_ids` without a look at how many are equal: no two keys of number and id are."""
    # Adding 0 turns -0 into 0, its equal.
    bits = (logits.float() + 0.0).view(torch.int32)
    # Of negative numbers the order of the bits is the reverse.
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    ids = torch.arange(logits.shape[-1], device=logits.device)
    return ((ordered << 32) - ids).topk(k, dim=-1).indices


def largest(numbers: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k largest of [batch, vocab]: values [batch, k], descending, and ids [batch, k], like `Tensor.topk`.

    Of a long row it looks only at the k groups of GROUP numbers with the largest maxima. The k largest are among
    them, because each other group has k maxima above it. Equal numbers come in no particular order.
    """
    vocab = numbers.shape[-1]
    groups = vocab // GROUP
    if 2 * k * GROUP > vocab:
        return numbers.topk(k)
    # A group is every groups-th number, so that the maxima of all are taken with whole rows.
    maxima = torch.unflatten(numbers[:, : groups * GROUP], -1, (GROUP, groups)).amax(1)  # [batch, groups]
    best = maxima.topk(k, sorted=False).indices
    steps = torch.arange(GROUP, device=numbers.device) * groups
    rest = torch.arange(groups * GROUP, vocab, device=numbers.device)
    places = torch.cat([(best.unsqueeze(-1) + steps).flatten(1), rest.expand(len(numbers), -1)], dim=-1)
    values, chosen = numbers.gather(-1, places).topk(k)
    return values, places.gather(-1, chosen)


def top_p_mask(probabilities: Tensor, p: float) -> Tensor:
    """Mask [batch, vocab] of the fewest most probable tokens whose share of the sum reaches p."""
    ordered, ids = probabilities.sort(dim=-1, descending=True, stable=True)
    ordered = float64(ordered)  # in float32 a long tail would round to nothing
    sums = ordered.cumsum(-1)
    # The more probable tokens have a share below p.
    kept = (sums - ordered) / sums[..., -1:] < p
    return torch.zeros_like(probabilities, dtype=torch.bool).scatter(-1, ids, kept.to(ids.device))


def sample(weights: Tensor, draws: Tensor) -> Tensor:
    """Turn draws [batch] in [0, 1) into ids [batch] by inverting the cumulative weights [batch, vocab]."""
    # float32 would lose the tail of a large vocabulary.
    cumulative = float64(weights).cumsum(-1)
    draws = engine.sent(draws, cumulative.device, cumulative.dtype)
    target = draws.unsqueeze(-1) * cumulative[..., -1:]
    # NaN, which is refused, would be beyond the last id.
    ids = torch.searchsorted(cumulative, target, right=True).clamp(max=weights.shape[-1] - 1)
    return ids.squeeze(-1).to(weights.device)


def _check_logits(logits: Tensor) -> None:
    # The maximum of a row with NaN is NaN.
    engine.demand(logits.amax(-1).isfinite().all(), lambda: VsgError(NOT_FINITE))
