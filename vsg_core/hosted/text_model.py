"""Models as a claim may ask them in text alone, wherever they run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vsg_core.errors import WrongUse

# The most next tokens that an API of this kind lists.
MOST_LISTED = 20
# Half of a character, as Python has it from JSON that was cut, or of a file that is not UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")
# Characters of a text that a message quotes.
QUOTED = 80


@dataclass(frozen=True)
class Reply:
    """The text that a model wrote.

    Args:
        stopped: "end" where the model ended it, "length" at the number of tokens asked for.
    """

    text: str
    stopped: str


@dataclass(frozen=True)
class Likely:
    """The most probable next tokens after a text, as far as they are listed.

    Args:
        tokens: their texts, the most probable first; two tokens of one text count once.
        probabilities: of the same tokens; the rest of 1 belongs to tokens that are not listed, none of which is more
            probable than the last of these.
    """

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def of(cls, listed: Mapping[str, float], most: int) -> Likely:
        """Order the probabilities of tokens by their texts, and cut the list, without those of probability 0."""
        possible = {token: p for token, p in listed.items() if p > 0}
        ordered = sorted(possible.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        return cls(tuple(token for token, _ in ordered), tuple(p for _, p in ordered))

    @property
    def rest(self) -> float:
        """The probability of all tokens that are not listed."""
        return max(0.0, 1.0 - sum(self.probabilities))

    def bounds(self, token: str) -> tuple[float, float]:
        """The least and the greatest probability that a token can have."""
        if token in self.tokens:
            own = self.probabilities[self.tokens.index(token)]
            return own, own
        least = min(self.probabilities, default=1.0)
        return 0.0, min(least, self.rest)


class TextModel(Protocol):
    """A model that takes text and gives text, on this machine or behind an API.

    Every method takes all texts of an arm in one call. Where the model does not take that, the method raises
    NotApplicable with the reason.

    Attributes:
        name: as reports show it.
        kind: "base" or "instruct".
        most_listed: how many of the most probable next tokens `likely` can give; 0 if none.
    """

    name: str
    kind: str

    @property
    def most_listed(self) -> int: ...

    def complete(
        self,
        prompts: Sequence[str],
        max_tokens: int = 20,
        *,
        seed: int | None = None,
        bias: Sequence[Mapping[str, float]] | None = None,
        fresh: bool = False,
    ) -> list[Reply]:
        """Continue each text, greedily unless a seed is given.

        Args:
            seed: sample at temperature 1; the texts of one call get different seeds.
            bias: for each text what is added to the logits of tokens, by their texts.
            fresh: ask again, even where an answer to the same request is kept.
        """
        ...

    def ask(self, questions: Sequence[str], max_tokens: int = 20) -> list[Reply]:
        """Answer each question greedily: in the chat format of an instruct model, else after "Answer:"."""
        ...

    def likely(self, prompts: Sequence[str], most: int = MOST_LISTED) -> list[Likely]:
        """The most probable next tokens after each text, `most` of them or as many as there are.

        The list is empty where the model would end its answer at once and does not say what else it might do.
        """
        ...


def question_frame(question: str) -> str:
    """Put a question to a model without a chat format."""
    return f"Question: {question}\nAnswer:"


def check_prompts(prompts: Sequence[str]) -> list[str]:
    """List the texts of a call.

    Raises:
        WrongUse: it is one text, or has something that is not text.
    """
    if isinstance(prompts, str) or not all(isinstance(each, str) for each in prompts):
        raise WrongUse("a model that takes text is given a list of texts")
    for each in prompts:
        if SURROGATE.search(each):
            raise WrongUse(
                f"the text {each[:QUOTED]!a} has half a character, a lone surrogate, which is in no encoding: read "
                'its file as UTF-8, or with errors="replace"'
            )
    return list(prompts)
