"""The marks between a reply's reasoning and its answer, as the chat template writes or the vocabulary spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# A mark of reasoning by its spelling: <think>, </think>, [THINK], <|START_THINKING|>, <seed:think>, ◁/think▷
MARK = re.compile(r"[<\[◁][|/]*[\w:▁]*(?:think|thought|reason)[\w:▁]*\|?[>\]▷]", re.IGNORECASE)


@dataclass(frozen=True)
class Reasoning:
    """The marks around a reasoning.

    Args:
        opening: begins it.
        closing: ends it.
        direct: what the model writes before an answer without reasoning; empty for most.
    """

    opening: str
    closing: str
    direct: str = ""

    def is_open(self, prompt: str) -> bool:
        """Return whether a prompt ends in the opening mark, so that the reply begins with reasoning."""
        return prompt.rstrip().endswith(self.opening)

    def after(self, reply: str, begun: bool) -> str | None:
        """Return what follows the reasoning of a reply, with special tokens in it; None if it has no reasoning.

        Empty if the reasoning was not closed.

        Args:
            begun: the prompt has opened the reasoning.
        """
        if self.closing in reply:
            rest = reply.rsplit(self.closing, 1)[1]
            return "" if self.opening in rest else rest
        if begun or self.opening in reply:
            return ""
        if self.direct and reply.lstrip().startswith(self.direct):
            return reply.lstrip().removeprefix(self.direct)
        return None


def spelled(texts: Iterable[str]) -> Reasoning | None:
    """Find an opening mark and its closing one by their spelling: <think> and </think>."""
    marks = [mark for text in texts for mark in MARK.findall(text)]
    closing = [mark for mark in marks if _closes(mark)]
    for mark in marks:
        for end in closing:
            if not _closes(mark) and _word(mark) == _word(end):
                return Reasoning(mark, end)
    return None


def opened(prompts: Iterable[str]) -> Reasoning | None:
    """Find the mark in which prompts end, and its closing one, which the template leaves to the model: </think>."""
    for prompt in prompts:
        end = prompt.rstrip()
        marks = MARK.findall(end)
        if marks and end.endswith(marks[-1]) and not _closes(marks[-1]):
            return Reasoning(marks[-1], f"{marks[-1][0]}/{marks[-1][1:]}")
    return None


def marked(header: str, between: str, prompt: str, direct: str) -> Reasoning | None:
    """Read the marks from a conversation that the template wrote.

    Args:
        header: what it wrote between the question and the reasoning.
        between: between the reasoning and the answer.
        prompt: what it writes after a question to begin an answer.
        direct: what it writes then before an answer without reasoning.
    """
    opens, closes = MARK.findall(header), MARK.findall(between)
    if opens and closes:
        return Reasoning(opens[-1], closes[0])
    opening = header[len(prompt) :].strip() if header.startswith(prompt) else ""
    if not opening or not between.strip():
        return None
    return Reasoning(opening, between.strip(), direct.strip())


def _closes(mark: str) -> bool:
    return "/" in mark or re.search(r"(?<![a-z])end", mark.lower()) is not None


def _word(mark: str) -> str:
    return re.sub(r"start|begin|end|[^a-z]", "", mark.lower())
