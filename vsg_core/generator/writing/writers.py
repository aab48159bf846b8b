"""Writers of tokens and of concept tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vsg_core.errors import WrongUse
from vsg_core.generator import engine
from vsg_core.generator.mixing import draws
from vsg_core.generator.mixing.distributions import entropy_bits
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.mixing.presets import PLAIN, Mixing
from vsg_core.generator.mixing.weights import (
    input_mixture,
    largest,
    mixture_weights,
    sample,
    top_k_weights,
)
from vsg_core.generator.writing.decoding import Decodable, Prompt, Trace, Written, decode

if TYPE_CHECKING:
    from torch import Tensor


class Writable(Decodable, Protocol):
    """The members of a LanguageModel that these writers use."""

    tokenizer: Any
    end_ids: frozenset[int]

    @property
    def embedding_norm(self) -> float: ...

    @property
    def embedding_std(self) -> float: ...

    @property
    def is_token(self) -> Tensor: ...

    def mix(self, weights: Tensor, ids: Tensor | None = None) -> Tensor: ...


# Tokens that a concept token's mixture keeps; a plain mixture covers the whole vocabulary.
HEAVIEST = 256


@dataclass(frozen=True)
class ConceptToken:
    """A mixture of token embeddings, written in place of a token.

    Args:
        vector: [hidden] what is fed back.
        mixture: its tokens and weights, at most the HEAVIEST; the weights sum to 1 unless there were more.
        entropy: of the model's next-token distribution, in bits.
        tokenizer: spells the tokens in a notebook, which shows ids without it. A concept token does not keep the
            model itself in memory.
    """

    vector: Tensor
    mixture: Mixture
    entropy: float
    tokenizer: Any = field(default=None, repr=False, compare=False)

    @property
    def token_id(self) -> int:
        """The heaviest token."""
        return self.mixture.heaviest

    def _repr_html_(self) -> str:
        from vsg_core.markup.notebook import mixture_html

        spelled = [self._spelled(token_id) for token_id in self.mixture.token_ids]
        return mixture_html(spelled, self.mixture.weights, self.entropy)

    def _spelled(self, token_id: int) -> str:
        return f"token {token_id}" if self.tokenizer is None else self.tokenizer.decode([token_id])


@dataclass(frozen=True)
class ColdStop:
    """Stop when `steps` consecutive distributions have less than `entropy` bits (Soft Thinking, arXiv 2505.15778).

    Args:
        entropy: in bits. The paper's thresholds of 0.01 to 0.2 nats are 0.014 to 0.29 bits.
        steps: the number of consecutive distributions.
        temperature: divides the logits first. The paper's code uses the mixing's temperature, and measures the
            entropy before top_k and the other cuts.

    Raises:
        WrongUse: a value outside its range.
    """

    entropy: float
    steps: int = 2
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.entropy <= 0 or self.steps < 1 or self.temperature <= 0:
            raise WrongUse(f"{self}: give an entropy above 0 bits, at least 1 step, a temperature above 0")


class _ColdSteps:
    """Count the consecutive low-entropy steps of each sequence."""

    def __init__(self, stop: ColdStop | None) -> None:
        self.stop = stop
        self._counts: Counter[int] = Counter()

    def entropies(self, logits: Tensor) -> Tensor:
        """Compute what `stops` needs of logits [batch, vocab]: their entropies [batch], or nothing [0]."""
        return logits.new_empty(0) if self.stop is None else entropy_bits(logits, self.stop.temperature)

    def stops(self, entropies: Sequence[float], rows: Tensor) -> list[str | None]:
        """Return "cold" for each of the sequences numbered `rows` that stops at logits of these entropies."""
        if self.stop is None:
            return [None] * len(rows)
        for row, entropy in zip(rows.tolist(), entropies, strict=True):
            self._counts[row] = self._counts[row] + 1 if entropy < self.stop.entropy else 0
        return ["cold" if self._counts[row] >= self.stop.steps else None for row in rows.tolist()]


class TokenWriter:
    """Ordinary decoding: the most probable token, or one sampled from the weights of `sampling`.

    Args:
        draws: [sequences, steps] in [0, 1). Each draw is tied to a sequence and a step, so that the samples do not
            depend on the batch.
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
            ids = _pick(candidates, sample(weights, self.draws[rows, step]))
        tokens, entropies = engine.lists(ids, self._cold.entropies(logits))
        cold = self._cold.stops(entropies, rows)
        ended = _ended(self.lm, tokens)
        return Written(ids, tokens, [end or c for end, c in zip(ended, cold, strict=True)])


