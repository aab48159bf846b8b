"""Writers: what turns next-token logits into the next position, a token or a concept token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vsg_core.errors import WrongUse
from vsg_core.generator.mixing import draws
from vsg_core.generator.mixing.mixture import (
    PLAIN,
    Mixing,
    entropy_bits,
    input_mixture,
    mixture_weights,
    sample,
    top_k_weights,
)
from vsg_core.generator.writing.decoding import Decodable, Trace, Written, decode


class Writable(Decodable, Protocol):
    """What writers need of a model; see LanguageModel for each member."""

    name: str
    tokenizer: Any

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def embedding_table(self) -> Tensor: ...

    @property
    def embedding_norm(self) -> float: ...

    @property
    def embedding_std(self) -> float: ...

    @property
    def is_token(self) -> Tensor: ...

    @property
    def head_table(self) -> Tensor: ...

    @property
    def end_ids(self) -> frozenset[int]: ...

    def mix(self, weights: Tensor, ids: Tensor | None = None) -> Tensor: ...

    def embed(self, input_ids: Tensor) -> Tensor: ...

    def tokenize(self, text: str, special: bool = True) -> Tensor: ...

    def decode(self, ids: Sequence[int] | Tensor) -> str: ...

    def token(self, token_id: int) -> str: ...


HEAVIEST = 256  # components a concept token keeps by name; a plain mixture has the whole vocabulary


@dataclass(frozen=True)
class ConceptToken:
    """A mixture of token embeddings, written in place of a token.

    Args:
        vector: [hidden] what is fed back.
        token_ids: its components, heaviest first; at most the HEAVIEST.
        weights: theirs; they sum to 1 unless there are more than HEAVIEST.
        entropy: in bits, of the model's next-token distribution it was made from.
        tokenizer: the model's, which spells the components; a notebook shows ids without it. The model itself
            is not kept alive.
    """

    vector: Tensor
    token_ids: list[int]
    weights: list[float]
    entropy: float
    tokenizer: Any = field(default=None, repr=False, compare=False)

    @property
    def token_id(self) -> int:
        """The heaviest component."""
        return self.token_ids[0]

    def components(self, lm: Writable, most: int = 10) -> list[list[str | float]]:
        """The heaviest components as [token, weight] pairs."""
        return [[lm.token(i), w] for i, w in zip(self.token_ids[:most], self.weights, strict=False)]

    def _repr_html_(self) -> str:
        from vsg_core.markup.notebook import mixture_html

        spelled = [self._spelled(token_id) for token_id in self.token_ids]
        return mixture_html(spelled, self.weights, self.entropy)

    def _spelled(self, token_id: int) -> str:
        return f"token {token_id}" if self.tokenizer is None else self.tokenizer.decode([token_id])


@dataclass(frozen=True)
class ColdStop:
    """Stop when `steps` consecutive distributions have less than `entropy` bits (Soft Thinking, arXiv 2505.15778).

    Args:
        entropy: in bits. The paper counts in nats: its thresholds of 0.01 to 0.2 are 0.014 to 0.29 bits.
        steps: how many in a row.
        temperature: the logits are divided by it first. The paper's code takes the mixing's, and the entropy
            before top_k and the like leave anything out.
    """

    entropy: float
    steps: int = 2
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.entropy <= 0 or self.steps < 1 or self.temperature <= 0:
            raise WrongUse(f"{self}: give an entropy above 0 bits, at least 1 step, a temperature above 0")


class _ColdSteps:
    """Consecutive low-entropy steps of each sequence."""

    def __init__(self, stop: ColdStop | None) -> None:
        self.stop = stop
        self._counts: Counter[int] = Counter()

    def stops(self, logits: Tensor, rows: Tensor) -> list[str | None]:
        """[batch, vocab] logits of the sequences numbered `rows` -> "cold" for those that stop at this step."""
        if self.stop is None:
            return [None] * len(rows)
        entropies = entropy_bits(logits, self.stop.temperature).tolist()
        for row, entropy in zip(rows.tolist(), entropies, strict=True):
            self._counts[row] = self._counts[row] + 1 if entropy < self.stop.entropy else 0
        return ["cold" if self._counts[row] >= self.stop.steps else None for row in rows.tolist()]


class TokenWriter:
    """Ordinary decoding: the most probable token, or one drawn from the weights that `sampling` makes.

    Args:
        draws: [sequences, steps] in [0, 1). A draw belongs to a sequence and a step, so that what is sampled
            does not depend on the batch a sequence lands in.
    """

    def __init__(
        self,
        lm: Writable,
        sampling: Mixing | None = None,
        draws: Tensor | None = None,
        cold_stop: ColdStop | None = None,
    ) -> None:
        self.lm, self.sampling, self.draws = lm, sampling, draws
        self._cold = _ColdSteps(cold_stop)

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        if self.sampling is None or self.draws is None:
            ids = logits.argmax(-1)  # [batch]
        else:
            weights, candidates = _candidates(logits, self.sampling)
            ids = _pick(candidates, sample(weights, self.draws[rows, step].to(logits.device)))
        cold = self._cold.stops(logits, rows)
        return Written(
            ids, ids.tolist(), [end or c for end, c in zip(_ended(self.lm, ids), cold, strict=True)]
        )


class ConceptWriter:
    """Soft decoding: the mixture of token embeddings, weighted by the next-token probabilities.

    Args:
        mixing: how; PRESETS has the study's, Soft Thinking's, and those that draw.
        seed: of what the mixing draws, for a sequence and a step.
    """

    def __init__(
        self, lm: Writable, mixing: Mixing = PLAIN, cold_stop: ColdStop | None = None, seed: int = 0
    ) -> None:
        self.lm, self.mixing, self.seed = lm, mixing, seed
        self._cold = _ColdSteps(cold_stop)

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        mixing = self.mixing
        each = draws.generators(self.seed, rows, step) if mixing.is_random else None
        if mixing.top_k is not None and mixing.top_k <= HEAVIEST:
            heaviest, ids = top_k_weights(logits, mixing, each)  # [batch, top_k]
            vectors = self.lm.mix(heaviest, ids)  # [batch, hidden]
        else:
            weights = mixture_weights(logits, mixing, each)  # [batch, vocab]
            vectors = self.lm.mix(weights)
            heaviest, ids = weights.topk(min(HEAVIEST, weights.shape[-1]))  # [batch, HEAVIEST]
        if mixing.max_norm is not None:
            longest = mixing.max_norm * self.lm.embedding_norm
            norms = vectors.float().norm(dim=-1, keepdim=True)  # [batch, 1]
            vectors = vectors * (longest / norms).clamp(max=1).to(vectors.dtype)
        if mixing.gaussian is not None and each is not None:
            vectors = draws.gaussian(vectors, mixing.gaussian * self.lm.embedding_std, each)
        counts = (heaviest > 0).sum(-1)  # [batch]; the heaviest come first
        columns = (one.tolist() for one in (ids, heaviest, counts, entropy_bits(logits)))
        kept = [
            ConceptToken(vector, i[:n], w[:n], entropy, self.lm.tokenizer)
            for vector, i, w, n, entropy in zip(vectors, *columns, strict=True)
        ]
        return Written(vectors, kept, self._cold.stops(logits, rows))


class InputMixtureWriter:
    """A token is drawn and written, but fed back mixed with the distribution it came from.

    Mixture of Inputs (arXiv 2505.14827): see `input_mixture`. The paper's code mixes the 20 most probable tokens
    at temperature 1, whatever the token was drawn at; here both are of the same distribution, as in the paper.

    Args:
        mixing: the distribution p that tokens are drawn from and that is mixed in.
        beta: how much the token counts.
        seed: of the draws.
    """

    def __init__(self, lm: Writable, mixing: Mixing = PLAIN, beta: float = 1.0, seed: int = 0) -> None:
        self.lm, self.mixing, self.beta, self.seed = lm, mixing, beta, seed
        # How many tokens p could spread over
        self.spread = min(filter(None, (mixing.top_n, mixing.top_k, int(lm.is_token.sum()))))

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        each = draws.generators(self.seed, rows, step)
        weights, candidates = _candidates(logits, self.mixing, each)
        drawn = sample(weights, draws.uniform(each))  # [batch]
        inputs = self.lm.mix(input_mixture(weights, drawn, self.beta, self.spread), candidates)
        ids = _pick(candidates, drawn)
        return Written(inputs, ids.tolist(), _ended(self.lm, ids))


def _candidates(
    logits: Tensor, mixing: Mixing, each: draws.Generators | None = None
) -> tuple[Tensor, Tensor | None]:
    """Weights [batch, n] in the order of ids, and the ids [batch, n] where they are not the whole vocabulary.

    The order matters to what a draw falls on: it is the same whether the vocabulary was cut first or not.
    """
    if mixing.top_k is None:
        return mixture_weights(logits, mixing, each), None
    weights, ids = top_k_weights(logits, mixing, each)
    ids, order = ids.sort(dim=-1)
    return weights.gather(-1, order), ids


def _pick(ids: Tensor | None, places: Tensor) -> Tensor:
    """The ids [batch] at places [batch]; the places themselves where the ids are the whole vocabulary."""
    return places if ids is None else ids.gather(-1, places.unsqueeze(-1)).squeeze(-1)


def _ended(lm: Writable, ids: Tensor) -> list[str | None]:
    return ["end" if i in lm.end_ids else None for i in ids.tolist()]


def write_concepts(
    lm: Writable,
    sequences: Sequence[Tensor],
    n: int = 1,
    mixing: Mixing = PLAIN,
    cold_stop: ColdStop | None = None,
    seed: int = 0,
) -> list[Trace]:
    """Up to `n` concept tokens after each sequence (ids [seq] or embeddings [seq, hidden]).

    Returns:
        A trace each: `.steps` are its ConceptTokens, `.stopped` is "length", "cold" or "context".
    """
    return decode(lm, sequences, ConceptWriter(lm, mixing, cold_stop, seed), n)
