"""The decoding loop, the same for every writer: it feeds each writer's output back as the next position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from vsg_core.errors import WrongUse
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vsg_core.generator.engine import State

Name = TypeVar("Name")
# Text, ids [seq] (also as a list or an array) or embeddings [seq, hidden].
Prompt: TypeAlias = "str | Tensor | Sequence[int] | NDArray[Any]"


class Decodable(Protocol):
    """The methods of a LanguageModel that the loop uses."""

    def prefill(
        self, sequences: Sequence[Prompt], room: int = 0, keep_cache: bool = True
    ) -> Iterator[tuple[Tensor, State]]: ...

    def step(self, state: State, inputs: Tensor) -> State: ...

    def select(self, state: State, rows: Tensor) -> State: ...

    def context_left(self, state: State, row: int) -> int: ...


@dataclass
class Written:
    """One step of a writer, for each row of a batch.

    Args:
        inputs: ids [batch] or vectors [batch, hidden], fed as the next position.
        kept: what the trace keeps of each row.
        stopped: why a row ends before this step, of which nothing is then kept; None if it continues.
    """

    inputs: Tensor
    kept: list[Any]
    stopped: list[str | None]


class Writer(Protocol):
    """Turns next-token logits into the next position, and decides when to stop."""

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        """Write one position of each sequence of a batch.

        Args:
            logits: [batch, vocab] of the next token.
            rows: [batch] the sequences' numbers.
            step: the position's number, from 0.
            hidden: [batch, hidden] the last hidden state, as the model's head saw it.
        """


@dataclass
class Trace:
    """The steps written after one sequence, and why they ended."""

    steps: list[Any] = field(default_factory=list)
    stopped: str = "length"

    @property
    def tokens(self) -> list[int]:
        """The token that represents each step."""
        return [token_of(kept) for kept in self.steps]


def token_of(kept: Any) -> int:
    """The token that represents a position: the token itself, or the heaviest or most probable one of a vector."""
    return kept if isinstance(kept, int) else kept.token_id


def decode(lm: Decodable, sequences: Sequence[Prompt], writer: Writer, max_steps: int) -> list[Trace]:
    """Write up to `max_steps` positions after each sequence.

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    return decode_each(lm, sequences, {"": writer}, max_steps)[""]


def as_list(sequences: Iterable[Prompt]) -> list[Prompt]:
    """List the sequences of a call.

    Raises:
        WrongUse: it is one text, a mapping (such as a tokenizer's output), or nothing that can be listed.
    """
    if isinstance(sequences, str):
        raise WrongUse(f"{sequences!r} is one text: give a list of sequences")
    if isinstance(sequences, Mapping) or not isinstance(sequences, Iterable):
        kind = type(sequences).__name__
        raise WrongUse(f"the sequences are a {kind}: give a list of texts, ids or embeddings")
    return list(sequences)


def decode_each(
    lm: Decodable, sequences: Sequence[Prompt], writers: Mapping[Name, Writer], max_steps: int
) -> dict[Name, list[Trace]]:
    """Like `decode`, with several writers that all continue from one pass over the sequences.

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    if max_steps < 0:
        raise WrongUse(f"max_new_tokens is {max_steps}: give at least 0")
    sequences = as_list(sequences)
    traces: dict[Name, list[Trace]] = {name: [Trace() for _ in sequences] for name in writers}
    for rows, state in lm.prefill(sequences, room=max_steps):
        *others, last = writers
        for name in others:
            branch = lm.select(state, torch.arange(len(rows)))
            _write(lm, rows, branch, writers[name], max_steps, traces[name])
        _write(lm, rows, state, writers[last], max_steps, traces[last])
    return traces


def _write(
    lm: Decodable, rows: Tensor, state: State, writer: Writer, max_steps: int, traces: list[Trace]
) -> None:
    """Write from `state`, which changes, and append each row's steps to the trace of its number in `rows` [batch]."""
    for step in range(max_steps):
        written = writer(state.logits, rows, step, state.hidden)
        alive = []
        for i, row in enumerate(rows.tolist()):
            trace = traces[row]
            if trace.stopped != "length":
                continue  # it ended earlier but is still in the batch
            if written.stopped[i]:
                trace.stopped = written.stopped[i]
                continue
            trace.steps.append(written.kept[i])
            if lm.context_left(state, i) > 0:
                alive.append(i)
            elif step < max_steps - 1:
                trace.stopped = "context"
        if not alive or step == max_steps - 1:
            break
        inputs = written.inputs
        if 2 * len(alive) <= len(rows):  # few enough to be worth copying the cache
            kept = torch.tensor(alive)
            state, rows, inputs = lm.select(state, kept), rows[kept], inputs[kept]
        state = lm.step(state, inputs)
