"""Hidden-state feedback: the last hidden state goes back in as the next position, with nothing trained for it.

COCONUT (Hao et al., arXiv 2412.06769) trains a model for this; Soft Thinking (arXiv 2505.15778, table 3) feeds raw
states to an untrained one. Two closed-form aligners say whether length or direction is what an untrained model
lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vsg_core.decode import Trace, Written, decode
from vsg_core.mixture import entropy_bits
from vsg_core.writers import TokenWriter

if TYPE_CHECKING:
    from vsg_core.language_model import LanguageModel

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

    def __init__(self, lm: LanguageModel, align: Aligner) -> None:
        self.lm, self.align = lm, align

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        vectors = self.align(hidden.float()).to(self.lm.dtype)  # [batch, hidden]
        tokens, entropies = logits.argmax(-1).tolist(), entropy_bits(logits).tolist()
        kept = [HiddenState(*state) for state in zip(vectors, tokens, entropies, strict=True)]
        return Written(vectors, kept, [None] * len(rows))


def raw(hidden: Tensor) -> Tensor:
    """The hidden state itself."""
    return hidden


def norm_matched(lm: LanguageModel) -> Aligner:
    """The direction of the hidden state, at the mean length of a token embedding."""
    return lambda hidden: hidden * (lm.embedding_norm / hidden.norm(dim=-1, keepdim=True))


@dataclass(frozen=True)
class Ridge:
    """An affine map by ridge regression: what it was fitted on, in closed form."""

    matrix: Tensor  # [hidden, hidden]
    hidden_mean: Tensor  # [hidden]
    target_mean: Tensor  # [hidden]

    def __call__(self, hidden: Tensor) -> Tensor:
        return (hidden - self.hidden_mean) @ self.matrix + self.target_mean


def fit_ridge(hidden: Tensor, targets: Tensor, penalty: float) -> Ridge:
    """The map W with the least |H W - T|^2 + lambda |W|^2, both centred (Hoerl & Kennard, 1970).

    Args:
        hidden: H [pairs, hidden].
        targets: T [pairs, hidden].
        penalty: lambda in units of the mean eigenvalue of H'H, so that it means the same for every model.
    """
    h, t = hidden.cpu().double(), targets.cpu().double()
    h_mean, t_mean = h.mean(0), t.mean(0)
    h, t = h - h_mean, t - t_mean
    gram = h.T @ h  # [hidden, hidden]
    scale = penalty * gram.trace() / len(gram)
    matrix = torch.linalg.solve(gram + scale * torch.eye(len(gram), dtype=gram.dtype), h.T @ t)
    return Ridge(*(part.to(hidden.device, torch.float32) for part in (matrix, h_mean, t_mean)))


def ridge_aligner(
    lm: LanguageModel, sequences: Sequence[Tensor], n: int = 16, penalty: float = 0.01
) -> Aligner:
    """From a hidden state to the embedding of the token that was decoded there, fitted on `n` greedy tokens a text.

    A ridge regression shrinks what it is unsure of: its vectors are brought to the mean length of a token embedding.
    """
    found = greedy_states(lm, sequences, n)
    hidden, tokens = (torch.cat(parts) for parts in zip(*found, strict=True))
    ridge, at_length = fit_ridge(hidden, lm.embed(tokens), penalty), norm_matched(lm)
    return lambda states: at_length(ridge(states))


def greedy_states(lm: LanguageModel, sequences: Sequence[Tensor], n: int) -> list[tuple[Tensor, Tensor]]:
    """Of up to `n` greedy tokens after each sequence, end included: hidden states [n, hidden], the tokens [n] there."""
    recorder = _Recorder(lm)
    decode(lm, sequences, recorder, n)
    return [
        (torch.stack(hidden), torch.stack(ids))
        for hidden, ids in (recorder.kept[i] for i in range(len(sequences)))
    ]


class _Recorder(TokenWriter):
    """Greedy decoding that keeps each hidden state with the token decoded there, up to the end of its text."""

    def __init__(self, lm: LanguageModel) -> None:
        super().__init__(lm)
        self.kept: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
        self._ended: set[int] = set()

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        written = super().__call__(logits, rows, step)
        parts = zip(rows.tolist(), hidden.float(), written.inputs, written.stopped, strict=True)
        for row, state, token, stopped in parts:
            if row in self._ended:
                continue  # ended earlier, still in the batch
            states, tokens = self.kept.setdefault(row, ([], []))
            states.append(state)
            tokens.append(token)
            if stopped:
                self._ended.add(row)
        return written


def write_hidden_states(
    lm: LanguageModel, sequences: Sequence[Tensor], n: int, align: Aligner = raw
) -> list[Trace]:
    """`n` hidden states fed back after each sequence (ids [seq] or embeddings [seq, hidden]): HiddenStates a trace."""
    return decode(lm, sequences, FeedbackWriter(lm, align), n)
