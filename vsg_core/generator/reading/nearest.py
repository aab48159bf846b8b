"""The token nearest to a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsg_core.errors import WrongUse
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel

MEASURES = ("l2", "cosine", "centred")
CANDIDATES = 8  # recomputed exactly, since the fast distances below lose digits near 0


def nearest_tokens(lm: LanguageModel, vectors: Tensor, by: str = "l2") -> tuple[Tensor, Tensor]:
    """Find the token nearest to each vector [batch, hidden]: ids [batch] and distances [batch].

    Rows that only pad the table are left out.

    Args:
        by: "l2", the distance; "cosine", 1 minus the cosine; "centred", the same after subtracting the table's mean
            from both, so that directions common to all tokens do not count (arXiv 1702.01417).

    Raises:
        WrongUse: an unknown measure.
    """
    if by not in MEASURES:
        raise WrongUse(f"by is {by!r}: give one of {', '.join(MEASURES)}")
    table, vectors = lm.embedding_table, vectors.to(lm.device).float()
    squares = lm.embedding_norms**2  # [vocab]
    middle = torch.zeros_like(vectors[0])
    if by == "centred":
        tokens = lm.is_token.float()  # [vocab]
        middle = tokens @ table.float() / tokens.sum()
        # With m the middle: |t - m|^2 and below (t - m).v for every token, without a copy of the table
        squares = squares - 2 * table.float() @ middle + middle @ middle
    vectors = vectors - middle  # [batch, hidden]
    # Changed in place, since one more [batch, vocab] takes as long as a tenth of the product
    order = vectors @ table.float().T
    if by == "centred":
        order.sub_((vectors @ middle).unsqueeze(-1))
    if by == "l2":
        # |t - v|^2 = |t|^2 - 2 t.v + |v|^2, whose last term does not change the order
        order.mul_(-2).add_(squares)
    else:
        order.neg_().div_(squares.clamp(min=1e-12).sqrt())
    order.masked_fill_(~lm.is_token, torch.inf)
    # Sorted by id, so that of equal rows the one with the lower id is the nearest
    near = order.topk(min(CANDIDATES, len(table)), largest=False).indices.sort(-1).values
    candidates, vectors = (
        table[near].float() - middle,
        vectors.unsqueeze(1),
    )  # [batch, CANDIDATES or 1, hidden]
    if by == "l2":
        distances = (candidates - vectors).norm(dim=-1)  # [batch, CANDIDATES]
    else:
        distances = 1 - torch.nn.functional.cosine_similarity(candidates, vectors, dim=-1)
    best = distances.min(-1)
    return near.gather(-1, best.indices.unsqueeze(-1)).squeeze(-1), best.values
