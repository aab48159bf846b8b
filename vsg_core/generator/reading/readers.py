"""Readers: what turns vectors back into tokens and text.

A frame puts vectors [n, hidden] where a text would have a word; what comes back is a sequence of embeddings
[seq, hidden] to generate from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from vsg_core.errors import WrongUse

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel

MEASURES = ("l2", "cosine", "centred")
CANDIDATES = 8  # looked at again exactly, since the fast distances below lose digits near 0


def nearest_tokens(lm: LanguageModel, vectors: Tensor, by: str = "l2") -> tuple[Tensor, Tensor]:
    """[batch, hidden] -> the nearest tokens' ids [batch] and how far they are [batch]; padded rows never count.

    Args:
        by: "l2", the distance; "cosine", 1 - cosine of the angle; "centred", the same after the table's mean
            is taken from both: the directions that all tokens share then do not count (arXiv 1702.01417).

    Raises:
        WrongUse: another word.
    """
    if by not in MEASURES:
        raise WrongUse(f"by is {by!r}: give one of {', '.join(MEASURES)}")
    table, vectors = lm.embedding_table, vectors.to(lm.device).float()
    tokens = lm.is_token.float()  # [vocab]
    middle = tokens @ table.float() / tokens.sum() if by == "centred" else torch.zeros_like(vectors[0])
    vectors = vectors - middle  # [batch, hidden]
    # With m the middle: |t - m|^2 and (t - m).v for every token, without a copy of the table
    squares = lm.embedding_norms**2 - 2 * table.float() @ middle + middle @ middle  # [vocab]
    dots = vectors @ table.float().T - (vectors @ middle).unsqueeze(-1)  # [batch, vocab]
    # |t - v|^2 = |t|^2 - 2 t.v + |v|^2, whose last term does not change the order
    order = squares - 2 * dots if by == "l2" else -dots / squares.clamp(min=1e-12).sqrt()
    near = (
        order.masked_fill(~lm.is_token, torch.inf)
        .topk(min(CANDIDATES, len(table)), largest=False)
        .indices.sort(-1)
        .values
    )
    found, shown = (
        table[near].float() - middle,
        vectors.unsqueeze(1),
    )  # [batch, CANDIDATES, hidden], [batch, 1, hidden]
    if by == "l2":
        distances = (found - shown).norm(dim=-1)  # [batch, CANDIDATES]
    else:
        distances = 1 - torch.nn.functional.cosine_similarity(found, shown, dim=-1)
    best = distances.min(-1)
    return near.gather(-1, best.indices.unsqueeze(-1)).squeeze(-1), best.values


def completion_frame(lm: LanguageModel, vectors: Tensor) -> Tensor:
    """The study's frame for a completion model: "The meaning of <vectors> in plain English is"."""
    return few_shot_frame(lm, [], vectors)


def chat_frame(
    lm: LanguageModel,
    vectors: Tensor,
    request: str = "Decode the following embedded representation into natural text:",
) -> Tensor:
    """The study's request with the vectors at its end, in the model's chat format, special tokens included.

    Raises:
        NotApplicable: the model has no chat template.
    """
    mark = "\N{OBJECT REPLACEMENT CHARACTER}"
    before, after = lm.chat(f"{request} {mark}").split(mark)
    return lm.join(before, vectors, after)


def few_shot_frame(
    lm: LanguageModel, examples: Sequence[tuple[str | Tensor, str]], vectors: Tensor
) -> Tensor:
    """Examples of (what is shown, what it means), one a line, then the vectors for the model to go on from."""
    parts: list[str | Tensor] = []
    for shown, meaning in examples:
        parts += [
            "The meaning of",
            f" {shown}" if isinstance(shown, str) else shown,
            f" in plain English is {meaning}.\n",
        ]
    return lm.join(*parts, "The meaning of", vectors, " in plain English is")


def decompose(
    lm: LanguageModel,
    vectors: Tensor,
    most: int = 64,
    tolerance: float = 1e-3,
    table: Tensor | None = None,
) -> list[dict[int, float]]:
    """For each vector [batch, hidden] the few tokens and non-negative weights whose mixture it is.

    Found from the vectors and the embedding table alone, by non-negative orthogonal matching pursuit
    (Bruckstein, Elad & Zibulevsky, 2008): add the token that points most along what is left, solve for all
    weights again, drop those that fell to 0, until less than `tolerance` of the vector's norm is left or
    `most` tokens are in. Heaviest first.

    Args:
        table: [vocab, hidden] rows to look among, in place of the model's own embeddings.
    """
    norms = (lm.embedding_norms if table is None else table.float().norm(dim=-1)).clamp(min=1e-12)  # [vocab]
    table, targets = lm.embedding_table if table is None else table, vectors.to(lm.device).float()
    chosen: list[list[int]] = [[] for _ in targets]
    weights = [np.zeros(0) for _ in targets]
    rest = targets.clone()  # [batch, hidden] what the chosen tokens do not explain yet
    for _ in range(2 * most):
        unexplained = rest.norm(dim=-1) > tolerance * targets.norm(dim=-1)
        open_rows = [row for row in range(len(targets)) if unexplained[row] and len(chosen[row]) < most]
        if not open_rows:
            break
        along = (rest[open_rows].to(table.dtype) @ table.T).float() / norms  # [open, vocab]
        along = along.masked_fill(~lm.is_token, -torch.inf)
        for place, row in enumerate(open_rows):
            along[place, chosen[row]] = -torch.inf
            columns = [*chosen[row], int(along[place].argmax())]
            solved = _non_negative_weights(table[columns], targets[row])
            chosen[row] = [i for i, weight in zip(columns, solved, strict=True) if weight > 0]
            weights[row] = solved[solved > 0]
            rest[row] = targets[row] - torch.from_numpy(weights[row]).to(targets) @ table[chosen[row]].float()
    found = [dict(zip(ids, w.tolist(), strict=True)) for ids, w in zip(chosen, weights, strict=True)]
    return [dict(sorted(row.items(), key=lambda pair: -pair[1])) for row in found]


def _non_negative_weights(rows: Tensor, target: Tensor) -> np.ndarray:
    """Weights >= 0 [n] whose sum over the rows [n, hidden] comes nearest to the target [hidden]."""
    return nnls(rows.T.cpu().double().numpy(), target.cpu().double().numpy())[0]
