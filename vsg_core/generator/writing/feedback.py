"""Hidden-state feedback: the last hidden state goes back in as the next position, with nothing trained for it.

COCONUT (Hao et al., arXiv 2412.06769) trains a model for this; Soft Thinking (arXiv 2505.15778, table 3) feeds raw
states to an untrained one. Two closed-form aligners say whether length or direction is what an untrained model
lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vsg_core.generator.mixing.mixture import entropy_bits
from vsg_core.generator.writing.decoding import Trace, Written, decode
from vsg_core.generator.writing.writers import Writable

Aligner = Callable[[Tensor], Tensor]  # [batch, hidden] float32 hidden states -> [batch, hidden] what is fed


@dataclass(frozen=True)
class HiddenState:
    """A hidden state, fed back in place of a token.

    Args:
        vector: [hidden] what is fed back.
        token_id: the token that the model's head says is the most probable at this state.
        entropy: in bits, of the next-token distribution there.
    """

    vector: Tensor
    token_id: int
    entropy: float


class FeedbackWriter:
    """Writes what `align` makes of the last hidden state, as the model's head saw it (after the final norm)."""

    def __init__(self, lm: Writable, align: Aligner) -> None:
        self.lm, self.align = lm, align

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        vectors = self.align(hidden.float()).to(self.lm.dtype)  # [batch, hidden]
        tokens, entropies = logits.argmax(-1).tolist(), entropy_bits(logits).tolist()
        kept = [HiddenState(*state) for state in zip(vectors, tokens, entropies, strict=True)]
        return Written(vectors, kept, [None] * len(rows))


def raw(hidden: Tensor) -> Tensor:
    """The hidden state itself."""
    return hidden


def norm_matched(lm: Writable) -> Aligner:
    """The direction of the hidden state, at the mean length of a token embedding."""
    return lambda hidden: hidden * (lm.embedding_norm / hidden.norm(dim=-1, keepdim=True))


def ridge_aligner(lm: Writable, penalty: float = 1e-5) -> Aligner:
    """The map of LatentMAS (arXiv 2511.20639): a ridge regression from the head's rows to the embedding table's.

    Its vectors are brought to the mean length of a token embedding. Where head and table are the same it leaves the
    direction as it is, so that this is `norm_matched`.
    """
    table, at_length = lm.embedding_table[lm.is_token], norm_matched(lm)
    matrix = fit_ridge(lm.head_table[lm.is_token].float(), table.float(), penalty)  # [hidden, hidden]
    return lambda hidden: at_length(hidden @ matrix)


def fit_ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """W [hidden, hidden] with the least |X W - Y|^2 + penalty |W|^2 (Hoerl & Kennard, 1970).

    Args:
        inputs: X [rows, hidden].
        targets: Y [rows, hidden].
        penalty: in units of the inputs, squared.
    """
    gram, products = (_on_cpu(inputs.T @ other) for other in (inputs, targets))  # each [hidden, hidden]
    matrix = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), products)
    return matrix.to(targets)


def _on_cpu(matrix: Tensor) -> Tensor:
    """In float64, which not every device has."""
    return matrix.cpu().double()


def write_hidden_states(
    lm: Writable, sequences: Sequence[Tensor], n: int, align: Aligner = raw
) -> list[Trace]:
    """`n` hidden states fed back after each sequence (ids [seq] or embeddings [seq, hidden]): HiddenStates a trace."""
    return decode(lm, sequences, FeedbackWriter(lm, align), n)
