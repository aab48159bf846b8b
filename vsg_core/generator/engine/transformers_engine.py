"""The engine that runs transformers' own models."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import NotEnoughMemory, VsgError, WrongUse
from vsg_core.generator.engine import batching, configuration, gathering, gradients, internals
from vsg_core.generator.engine.forward import PaddedEngine, PaddedState
from vsg_core.generator.engine.memory import check_memory
from vsg_core.generator.engine.paths import Paths
from vsg_core.generator.engine.placement import device_text
from vsg_core.generator.engine.protocol import Identity, State
from vsg_core.generator.engine.rounding import bytes_to_round, with_rounded_weights
from vsg_core.generator.engine.self_check import paths_in_float64, self_check
from vsg_core.generator.engine.split import bytes_to_float64, is_offloaded

NAME = "transformers"
# The forms of unpacked weights, as a GGUF names them.
FORMS = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


class TransformersEngine(PaddedEngine):
    """An `Engine` with all capabilities: pads sequences, and takes the ways of computing that are exact.

    Args:
        model: as for PaddedEngine.
        paths: as for PaddedEngine.
        special: ids of the tokenizer's special tokens. A configuration class has a default end, which may be an
            ordinary word of this tokenizer.
    """

    def __init__(self, model: Any, paths: Paths | None = None, special: Iterable[int] = ()) -> None:
        super().__init__(model, paths)
        self._special = frozenset(special)

    def check(self, tokens: Sequence[int], special: Sequence[int]) -> None:
        """Find and take the ways of computing that are exact for the model: see `self_check`."""
        self.paths = self_check(self, tokens, special)

    @property
    def identity(self) -> Identity:
        """Say what computes, as it is now."""
        quantizer = getattr(self.model, "hf_quantizer", None)
        form = FORMS.get(self.dtype, str(self.dtype)) if quantizer is None else _packed(quantizer)
        return Identity(
            name=NAME,
            version=version(NAME),
            form=form,
            dtype=str(self.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            kernels=f"torch {torch.__version__}, {self.device_name}",
        )

    @property
    def device_name(self) -> str:
        """The devices as records name them: mps, cpu (AVX512), or cuda:0 (NVIDIA H100 80GB HBM3), cuda:1 (...)."""
        names = [device_text(device) for device in self.devices]
        return ", ".join([*names, "offloaded"] if is_offloaded(self.model) else names)

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a text, as the generation configuration names them, and the configuration.

        Raises:
            VsgError: one of them names something that is not an id.
        """
        return configuration.end_ids(self.model, self._special)

    def start(
        self, sequences: Sequence[Tensor], room: int = 0, keep: bool = True
    ) -> Iterator[tuple[Tensor, PaddedState]]:
        """Compute the state after each sequence, the shortest first."""
        yield from batching.states_after(self, sequences, room, keep)

    def step(self, state: State, inputs: Tensor) -> PaddedState:
        """Feed ids [batch] or vectors [batch, hidden] as the next position; change `state` and return it."""
        own = _own(state)
        gathering.narrow(self, own)
        return self.feed(own, inputs.unsqueeze(1))

    def select(self, state: State, rows: Tensor) -> PaddedState:
        """Copy the given rows [n] of a state, repeated ones several times."""
        return super().select(_own(state), rows)

    def gather(self, pieces: Sequence[tuple[State, Tensor]]) -> PaddedState:
        """Copy the given rows of several states into one."""
        return gathering.gather(self, [(_own(state), rows) for state, rows in pieces])

    def joins(self, positions: int) -> bool:
        """Return whether rows of several states with up to that many positions can go on in one batch."""
        return self.can_share(positions)

    def max_rows(self, positions: int) -> int:
        """Number of sequences of that many positions that may run in one batch."""
        return batching.batch_size(self, positions)

    def context_left(self, state: State, row: int) -> int:
        """Number of positions that a row of a state can still take; very large if the model has no limit."""
        return super().context_left(_own(state), row)

    def close(self) -> None:
        """Drop the weights, to free memory for the next model."""
        self.runners.drop()
        model = None if self.model is None else weakref.ref(self.model)
        self.model = None
        # A look at every object of the process takes up to a second, and nearly always the weights are gone by now
        if model is not None and model() is not None:
            gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def last_hidden_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """[batch, layers + 1, hidden] float32 at the last positions, on the CPU."""
        return self._at_last_positions(sequences, internals.last_hidden_states)

    def final_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """[batch, hidden] float32 at the last positions before the final norm, on the CPU."""
        return self._at_last_positions(sequences, internals.final_states)

    def lens(self, hidden_states: Tensor) -> Tensor:
        """Hidden states [..., hidden] of any layer but the last -> logits [..., vocab] float32."""
        return internals.lens(self, hidden_states)

    def head_table(self) -> Tensor:
        """[vocab, hidden] the rows of the head."""
        return internals.head_table(self.model)

    def position_table(self) -> Tensor | None:
        """[positions, hidden] learned absolute position embeddings; None if the model has none."""
        return configuration.position_table(self.model)

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """Compute in float64 inside the block, as far as the architecture allows."""
        # What runs in place is dropped first: it has memory that the weights need.
        self.runners.drop()
        self._check_room("in float64", bytes_to_float64(self.model))
        paths = self.paths
        try:
            with internals.float64(self.model):
                if paths.batches == "padded":
                    self.paths = paths_in_float64(self)
                yield
        finally:
            self.paths = paths

    @contextmanager
    def rounded(self, bits: int) -> Iterator[None]:
        """Compute with weights rounded to `bits` bits inside the block, in blocks of 32 that share a scale."""
        self._check_room(f"rounded to {bits} bits", bytes_to_round(self.model))
        # They hold the addresses of the weights.
        self.runners.drop()
        try:
            with with_rounded_weights(self.model, bits):
                yield
        finally:
            self.runners.drop()

    def untrained(self, seed: int, initial: Mapping[str, object]) -> TransformersEngine:
        """Build the same architecture with random weights; its passes count in this engine's meter."""
        model = internals.untrained(self.model, seed, initial)
        twin = TransformersEngine(model, self.paths, self._special)
        twin.meter = self.meter
        return twin

    def library_scores(self, inputs: Tensor, **options: object) -> Tensor:
        """The scores [batch, vocab] float32 from which transformers' `generate` picks its first token."""
        return internals.library_scores(self, inputs, **options)

    def gradients_after(
        self, state: State, inputs: Tensor, loss: Callable[[State], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Losses [n] after further vectors [n, positions, hidden], and their gradients [n, positions, hidden]."""
        return gradients.gradients_after(self, _own(state), inputs, loss)

    def _at_last_positions(
        self,
        sequences: Sequence[Tensor],
        states_of: Callable[[PaddedEngine, internals.Pass], Tensor],
    ) -> Tensor:
        """Compute states [batch, ...] at the last position of each sequence, batch by batch, on the CPU."""
        by_row: dict[int, Tensor] = {}
        for rows, run in batching.last_positions(self, sequences):
            by_row |= zip(rows.tolist(), states_of(self, run).cpu(), strict=True)
        return torch.stack([by_row[row] for row in range(len(sequences))])

    def _check_room(self, how: str, more_bytes: int) -> None:
        """Refuse what memory cannot hold. Not as NotEnoughMemory: the plugin would report an unavailable model."""
        try:
            check_memory(f"{type(self.model).__name__} {how}", more_bytes, self.devices)
        except NotEnoughMemory as error:
            raise VsgError(str(error)) from None


def _own(state: State) -> PaddedState:
    if not isinstance(state, PaddedState):
        raise WrongUse(f"the state is a {type(state).__name__} of another engine: give one of this model")
    return state


def _packed(quantizer: Any) -> str:
    """Name the method that packed the weights."""
    method = getattr(quantizer.quantization_config, "quant_method", "packed")
    return str(getattr(method, "value", method))
