"""A mixture: weights over tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vsg_core.errors import WrongUse


class Spelling(Protocol):
    """The part of a LanguageModel that spells a token."""

    def token(self, token_id: int) -> str: ...


@dataclass(frozen=True)
class Mixture:
    """Weights over tokens, heaviest first unless permuted.

    Args:
        token_ids: the tokens with any weight, each once.
        weights: one per token, in the same order. They sum to 1, unless the mixture was cut to its heaviest tokens
            or solved for without that constraint (`decompose`).

    Raises:
        WrongUse: different numbers of tokens and weights.
    """

    token_ids: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.weights):
            raise WrongUse(
                f"a mixture of {len(self.token_ids)} tokens has {len(self.weights)} weights: give one per token"
            )

    @classmethod
    def from_weights(cls, weights: Mapping[int, float]) -> Mixture:
        """Sort token ids and their weights, heaviest first; equal weights stay in the given order."""
        ordered = sorted(weights.items(), key=lambda pair: -pair[1])
        return cls(tuple(token for token, _ in ordered), tuple(weight for _, weight in ordered))

    @property
    def heaviest(self) -> int:
        """The id of the token with the largest weight.

        Raises:
            WrongUse: the mixture has no token.
        """
        if not self.weights:
            raise WrongUse("an empty mixture has no heaviest token: give at least one token with its weight")
        return self.token_ids[self.weights.index(max(self.weights))]

    def by_token(self) -> dict[int, float]:
        """Map each token id to its weight."""
        return dict(zip(self.token_ids, self.weights, strict=True))

    def normalised(self) -> Mixture:
        """Scale the weights to a sum of 1; an empty mixture stays empty."""
        total = sum(self.weights)
        return Mixture(self.token_ids, tuple(weight / total for weight in self.weights))

    def permuted(self) -> Mixture:
        """Give each token the weight of the next one, and the last token the weight of the first."""
        return Mixture(self.token_ids, (*self.weights[1:], *self.weights[:1]))

    def overlap(self, other: Mixture) -> float:
        """Sum the weight that both mixtures share: 1 minus their total variation distance if both sum to 1."""
        others = other.by_token()
        return sum(
            min(weight, others.get(token, 0.0))
            for token, weight in zip(self.token_ids, self.weights, strict=True)
        )

    def spelled(self, lm: Spelling, most: int = 10) -> list[tuple[str, float]]:
        """Spell the first `most` tokens: (token as text, weight) pairs."""
        pairs = zip(self.token_ids[:most], self.weights[:most], strict=True)
        return [(lm.token(token), weight) for token, weight in pairs]
