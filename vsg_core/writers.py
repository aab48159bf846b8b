"""Writers: what turns next-token logits into the next position, a token or a concept token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from vsg_core.decode import Trace, Written, decode
from vsg_core.errors import WrongUse
from vsg_core.mixture import PLAIN, Mixing, entropy_bits, mixture_weights, sample, top_k_weights

if TYPE_CHECKING:
    from vsg_core.language_model import LanguageModel

HEAVIEST = 256  # components a concept token keeps by name; a plain mixture has the whole vocabulary


@dataclass(frozen=True)
class ConceptToken:
    """A mixture of token embeddings, written in place of a token.

    Args:
        vector: [hidden] what is fed back.
        token_ids: its components, heaviest first; at most the HEAVIEST.
        weights: theirs; they sum to 1 unless there are more than HEAVIEST.
        entropy: in bits, of the model's next-token distribution it was made from.
    """

    vector: Tensor
    token_ids: list[int]
    weights: list[float]
    entropy: float

    def components(self, lm: LanguageModel, most: int = 10) -> list[list[str | float]]:
        """The heaviest components as [token, weight] pairs."""
        return [[lm.token(i), w] for i, w in zip(self.token_ids[:most], self.weights, strict=False)]


@dataclass(frozen=True)
class ColdStop:
    """Stop when `steps` consecutive distributions have less than `entropy` bits (Soft Thinking, arXiv 2505.15778)."""

    entropy: float
    steps: int = 2

    def __post_init__(self) -> None:
        if self.entropy <= 0 or self.steps < 1:
            raise WrongUse(f"{self}: give an entropy above 0 bits and at least 1 step")


class TokenWriter:
    """Ordinary decoding: the most probable token, or one drawn from the weights that `sampling` makes.

    Args:
        draws: [sequences, steps] in [0, 1). A draw belongs to a sequence and a step, so that what is sampled
            does not depend on the batch a sequence lands in.
    """

    def __init__(
        self, lm: LanguageModel, sampling: Mixing | None = None, draws: Tensor | None = None
    ) -> None:
        self.lm, self.sampling, self.draws = lm, sampling, draws

    def __call__(self, logits: Tensor, rows: Tensor, step: int) -> Written:
        if self.sampling is None or self.draws is None:
            ids = logits.argmax(-1)  # [batch]
        else:
            ids = sample(mixture_weights(logits, self.sampling), self.draws[rows, step].to(logits.device))
        kept = ids.tolist()
        return Written(ids, kept, ["end" if i in self.lm.end_ids else None for i in kept])


class ConceptWriter:
    """Soft decoding: the mixture of token embeddings, weighted by the next-token probabilities."""

    def __init__(self, lm: LanguageModel, mixing: Mixing = PLAIN, cold_stop: ColdStop | None = None) -> None:
        self.lm, self.mixing, self.cold_stop = lm, mixing, cold_stop
        self._cold_steps: Counter[int] = Counter()  # consecutive low-entropy steps of each sequence

    def __call__(self, logits: Tensor, rows: Tensor, step: int) -> Written:
        if self.mixing.top_k is not None and self.mixing.top_k <= HEAVIEST:
            heaviest, ids = top_k_weights(logits, self.mixing)  # [batch, top_k]
            vectors = self.lm.mix(heaviest, ids)  # [batch, hidden]
        else:
            weights = mixture_weights(logits, self.mixing)  # [batch, vocab]
            vectors = self.lm.mix(weights)
            heaviest, ids = weights.topk(min(HEAVIEST, weights.shape[-1]))  # [batch, HEAVIEST]
        if self.mixing.max_norm is not None:
            longest = self.mixing.max_norm * self.lm.embedding_norm
            norms = vectors.float().norm(dim=-1, keepdim=True)  # [batch, 1]
            vectors = vectors * (longest / norms).clamp(max=1).to(vectors.dtype)
        entropies = entropy_bits(logits).tolist()
        kept = [
            ConceptToken(vector, i[w > 0].tolist(), w[w > 0].tolist(), entropy)
            for vector, i, w, entropy in zip(vectors, ids, heaviest, entropies, strict=True)
        ]
        return Written(vectors, kept, self._stops(rows, entropies))

    def _stops(self, rows: Tensor, entropies: list[float]) -> list[str | None]:
        if self.cold_stop is None:
            return [None] * len(entropies)
        for row, entropy in zip(rows.tolist(), entropies, strict=True):
            self._cold_steps[row] = self._cold_steps[row] + 1 if entropy < self.cold_stop.entropy else 0
        return ["cold" if self._cold_steps[row] >= self.cold_stop.steps else None for row in rows.tolist()]


def write_concepts(
    lm: LanguageModel,
    sequences: Sequence[Tensor],
    n: int = 1,
    mixing: Mixing = PLAIN,
    cold_stop: ColdStop | None = None,
) -> list[Trace]:
    """Up to `n` concept tokens after each sequence (ids [seq] or embeddings [seq, hidden]).

    Returns:
        A trace each: `.steps` are its ConceptTokens, `.stopped` is "length", "cold" or "context".
    """
    return decode(lm, sequences, ConceptWriter(lm, mixing, cold_stop), n)
