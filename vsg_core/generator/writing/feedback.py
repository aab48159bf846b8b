"""Hidden-state feedback: feed the last hidden state back as the next position, without training.

COCONUT (Hao et al., arXiv 2412.06769) trains a model for this; Soft Thinking (arXiv 2505.15778, table 3) feeds raw
states to a model that was not. Two closed-form aligners show whether such a model lacks the right length or the
right direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from vsg_core.errors import NotApplicable
from vsg_core.generator import engine
from vsg_core.generator.mixing.distributions import entropy_bits
from vsg_core.generator.writing.decoding import Decodable, Prompt, Trace, Written, decode
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# From float32 hidden states [batch, hidden] to the vectors that are fed [batch, hidden].
Aligner: TypeAlias = "Callable[[Tensor], Tensor]"


class Alignable(Decodable, Protocol):
    """The members of a LanguageModel that feedback uses."""

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def embedding_table(self) -> Tensor: ...

    @property
    def embedding_norm(self) -> float: ...

    @property
    def head_table(self) -> Tensor: ...

    @property
    def is_token(self) -> Tensor: ...


@dataclass(frozen=True)
class HiddenState:
    """A hidden state, fed back in place of a token.

    Args:
        vector: [hidden] what is fed back.
        token_id: the most probable next token at this state.
        entropy: of the next-token distribution there, in bits.
    """

    vector: Tensor
    token_id: int
    entropy: float


class FeedbackWriter:
    """Writes `align` of the last hidden state, as the model's head saw it (after the final norm)."""

    def __init__(self, lm: Alignable, align: Aligner) -> None:
        self.lm, self.align = lm, align

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        if hidden.shape[-1] != self.lm.embedding_table.shape[-1]:
            raise _unknown()
        engine.demand(~hidden.isnan().all(), _unknown)
        vectors = self.align(hidden.float()).to(self.lm.dtype)  # [batch, hidden]
        tokens, entropies = engine.lists(logits.argmax(-1), entropy_bits(logits))
        kept = [HiddenState(*state) for state in zip(vectors, tokens, entropies, strict=True)]
        return Written(vectors, kept, [None] * len(rows))


def _unknown() -> NotApplicable:
    return NotApplicable(
        "the model's last hidden state is unknown, or does not have the size of an embedding"
    )


def raw(hidden: Tensor) -> Tensor:
    """Feed the hidden state itself."""
    return hidden


def norm_matched(lm: Alignable) -> Aligner:
    """Scale the hidden state to the mean norm of a token embedding."""
    return lambda hidden: hidden * (lm.embedding_norm / hidden.norm(dim=-1, keepdim=True))


def ridge_aligner(lm: Alignable, penalty: float = 1e-5) -> Aligner:
    """The map of LatentMAS (arXiv 2511.20639): a ridge regression from the head's rows to the embedding table's.

    The mapped vectors are scaled to the mean norm of a token embedding. If head and table are tied, the map keeps
    every direction, and this equals `norm_matched`.
    """
    table, at_length = lm.embedding_table[lm.is_token], norm_matched(lm)
    matrix = fit_ridge(lm.head_table[lm.is_token].float(), table.float(), penalty)  # [hidden, hidden]
    return lambda hidden: at_length(hidden @ matrix)


def fit_ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Solve for W [hidden, hidden] that minimises |X W - Y|^2 + penalty |W|^2 (Hoerl & Kennard, 1970).

    Args:
        inputs: X [rows, hidden].
        targets: Y [rows, hidden].
        penalty: in squared units of the inputs.
    """
    # Each [hidden, hidden].
    gram, products = (_on_cpu(inputs.T @ other) for other in (inputs, targets))
    matrix: Tensor = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), products)
    return matrix.to(targets)


def _on_cpu(matrix: Tensor) -> Tensor:
    """In float64, which some devices lack."""
    return matrix.cpu().double()


def write_hidden_states(
    lm: Alignable, sequences: Sequence[Prompt], n: int, align: Aligner = raw
) -> list[Trace]:
    """Feed back `n` hidden states after each sequence; each trace's steps are its HiddenStates."""
    return decode(lm, sequences, FeedbackWriter(lm, align), n)
