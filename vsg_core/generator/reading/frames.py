"""Prompts with a gap: vectors [n, hidden] are put where a text would have a word, and the model continues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vsg_core.errors import NotApplicable

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel


def completion_frame(lm: LanguageModel, vectors: Tensor) -> Tensor:
    """The study's frame for a completion model: "The meaning of <vectors> in plain English is"."""
    return few_shot_frame(lm, [], vectors)


def chat_frame(
    lm: LanguageModel,
    vectors: Tensor,
    request: str = "Decode the following embedded representation into natural text:",
) -> Tensor:
    """The study's request, ending in the vectors, in the model's chat format with its special tokens.

    Raises:
        NotApplicable: the model has no chat template.
    """
    mark = "\N{OBJECT REPLACEMENT CHARACTER}"
    before, *between, after = lm.chat(f"{request} {mark}").split(mark)
    if between:
        raise NotApplicable(f"the chat template of {lm.name} repeats the message: vectors have one place")
    return lm.join(before, vectors, after)


def few_shot_frame(
    lm: LanguageModel, examples: Sequence[tuple[str | Tensor, str]], vectors: Tensor
) -> Tensor:
    """Write one line per example (shown, meaning), then ask for the meaning of the vectors."""
    parts: list[str | Tensor] = []
    for shown, meaning in examples:
        parts += [
            "The meaning of",
            f" {shown}" if isinstance(shown, str) else shown,
            f" in plain English is {meaning}.\n",
        ]
    return lm.join(*parts, "The meaning of", vectors, " in plain English is")
