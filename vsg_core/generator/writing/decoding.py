"""The decoding loop, the same for every writer: it feeds each writer's output back as the next position."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from vsg_core.errors import WrongUse
from vsg_core.generator import engine
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

    def gather(self, pieces: Sequence[tuple[State, Tensor]]) -> State: ...

    def most_rows(self, state: State, room: int) -> int: ...

    def embed(self, input_ids: Tensor) -> Tensor: ...

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

    The rows of all writers share batches, and others take the places of those that end.

    Raises:
        WrongUse: fewer than 0 steps, or a sequence that the model cannot take.
    """
    if max_steps < 0:
        raise WrongUse(f"max_new_tokens is {max_steps}: give at least 0")
    sequences = as_list(sequences)
    traces: dict[Name, list[Trace]] = {name: [Trace() for _ in sequences] for name in writers}
    waiting = _Waiting(lm, sequences, traces, max_steps)
    batches: list[_Batch] = []
    # What is checked on a card is read with what the writers read.
    with engine.reading_together():
        while batches or not waiting.is_over():
            for new in waiting.take(beside=sum(len(batch.rows) for batch in batches)):
                batches += _written(lm, new, writers, max_steps)
            if batches:
                batch = _together(lm, batches)
                # The memory of states that were put together is free from here on.
                batches.clear()
                batch.state = lm.step(batch.state, batch.inputs)
                batches = _written(lm, batch, writers, max_steps)
    return traces


@dataclass
class _Row:
    """A sequence, by its number, that a writer, by its name, continues."""

    writer: Any
    number: int
    trace: Trace


@dataclass
class _Batch:
    """Rows that are being continued.

    Args:
        state: has further rows where some have ended, or belong to another batch.
        places: [rows] of `rows` in the state; one of several writers may occur several times.
        joins: whether rows of other states may join.
        owned: whether the state may change, since no other batch needs it.
        inputs: the next position: ids [rows] or vectors [rows, hidden].
    """

    state: State
    places: list[int]
    rows: list[_Row]
    joins: bool
    owned: bool
    inputs: Tensor = field(default_factory=lambda: torch.empty(0))


class _Waiting:
    """The rows that have not begun: each sequence once per writer."""

    def __init__(
        self, lm: Decodable, sequences: Sequence[Prompt], traces: Mapping[Any, list[Trace]], max_steps: int
    ) -> None:
        self.lm, self.traces, self.max_steps = lm, traces, max_steps
        self.states = lm.prefill(sequences, room=max_steps)
        self.state: State | None = None
        self.rows: deque[tuple[int, _Row]] = deque()

    def is_over(self) -> bool:
        """Return whether no row is left; the next state is computed where that must be known."""
        while not self.rows:
            numbers, self.state = next(self.states, (None, None))
            if numbers is None:
                return True
            for writer, traces in self.traces.items() if self.max_steps else ():
                self.rows += enumerate(_Row(writer, number, traces[number]) for number in numbers.tolist())
        return False

    def take(self, beside: int) -> Iterator[_Batch]:
        """Yield rows that may go on in one batch with a number of others, if a quarter of its places are free."""
        allowed = 3 / 4
        while not self.is_over() and self.state is not None:
            most = self.lm.most_rows(self.state, self.max_steps)
            if beside and beside >= allowed * most:
                return
            # A state that cannot be joined goes on alone, with one writer after the other.
            n = min((most or len(self.state.logits)) - beside, len(self.rows))
            places, rows = zip(*(self.rows.popleft() for _ in range(n)), strict=True)
            last = not self.rows and n == len(self.state.logits)
            yield _Batch(self.state, list(places), list(rows), joins=most > 0, owned=last)
            beside, allowed = beside + n, 1


def _written(lm: Decodable, batch: _Batch, writers: Mapping[Any, Writer], max_steps: int) -> list[_Batch]:
    """Append each row's next step to its trace; return the rows that continue, as one batch or none."""
    alike = defaultdict(list)  # by writer and step
    for place, row in zip(batch.places, batch.rows, strict=True):
        alike[row.writer, len(row.trace.steps)].append((place, row))
    places: list[int] = []
    rows: list[_Row] = []
    inputs: list[Tensor] = []
    for (writer, step), group in alike.items():
        chosen = [place for place, _ in group]
        logits, hidden = (_rows_of(each, chosen) for each in (batch.state.logits, batch.state.hidden))
        numbers = torch.tensor([row.number for _, row in group])
        written = writers[writer](logits, numbers, step, hidden)
        going = [
            i
            for i, (place, row) in enumerate(group)
            if _goes_on(lm, batch.state, place, row.trace, written, i, max_steps)
        ]
        places += [group[i][0] for i in going]
        rows += [group[i][1] for i in going]
        inputs.append(_rows_of(written.inputs, going))
    return [replace(batch, places=places, rows=rows, inputs=_cat(lm, inputs))] if rows else []


def _goes_on(
    lm: Decodable, state: State, place: int, trace: Trace, written: Written, i: int, max_steps: int
) -> bool:
    """Keep what a writer wrote in row i; return whether the row at that place in the state continues."""
    if why := written.stopped[i]:
        trace.stopped = why
        return False
    trace.steps.append(written.kept[i])
    if len(trace.steps) == max_steps:
        return False
    if lm.context_left(state, place) < 1:
        trace.stopped = "context"
        return False
    return True


def _together(lm: Decodable, batches: Sequence[_Batch]) -> _Batch:
    """Make one batch that may change and has an input for each row of its state."""
    first, *others = batches
    size, rows = len(first.state.logits), [row for batch in batches for row in batch.rows]
    # Rows that have ended may stay for a while: leaving them out copies the cache.
    fits = len(rows) == size or not first.joins or lm.most_rows(first.state, 1)
    if not others and first.owned and 2 * len(rows) > size and fits:
        # Those that have ended are fed what the first is.
        order = [0] * size
        for i, place in enumerate(first.places):
            order[place] = i
        return replace(first, inputs=_rows_of(first.inputs, order))
    state = lm.gather([(batch.state, torch.tensor(batch.places)) for batch in batches])
    inputs = _cat(lm, [batch.inputs for batch in batches])
    return _Batch(state, list(range(len(rows))), rows, first.joins, True, inputs)


def _rows_of(tensor: Tensor, places: list[int]) -> Tensor:
    """Take rows of a tensor; the tensor itself if they are all of it, since logits are large."""
    return tensor if places == list(range(len(tensor))) else tensor[engine.placed(places, tensor.device)]


def _cat(lm: Decodable, inputs: Sequence[Tensor]) -> Tensor:
    """Put ids [n] and vectors [n, hidden] together, ids as their embeddings if there are vectors."""
    if any(each.is_floating_point() for each in inputs):
        inputs = [each if each.is_floating_point() else lm.embed(each) for each in inputs]
    return torch.cat(list(inputs))
