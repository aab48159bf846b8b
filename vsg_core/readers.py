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

if TYPE_CHECKING:
    from vsg_core.language_model import LanguageModel

CANDIDATES = 8  # looked at again exactly, since the fast distances below lose digits near 0


def nearest_tokens(lm: LanguageModel, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, hidden] -> the nearest tokens' ids [batch] and their L2 distances [batch]; padded rows never count."""
    table, vectors = lm.embedding_table, vectors.float()
    squares = (table.float() ** 2).sum(-1)  # [vocab]
    # |t - v|^2 = |t|^2 - 2 t.v + |v|^2, whose last term does not change the order
    order = squares - 2 * vectors @ table.float().T  # [batch, vocab]
    near = order.masked_fill(~lm.is_token, torch.inf).topk(CANDIDATES, largest=False).indices.sort(-1).values
    distances = (table[near].float() - vectors.unsqueeze(1)).norm(dim=-1)  # [batch, CANDIDATES]
    best = distances.min(-1)
    return near.gather(-1, best.indices.unsqueeze(-1)).squeeze(-1), best.values


def direct(lm: LanguageModel, prompt: str, vectors: Tensor) -> Tensor:
    """The prompt, then the vectors: the model goes on from them as from its own tokens."""
    return lm.join(prompt, vectors)


def completion_frame(lm: LanguageModel, vectors: Tensor) -> Tensor:
    """The study's frame for a completion model: "The meaning of <vectors> in plain English is"."""
    return lm.join("The meaning of", vectors, " in plain English is")


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


def decompose(lm: LanguageModel, vector: Tensor, most: int = 64, tolerance: float = 1e-3) -> dict[int, float]:
    """The few tokens and non-negative weights whose mixture is the vector [hidden], found from the vector alone.

    Non-negative orthogonal matching pursuit (Bruckstein, Elad & Zibulevsky, 2008): add the token that points
    most along what is left, solve for all weights again, drop those that fell to 0, until less than
    `tolerance` of the vector's norm is left or `most` tokens are in.
    """
    table = lm.embedding_table
    norms = table.float().norm(dim=-1).clamp(min=1e-12).masked_fill(~lm.is_token, torch.inf)  # [vocab]
    target = vector.float()
    rest, chosen, weights = target, [], np.zeros(0)
    for _ in range(2 * most):
        if rest.norm() <= tolerance * target.norm() or len(chosen) >= most:
            break
        along = (table @ rest.to(table.dtype)).float() / norms  # [vocab]
        along[chosen] = -torch.inf
        chosen.append(int(along.argmax()))
        columns = table[chosen].float()  # [chosen, hidden]
        weights, _ = nnls(columns.T.double().cpu().numpy(), target.double().cpu().numpy())
        chosen = [i for i, weight in zip(chosen, weights, strict=True) if weight > 0]
        weights = weights[weights > 0]
        rest = target - torch.from_numpy(weights).to(target) @ table[chosen].float()
    return dict(sorted(zip(chosen, weights.tolist(), strict=True), key=lambda pair: -pair[1]))
