"""What an engine must be able to do, and what it may be able to do, for a LanguageModel to run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vsg_core.generator.engine.metering import Meter


@dataclass(frozen=True)
class Identity:
    """What computed, for the records.

    Args:
        name: "transformers" or "llama.cpp".
        version: of the library that computes.
        form: of the weights as they are computed with, such as "F32" or "Q4_K_M".
        threads: that one pass uses.
        kernels: what the library was built with or chose, such as "AVX512".
    """

    name: str
    version: str
    form: str
    dtype: str
    threads: int
    kernels: str


class State(Protocol):
    """A batch of sequences after their last position; `Engine.step` changes it in place.

    Args:
        logits: [batch, vocab] float32, of the next token; -inf on rows of the table that the head lacks.
        hidden: [batch, hidden] the last hidden state, as the head saw it; NaN where the engine cannot tell.
        lengths: positions of each row, prompt included.
    """

    logits: Tensor
    hidden: Tensor
    lengths: list[int]

    def release(self) -> None:
        """Give the memory back now. A state that is dropped is released too; one that was released cannot be used."""


class Engine(Protocol):
    """Runs a model on sequences of ids [seq] or vectors [seq, hidden], each as if it were alone.

    Sequences are ragged: padding, masks, position ids and sequence numbers are the engine's own.

    Args:
        context: positions that the model was built for; None if it has no limit.
        vocab_size: rows of the embedding table, those that only pad it included.
        predicted: rows for which the head gives a logit.
        is_encoder_decoder: sequences go to an encoder, and steps to a decoder.
    """

    meter: Meter
    identity: Identity
    context: int | None
    hidden_size: int
    predicted: int
    is_encoder_decoder: bool

    @property
    def vocab_size(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def devices(self) -> list[torch.device]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a text, as the weights' own configuration names them."""

    def table(self) -> Tensor:
        """[vocab, hidden] the embedding of every id, as `embed` gives it."""

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed ids [...] as the model itself does -> [..., hidden]."""

    def start(
        self, sequences: Sequence[Tensor], room: int = 0, keep: bool = True
    ) -> Iterator[tuple[Tensor, State]]:
        """Compute the state after each sequence, in batches: (the sequences' numbers [batch], their state).

        Args:
            room: number of further positions that each sequence will need.
            keep: False if only logits and hidden states are needed, and no step follows.
        """

    def step(self, state: State, inputs: Tensor) -> State:
        """Feed one more position to each row: ids [batch] or vectors [batch, hidden]; change and return `state`."""

    def select(self, state: State, rows: Tensor) -> State:
        """Copy the given rows [n] of a state, repeated ones several times."""

    def gather(self, pieces: Sequence[tuple[State, Tensor]]) -> State:
        """Copy the given rows of several states into one, if `joins` is true for their length."""

    def joins(self, positions: int) -> bool:
        """Return whether rows of several states with up to that many positions can go on in one batch."""

    def max_rows(self, positions: int) -> int:
        """Number of sequences of that many positions that may run in one batch."""

    def context_left(self, state: State, row: int) -> int:
        """Number of positions that a row can still take; very large without a limit."""

    def bytes_per_position(self) -> int:
        """Bytes for one more position of one sequence."""

    def close(self) -> None:
        """Drop the weights."""


# What only some engines can do. Each is asked for with `capability`.


@runtime_checkable
class LayerStates(Protocol):
    """Hidden states by layer."""

    def last_hidden_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """[batch, layers + 1, hidden] float32 at the last positions, on the CPU; the last is as the head sees it."""


@runtime_checkable
class LogitLens(Protocol):
    """Final norm and head, applied to any hidden state."""

    def final_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """[batch, hidden] float32 at the last positions before the final norm, on the CPU."""

    def lens(self, hidden_states: Tensor) -> Tensor:
        """Hidden states [..., hidden] of any layer but the last -> logits [..., vocab] float32."""


@runtime_checkable
class HeadTable(Protocol):
    """The rows of the head."""

    def head_table(self) -> Tensor:
        """[vocab, hidden] the rows whose products with a last hidden state are the logits."""


@runtime_checkable
class PositionTable(Protocol):
    """Learned absolute positions."""

    def position_table(self) -> Tensor | None:
        """[positions, hidden]; None if the model has none."""


@runtime_checkable
class Float64(Protocol):
    """The model in float64."""

    def in_float64(self) -> AbstractContextManager[None]:
        """Compute in float64 inside the block."""


@runtime_checkable
class RoundedWeights(Protocol):
    """The model with coarser weights."""

    def rounded(self, bits: int) -> AbstractContextManager[None]:
        """Compute with weights rounded to `bits` bits inside the block."""


@runtime_checkable
class UntrainedTwin(Protocol):
    """The same architecture with random weights."""

    def untrained(self, seed: int, initial: dict[str, object]) -> Engine: ...


@runtime_checkable
class LibraryScores(Protocol):
    """The scores from which the library's own `generate` picks a token."""

    def library_scores(self, inputs: Tensor, **options: object) -> Tensor:
        """Inputs [batch, seq] or [batch, seq, hidden] -> [batch, vocab] float32."""


@runtime_checkable
class Gradients(Protocol):
    """Gradients of a loss of the next logits."""

    def gradients_after(
        self, state: State, inputs: Tensor, loss: Callable[[State], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Losses [n] after further vectors [n, positions, hidden], and their gradients [n, positions, hidden]."""
