"""Think in any writer's positions, then answer in tokens: how Soft Thinking uses its vectors (arXiv 2505.15778)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vsg_core.generator import engine
from vsg_core.generator.writing.decoding import (
    Decodable,
    Prompt,
    Trace,
    Writer,
    Written,
    decode_each,
    token_of,
)
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

THOUGHT, CLOSING, ANSWER = "thought", "closing", "answer"


class Thinkable(Decodable, Protocol):
    """The members of a LanguageModel that thinking uses."""

    end_ids: frozenset[int]

    @property
    def device(self) -> torch.device: ...

    def embed(self, input_ids: Tensor) -> Tensor: ...

    def tokenize(self, text: str, special: bool = True) -> Tensor: ...

    def decode(self, ids: Sequence[int] | Tensor) -> str: ...

    def token(self, token_id: int) -> str: ...


@dataclass(frozen=True)
class Thought:
    """A thought and the answer after it, for one sequence.

    Args:
        steps: what the thinker kept of each position: tokens, ConceptTokens or HiddenStates.
        ended: why the thought ended: "end" at a token that ends it, "cold", or "length".
        trace: the thought as text, the heaviest token of each position.
        answer: the text decoded after the closing words.
    """

    steps: list[Any]
    ended: str
    trace: str
    answer: str


class ThinkingWriter:
    """Writes a thinker's positions until the thought ends, then the closing words, then greedy tokens.

    Each sequence ends its thought at its own step, so ids are fed as their embeddings.

    Args:
        thinker: writes the thought, which ends when the thinker stops ("end", "cold").
        closing: ids [n] to feed then; Soft Thinking's is "</think>".
        steps: maximum number of positions of a thought.
        ends: returns whether a token's text ends the thought (checked for each position's heaviest token) or the
            answer.
        answer_tokens: maximum number of tokens of an answer.
    """

    def __init__(
        self,
        lm: Thinkable,
        thinker: Writer,
        closing: Tensor,
        steps: int,
        ends: Callable[[str], bool],
        answer_tokens: int,
    ) -> None:
        self.lm, self.thinker, self.closing, self.steps = lm, thinker, closing.tolist(), steps
        self.ends, self.answer_tokens = ends, answer_tokens
        self.ended: dict[int, str] = {}  # by sequence: why its thought ended
        self._since: Counter[int] = Counter()  # by sequence: positions since then

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        # Greedy, for the answers.
        (tokens,) = engine.lists(logits.argmax(-1))
        if step < self.steps and any(row not in self.ended for row in rows.tolist()):
            thought = self.thinker(logits, rows, step, hidden)
        else:
            # Unused: every thought has ended.
            thought = Written(engine.placed(tokens, logits.device), list(tokens), [None] * len(rows))
        kept: list[tuple[str, Any]] = []
        stopped: list[str | None] = []
        for i, row in enumerate(rows.tolist()):
            phase = self._phase(row, self._why_ended(thought, i, step))
            if phase == CLOSING:
                tokens[i] = self.closing[self._since[row] - 1]
            kept.append((phase, thought.kept[i] if phase == THOUGHT else tokens[i]))
            stopped.append(self._why_answered(row, tokens[i]) if phase == ANSWER else None)
        thinking = engine.placed([phase == THOUGHT for phase, _ in kept], logits.device).bool()
        answers = self._vectors(engine.placed(tokens, logits.device))
        inputs = torch.where(thinking.unsqueeze(-1), self._vectors(thought.inputs), answers)
        return Written(inputs, kept, stopped)

    def _phase(self, row: int, why_ended: str | None) -> str:
        """Return what a sequence writes now; record why its thought ends, if it does."""
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
        """Embed ids [batch]; return vectors [batch, hidden] unchanged."""
        return inputs if inputs.is_floating_point() else self.lm.embed(inputs.to(self.lm.device))


class GivenWriter:
    """Writes given vectors, [n, hidden] per sequence, all of them, and ends after them; for controls.

    Args:
        token: what stands for each position in the trace, whatever the model would have written there; it should end
            no thought.
    """

    def __init__(self, given: Sequence[Tensor], token: int) -> None:
        self.given, self.token = given, token

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor | None = None) -> Written:
        given = [self.given[row] for row in rows.tolist()]
        nothing = given[0].new_zeros(given[0].shape[-1])  # fed to sequences that have ended
        inputs = torch.stack([vectors[step] if step < len(vectors) else nothing for vectors in given])
        stopped = [None if step < len(vectors) else "end" for vectors in given]
        return Written(inputs, [self.token] * len(given), stopped)


def think(
    lm: Thinkable,
    sequences: Sequence[Prompt],
    thinkers: Mapping[str, Writer],
    closing: str,
    *,
    steps: int,
    answer_tokens: int,
    ends: Callable[[str], bool] = lambda token: "\n" in token,
) -> dict[str, list[Thought]]:
    """Let each thinker think and answer after every sequence, from one pass over the sequences.

    The arguments are those of ThinkingWriter, with `closing` as text.
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


def _thought(lm: Thinkable, trace: Trace, ended: str) -> Thought:
    by_phase: dict[str, list[Any]] = {phase: [] for phase in (THOUGHT, CLOSING, ANSWER)}
    for phase, kept in trace.steps:
        by_phase[phase].append(kept)
    steps = by_phase[THOUGHT]
    return Thought(steps, ended, lm.decode([token_of(kept) for kept in steps]), lm.decode(by_phase[ANSWER]))
