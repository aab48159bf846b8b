"""The surface of an engine on which a LanguageModel runs, and the capabilities that only some engines have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from vsg_core.errors import NotApplicable
from vsg_core.generator.engine.metering import Meter

Capability = TypeVar("Capability")
# A position that gradients are computed for keeps the activations of every layer, about ten times its keys and values.
KEPT = 10


@dataclass(frozen=True)
class Identity:
    """The engine as records name it.

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


@runtime_checkable
class Engine(Protocol):
    """Runs a model on sequences of ids [seq] or vectors [seq, hidden], each as if it were alone.

    Sequences are ragged: padding, masks, position ids and sequence numbers are the engine's own.
    """

    @property
    def identity(self) -> Identity:
        """Say what computes, as it is now."""

    @property
    def paths(self) -> object:
        """The ways of computing that are taken; str(paths) has them in words, for the records."""

    @property
    def meter(self) -> Meter:
        """Counts forward passes, their seconds and their positions."""

    @property
    def context(self) -> int | None:
        """Positions that the model was built for; None if it has no limit."""

    @property
    def hidden_size(self) -> int:
        """Entries of a vector that stands for a token."""

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table, those that only pad it included."""

    @property
    def predicted(self) -> int:
        """Rows for which the head gives a logit; exact after the first pass."""

    @property
    def is_encoder_decoder(self) -> bool:
        """Return whether sequences go to an encoder, and steps to a decoder."""

    @property
    def device(self) -> torch.device:
        """The device of logits, hidden states, embeddings and the table."""

    @property
    def devices(self) -> list[torch.device]:
        """The devices on which the model computes, that of its inputs first."""

    @property
    def device_name(self) -> str:
        """The devices as records name them, with what decides how sums round: cpu (AVX512), cuda:0 (NVIDIA H200)."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of embeddings, and of the vectors that steps are given."""

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

        A batch is computed when it is asked for, and then belongs to who asked: its rows of logits may be changed.

        Args:
            room: number of further positions that each sequence will need.
            keep: False if only logits and hidden states are needed, and no step follows.
        """

    def step(self, state: State, inputs: Tensor) -> State:
        """Feed one more position to each row: ids [batch] or vectors [batch, hidden]; change and return `state`."""

    def select(self, state: State, rows: Tensor) -> State:
        """Copy the given rows [n] of a state, repeated ones several times."""

    def gather(self, pieces: Sequence[tuple[State, Tensor]]) -> State:
        """Copy the given rows [n] of several states into one, if `joins` is true for their length."""

    def joins(self, positions: int) -> bool:
        """Return whether rows of several states with up to that many positions can go on in one batch."""

    def max_rows(self, positions: int) -> int:
        """Number of sequences of that many positions that may run in one batch.

        The decoding loop holds up to three such batches: one that runs, one that waits, and a copy of rows of both.
        """

    def context_left(self, state: State, row: int) -> int:
        """Number of positions that a row can still take; very large without a limit."""

    def bytes_per_position(self) -> int:
        """Bytes for one more position of one sequence."""

    def close(self) -> None:
        """Drop the weights; closing again does nothing."""


# What only some engines can do. Each is asked for with `capability`. A method raises NotApplicable where the engine can
# do it, and this model cannot.


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
        """Compute in float64 inside the block.

        Raises:
            VsgError: the machine cannot hold the weights.
        """


@runtime_checkable
class RoundedWeights(Protocol):
    """The model with coarser weights."""

    def rounded(self, bits: int) -> AbstractContextManager[None]:
        """Compute with weights rounded to `bits` bits inside the block.

        Raises:
            VsgError: the machine cannot hold the weights twice.
        """


@runtime_checkable
class UntrainedTwin(Protocol):
    """The same architecture with random weights."""

    def untrained(self, seed: int, initial: Mapping[str, object]) -> Engine:
        """Build it on the same device; its passes count in this engine's meter.

        Args:
            initial: settings that its configuration needs.
        """


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
        """Losses [n] after further vectors [n, positions, hidden], and their gradients [n, positions, hidden].

        Each row's gradient is that of its own loss. The state is changed, and of no use afterwards.
        """


# What the message calls each of them: "llama.cpp gives no logit lens".
NAMES: dict[type, str] = {
    LayerStates: "hidden states by layer",
    LogitLens: "logit lens",
    HeadTable: "table of the head",
    PositionTable: "table of positions",
    Float64: "float64",
    RoundedWeights: "rounded weights",
    UntrainedTwin: "untrained twin",
    LibraryScores: "scores of the library's own generate",
    Gradients: "gradients",
}


def capability(engine: Engine, wanted: type[Capability]) -> Capability:
    """Return an engine as one that can do what is wanted: `capability(engine, LogitLens).lens(hidden_states)`.

    Raises:
        NotApplicable: it cannot; the message says which engine can.
    """
    if not isinstance(engine, wanted):
        raise NotApplicable(
            f"{engine.identity.name} gives no {NAMES[wanted]}: run with --engine transformers"
        )
    return engine
