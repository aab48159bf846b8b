"""Think in any writer's positions, then answer in tokens: how Soft Thinking uses its vectors (arXiv 2505.15778)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vsg_core.generator.writing.decoding import Trace, Writer, Written, decode_each
from vsg_core.generator.writing.writers import Writable

THOUGHT, CLOSING, ANSWER = "thought", "closing", "answer"


@dataclass(frozen=True)
class Thought:
    """What came of one sequence.

    Args:
        steps: what the thinker kept of each position: tokens, ConceptTokens, HiddenStates.
        ended: why the thought ended: "end" at a token that ends it, "cold", or "length".
        trace: its tokens as text, the heaviest of each position.
        answer: the text that was decoded after the closing words.
    """

    steps: list[Any]
    ended: str
    trace: str
    answer: str


class ThinkingWriter:
    """A thinker's positions until the thought ends, then the closing words, then greedy tokens.

    Every sequence changes over in its own time, so ids are fed as their embeddings.

    Args:
        thinker: writes the thought; where it stops ("end", "cold"), the thought ends.
        closing: ids [n] to feed then. Soft Thinking's is "</think>".
        steps: the most positions of a thought.
        ends: whether a token's text ends the thought, asked of each position's heaviest token, and the answer.
        answer_tokens: the most tokens of an answer.
    """

    def __init__(
        self,
        lm: Writable,
        thinker: Writer,
        closing: Tensor,
        steps: int,
        ends: Callable[[str], bool],
        answer_tokens: int,
    ) -> None:
        self.lm, self.thinker, self.closing, self.steps = lm, thinker, closing.tolist(), steps
        self.ends, self.answer_tokens = ends, answer_tokens
        self.ended: dict[int, str] = {}  # why the thought of each sequence ended, once it has
        self._since: Counter[int] = Counter()  # positions of each sequence since then

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        tokens = logits.argmax(-1)  # [batch] greedy, where an answer is written
        if step < self.steps and any(row not in self.ended for row in rows.tolist()):
            thought = self.thinker(logits, rows, step, hidden)
        else:
            thought = Written(tokens, tokens.tolist(), [None] * len(rows))  # nobody thinks any more
        kept: list[tuple[str, Any]] = []
        stopped: list[str | None] = []
        for i, row in enumerate(rows.tolist()):
            phase = self._phase(row, self._why_ended(thought, i, step))
            if phase == CLOSING:
                tokens[i] = self.closing[self._since[row] - 1]
            kept.append((phase, thought.kept[i] if phase == THOUGHT else int(tokens[i])))
            stopped.append(self._why_answered(row, int(tokens[i])) if phase == ANSWER else None)
        thinking = torch.tensor([phase == THOUGHT for phase, _ in kept], device=logits.device)
        inputs = torch.where(thinking.unsqueeze(-1), self._vectors(thought.inputs), self._vectors(tokens))
        return Written(inputs, kept, stopped)

    def _phase(self, row: int, why_ended: str | None) -> str:
        """What a sequence writes now, and, where its thought ends, a note of why."""
        if row not in self.ended and why_ended is None:
            return THOUGHT
        self.ended.setdefault(row, why_ended or "")
        self._since[row] += 1
        return CLOSING if self._since[row] <= len(self.closing) else ANSWER

    def _why_ended(self, thought: Written, i: int, step: int) -> str | None:
        if step >= self.steps:
            return "length"
        return thought.stopped[i] or ("end" if self._is_end(token_of(thought.kept[i])) else None)

    def _why_answered(self, row: int, token: int) -> str | None:
        if self._since[row] - len(self.closing) > self.answer_tokens:
            return "answered"
        return "end" if self._is_end(token) else None

    def _is_end(self, token: int) -> bool:
        return token in self.lm.end_ids or self.ends(self.lm.token(token))

    def _vectors(self, inputs: Tensor) -> Tensor:
        """Ids [batch] or vectors [batch, hidden] -> vectors [batch, hidden]."""
        return inputs if inputs.is_floating_point() else self.lm.embed(inputs.to(self.lm.device))


class GivenWriter:
    """Writes vectors that were given, [n, hidden] for each sequence, and ends after them: a control."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.given = given

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        given = [self.given[row] for row in rows.tolist()]
        nothing = given[0].new_zeros(given[0].shape[-1])  # fed where the sequence has ended
        inputs = torch.stack([vectors[step] if step < len(vectors) else nothing for vectors in given])
        stopped = [None if step < len(vectors) else "end" for vectors in given]
        return Written(inputs, logits.argmax(-1).tolist(), stopped)


def think(
    lm: Writable,
    sequences: Sequence[Tensor],
    thinkers: Mapping[str, Writer],
    closing: str,
    *,
    steps: int,
    answer_tokens: int,
    ends: Callable[[str], bool] = lambda token: "\n" in token,
) -> dict[str, list[Thought]]:
    """Each thinker after every sequence (ids [seq] or embeddings [seq, hidden]), from one pass over them.

    The arguments are those of ThinkingWriter, `closing` as text.
    """
    ids = lm.tokenize(closing, special=False)
    writers = {
        name: ThinkingWriter(lm, thinker, ids, steps, ends, answer_tokens)
        for name, thinker in thinkers.items()
    }
    traces = decode_each(lm, sequences, writers, steps + len(ids) + answer_tokens)
    return {
        name: [_thought(lm, trace, writer.ended.get(row, "length")) for row, trace in enumerate(traces[name])]
        for name, writer in writers.items()
    }


def _thought(lm: Writable, trace: Trace, ended: str) -> Thought:
    by_phase: dict[str, list[Any]] = {phase: [] for phase in (THOUGHT, CLOSING, ANSWER)}
    for phase, kept in trace.steps:
        by_phase[phase].append(kept)
    steps = by_phase[THOUGHT]
    return Thought(steps, ended, lm.decode([token_of(kept) for kept in steps]), lm.decode(by_phase[ANSWER]))


def token_of(kept: Any) -> int:
    """The token that stands for a position: itself, or the heaviest or likeliest of a vector."""
    return kept if isinstance(kept, int) else kept.token_id