class ConceptWriter:
    """Soft decoding: the mixture of token embeddings, weighted by the next-token probabilities.

    Args:
        mixing: from logits to weights; `presets` has published settings.
        seed: of the draws of a random mixing; each is tied to a sequence and a step.
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
            heaviest, ids = largest(weights, min(HEAVIEST, weights.shape[-1]))  # [batch, HEAVIEST]
        if mixing.max_norm is not None:
            longest = mixing.max_norm * self.lm.embedding_norm
            norms = vectors.float().norm(dim=-1, keepdim=True)  # [batch, 1]
            vectors = vectors * (longest / norms).clamp(max=1).to(vectors.dtype)
        if mixing.gaussian is not None and each is not None:
            vectors = draws.gaussian(vectors, mixing.gaussian * self.lm.embedding_std, each)
        counts = (heaviest > 0).sum(-1)  # [batch]; sorted, so the tokens with weight come first
        *columns, cold = engine.lists(
            ids, heaviest, counts, entropy_bits(logits), self._cold.entropies(logits)
        )
        kept = [
            ConceptToken(vector, Mixture(tuple(i[:n]), tuple(w[:n])), entropy, self.lm.tokenizer)
            for vector, i, w, n, entropy in zip(vectors, *columns, strict=True)
        ]
        return Written(vectors, kept, self._cold.stops(cold, rows))


class InputMixtureWriter:
    """Mixture of Inputs (arXiv 2505.14827): draw a token, but feed it mixed with the distribution it came from.

    See `input_mixture`. The paper's code mixes the 20 most probable tokens at temperature 1, whatever temperature
    the token was drawn at. This writer draws from and mixes the same distribution, as the paper's text does.

    Args:
        mixing: the distribution p that tokens are drawn from and that is mixed in.
        beta: weight of the drawn token.
        seed: of the draws.
    """

    def __init__(self, lm: Writable, mixing: Mixing = PLAIN, beta: float = 1.0, seed: int = 0) -> None:
        self.lm, self.mixing, self.beta, self.seed = lm, mixing, beta, seed
        # The number of tokens that p can spread over
        self.spread = min(filter(None, (mixing.top_n, mixing.top_k, int(lm.is_token.sum()))))

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        each = draws.generators(self.seed, rows, step)
        weights, candidates = _candidates(logits, self.mixing, each)
        drawn = sample(weights, draws.uniform(each))  # [batch]
        inputs = self.lm.mix(input_mixture(weights, drawn, self.beta, self.spread), candidates)
        (tokens,) = engine.lists(_pick(candidates, drawn))
        return Written(inputs, tokens, _ended(self.lm, tokens))


def _candidates(
    logits: Tensor, mixing: Mixing, each: draws.Generators | None = None
) -> tuple[Tensor, Tensor | None]:
    """Weights [batch, n] in the order of ids, and the ids [batch, n]; None if they are the whole vocabulary.

    A draw depends on the order, which is therefore the same with and without a cut vocabulary.
    """
    if mixing.top_k is None:
        return mixture_weights(logits, mixing, each), None
    weights, ids = top_k_weights(logits, mixing, each)
    ids, order = ids.sort(dim=-1)
    return weights.gather(-1, order), ids


def _pick(ids: Tensor | None, places: Tensor) -> Tensor:
    """Take the ids [batch] at places [batch]; the places themselves if the ids are the whole vocabulary."""
    return places if ids is None else ids.gather(-1, places.unsqueeze(-1)).squeeze(-1)


def _ended(lm: Writable, ids: Sequence[int]) -> list[str | None]:
    return ["end" if i in lm.end_ids else None for i in ids]


def write_concepts(
    lm: Writable,
    sequences: Sequence[Prompt],
    n: int = 1,
    mixing: Mixing = PLAIN,
    cold_stop: ColdStop | None = None,
    seed: int = 0,
) -> list[Trace]:
    """Write up to `n` concept tokens after each sequence.

    Returns:
        One trace per sequence: `.steps` are its ConceptTokens, `.stopped` is "length", "cold" or "context".
    """
    return decode(lm, sequences, ConceptWriter(lm, mixing, cold_stop, seed), n)
