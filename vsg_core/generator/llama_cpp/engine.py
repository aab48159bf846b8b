"""An engine that computes in llama.cpp, on the processor, sequence by sequence in cells of its own."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsg_core.errors import VsgError
from vsg_core.generator.engine import protocol
from vsg_core.generator.engine.configuration import named_ends
from vsg_core.generator.engine.headers import read_json
from vsg_core.generator.engine.memory import available
from vsg_core.generator.engine.metering import Meter
from vsg_core.generator.engine.placement import device_text
from vsg_core.generator.llama_cpp.context import POSITIONS, Context
from vsg_core.generator.llama_cpp.layers import LayerWatch
from vsg_core.generator.llama_cpp.library import Weights, kernels, library, versions
from vsg_core.generator.llama_cpp.store import PART, Part, Store
from vsg_core.generator.llama_cpp.writing import check_architecture, head_dim, read_config, read_tensor

# Positions that must be saved by reading a common beginning once.
WORTH = 64
# Sequences whose hidden states are watched at once.
WATCHED = 32
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class State:
    """A batch of sequences after their last position.

    Args:
        logits: [batch, vocab] float32, of the next token.
        hidden: [batch, hidden] float32, after the final norm.
        lengths: positions of each row.
        parts: where the rows are, in order; None if no step may follow.
    """

    def __init__(
        self, logits: Tensor, hidden: Tensor, lengths: list[int], store: Store, parts: list[Part] | None
    ) -> None:
        self.logits, self.hidden, self.lengths = logits, hidden, lengths
        self._store, self._parts = store, parts
        self._gone = weakref.finalize(self, store.gone.append, parts or [])
        # At the end of the process there is nothing to free.
        self._gone.atexit = False

    @property
    def parts(self) -> list[Part]:
        """The places of the rows, in order.

        Raises:
            VsgError: the state was released, or started without a cache.
        """
        if self._parts is None:
            raise VsgError("the state was released, or started to be read only: it cannot be continued")
        return self._parts

    def release(self) -> None:
        """Give the memory back now; the state cannot be continued any more."""
        if self._parts is not None:
            self._gone.detach()
            self._store.drop(self._parts)
            self._parts = None


class LlamaCpp:
    """Runs a GGUF file in llama.cpp.

    Args:
        path: the GGUF file: written by `write_float32_gguf`, or a published one as it is.
        folder: the same model as safetensors, with the configuration, the embedding table and the head.
        form: of the weights in the file, such as "F32" or "Q4_K_M".
        threads: of one pass; by default torch's number.
        budget: bytes of keys and values; by default half of the memory that is free.
        special: the tokenizer's special tokens.

    Raises:
        WrongUse: llama-cpp-python is missing, or another version.
        VsgError: the file cannot be read, or the model is not computed as transformers does.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        form: str = "F32",
        threads: int | None = None,
        budget: int | None = None,
        special: Iterable[int] = (),
    ) -> None:
        library()
        config = read_config(folder)
        self._kind = check_architecture(folder, config)
        self._folder, self._config = folder, config
        self._threads = threads or torch.get_num_threads()
        self._weights = Weights(path)
        self.meter = Meter()
        self.identity = protocol.Identity("llama.cpp", versions(), form, "float32", self._threads, kernels())
        self.context: int | None = config.max_position_embeddings
        self.hidden_size = int(config.hidden_size)
        self.is_encoder_decoder = False
        # Rows of the table as stored; gemma's are scaled where they are looked up.
        self._rows = read_tensor(folder, EMBEDDING).float()
        self._scale = self.hidden_size**0.5 if self._kind == "gemma3" else 1.0
        self.predicted = len(self._rows)
        self._check_sizes(path)
        self._ends = _ends(folder, config, frozenset(special))
        self._store = Store(
            partial(_opened, self._weights, self._threads),
            self._bytes_per_cell(),
            available() // 2 if budget is None else budget,
            config.max_position_embeddings,
        )
        # An engine that is dropped is closed too.
        self._gone = weakref.finalize(self, _close, self._store, self._weights)
        self._gone.atexit = False

    def _check_sizes(self, path: Path) -> None:
        lib = library()
        found = (
            lib.llama_model_n_embd(self._weights.model),
            lib.llama_model_n_layer(self._weights.model),
            lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self._weights.model)),
        )
        wanted = (self.hidden_size, self._config.num_hidden_layers, len(self._rows))
        if found != wanted:
            raise VsgError(
                f"{path} has hidden size, layers and vocabulary {found}, and {self._folder} {wanted}: they are not "
                "the same model"
            )

    def _bytes_per_cell(self) -> int:
        config = self._config
        return 2 * 4 * int(config.num_hidden_layers * config.num_key_value_heads * head_dim(config))

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table, those that only pad it included."""
        return len(self._rows)

    @property
    def device(self) -> torch.device:
        """The processor."""
        return torch.device("cpu")

    @property
    def devices(self) -> list[torch.device]:
        """The processor."""
        return [self.device]

    @property
    def device_name(self) -> str:
        """The processor, with the vector instructions that torch names."""
        return device_text(self.device)

    @property
    def paths(self) -> str:
        """The one way of computing there is."""
        return "each sequence in cells of its own, a float32 cache, no flash attention"

    @property
    def dtype(self) -> torch.dtype:
        """Of logits, hidden states and vectors."""
        return torch.float32

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a text, as the weights' own configuration names them."""
        return self._ends

    def table(self) -> Tensor:
        """[vocab, hidden] the embedding of every id, as `embed` gives it."""
        return self._rows if self._scale == 1 else self._rows * self._scale

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed ids [...] as the model itself does -> [..., hidden]."""
        rows = self._rows[input_ids]
        return rows if self._scale == 1 else rows * self._scale

    def head_table(self) -> Tensor:
        """[vocab, hidden] the rows whose products with a last hidden state are the logits."""
        return self._rows if self._config.tie_word_embeddings else read_tensor(self._folder, HEAD).float()

    def start(
        self, sequences: Sequence[Tensor], room: int = 0, keep: bool = True
    ) -> Iterator[tuple[Tensor, State]]:
        """Compute the state after each sequence, in batches, the shortest first: (the sequences' numbers, their state).

        Args:
            room: number of further positions that each sequence will need.
            keep: False if only logits and hidden states are needed, and no step follows.
        """
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        order, longest = lengths.argsort(stable=True), int(lengths.max()) + room * keep
        size = self.max_rows(longest)
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            yield rows, self._after([sequences[row] for row in rows.tolist()], room * keep, keep)

    def _after(self, sequences: list[Tensor], room: int, keep: bool) -> State:
        """Compute the state after sequences in the order of their lengths."""
        lengths = [len(sequence) for sequence in sequences]
        part = self._store.take(len(sequences), lengths[-1] + room)
        try:
            logits, hidden = self._whole(self._store.reach(part, lengths[-1]), part.first, sequences)
        except BaseException:
            self._store.drop([part])
            raise
        if keep:
            return State(logits, hidden, lengths, self._store, [part])
        self._store.drop([part])
        return State(logits, hidden, lengths, self._store, None)

    def _whole(
        self, context: Context, first: int, sequences: Sequence[Tensor], watch: LayerWatch | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read sequences in the order of their lengths -> logits [batch, vocab], hidden states [batch, hidden].

        Args:
            first: the sequence of the context for the first one; the others follow it.
            watch: sees the last positions.
        """
        lengths = [len(sequence) for sequence in sequences]
        inputs = self._alike(sequences)
        # The kernels for one position round otherwise than those for several. All but the last are read in pairs, so
        # that a sequence's numbers do not depend on the others; the last one for the first time where it makes a pair.
        before = [(length - 1) + (length - 1) % 2 for length in lengths]
        shared = self._beginning(context, first, inputs)
        # Short passes, so that the process can be interrupted between them.
        width = POSITIONS // len(sequences) // 2 * 2
        for begin in range(shared, before[-1], width):
            pieces = [(row, begin, min(begin + width, end)) for row, end in enumerate(before) if end > begin]
            self._read(context, first, inputs, pieces)
        for row, length in enumerate(lengths):
            context.forget(first + row, length - 1)
        last = [(row, length - 1, length) for row, length in enumerate(lengths)]
        if watch:
            watch.looks = True
        return self._read(context, first, inputs, last, output=True)

    def _beginning(self, context: Context, first: int, inputs: Sequence[NDArray[Any]]) -> int:
        """Read what all sequences begin with once, and copy it; return its length, 0 if it is not worth it."""
        shared = _common(inputs) // 2 * 2
        if shared * (len(inputs) - 1) < WORTH:
            return 0
        for begin in range(0, shared, POSITIONS):
            self._read(context, first, inputs, [(0, begin, min(begin + POSITIONS, shared))])
        saved = context.save(first)
        for row in range(1, len(inputs)):
            context.restore(first + row, saved)
        return shared

    def _alike(self, sequences: Sequence[Tensor]) -> list[NDArray[Any]]:
        """Turn all into ids [seq] int32, or all into vectors [seq, hidden] float32 if any is."""
        if any(sequence.is_floating_point() for sequence in sequences):
            sequences = [s if s.is_floating_point() else self.embed(s) for s in sequences]
            return [sequence.detach().float().cpu().numpy() for sequence in sequences]
        return [sequence.to(torch.int32).cpu().numpy() for sequence in sequences]

    def _read(
        self,
        context: Context,
        first: int,
        inputs: Sequence[NDArray[Any]],
        pieces: Sequence[tuple[int, int, int]],
        output: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Read from each given row the inputs from one position up to another.

        Args:
            pieces: the row, and the positions from which and up to which it is read.
        """
        sequences = np.concatenate([np.full(end - begin, first + row) for row, begin, end in pieces])
        positions = np.concatenate([np.arange(begin, end) for _, begin, end in pieces])
        values = np.concatenate([inputs[row][begin:end] for row, begin, end in pieces])
        return self._pass(context, sequences, positions, values, output)

    def _pass(
        self,
        context: Context,
        sequences: NDArray[Any],
        positions: NDArray[Any],
        values: NDArray[Any],
        output: bool,
    ) -> tuple[Tensor, Tensor]:
        sizes = (self.vocab_size, self.hidden_size) if output else None
        with self.meter.measured(self.devices, len(positions)):
            if alone := len(positions) == 1:
                # With a position of the sequence after it, which is kept free for this: see `_whole`.
                sequences, positions = np.append(sequences, sequences + 1), np.append(positions, 0)
                values = np.concatenate([values, values])
            found = context.read(sequences, positions, values, sizes)
            if alone:
                context.forget(int(sequences[-1]))
        if found is None:
            return torch.empty(0, self.vocab_size), torch.empty(0, self.hidden_size)
        logits, hidden = (torch.from_numpy(each[: len(each) - alone]) for each in found)
        return logits, hidden

    def step(self, state: protocol.State, inputs: Tensor) -> State:
        """Feed one more position to each row: ids [batch] or vectors [batch, hidden]; change and return `state`."""
        state = _own(state)
        if self.context is not None and max(state.lengths, default=0) >= self.context:
            raise VsgError(
                f"a row of the state fills the {self.context} positions of the model: it cannot continue"
            )
        values = self._alike([inputs])[0]
        logits, hidden, begin = [], [], 0
        for part in state.parts:
            end = begin + part.rows
            positions = np.array(state.lengths[begin:end])
            context = self._store.reach(part, int(positions.max()) + 1)
            sequences = part.first + np.arange(part.rows)
            found = self._pass(context, sequences, positions, values[begin:end], output=True)
            logits.append(found[0])
            hidden.append(found[1])
            begin = end
        if logits:
            state.logits, state.hidden = _joined(logits), _joined(hidden)
        state.lengths = [length + 1 for length in state.lengths]
        return state

    def select(self, state: protocol.State, rows: Tensor) -> State:
        """Copy the given rows [n] of a state, repeated ones several times."""
        return self.gather([(state, rows)])

    def gather(self, pieces: Sequence[tuple[protocol.State, Tensor]]) -> State:
        """Copy the given rows of several states into one."""
        wanted = [(_own(state), row) for state, rows in pieces for row in rows.tolist()]
        lengths = [state.lengths[row] for state, row in wanted]
        cells = max((part.cells for state, _ in wanted for part in state.parts), default=1)
        parts: list[Part] = []
        try:
            for begin in range(0, len(wanted), PART):
                chosen = wanted[begin : begin + PART]
                parts.append(self._store.take(len(chosen), cells))
                self._copy(parts[-1], chosen)
        except BaseException:
            self._store.drop(parts)
            raise
        logits, hidden = (
            torch.cat([getattr(state, name)[rows] for state, rows in pieces]) for name in ("logits", "hidden")
        )
        return State(logits, hidden, lengths, self._store, parts)

    def _copy(self, part: Part, chosen: Sequence[tuple[State, int]]) -> None:
        """Write rows of states into a new part, reading each only once."""
        places: dict[tuple[int, int], list[int]] = {}
        states = {id(state): state for state, _ in chosen}
        for place, (state, row) in enumerate(chosen):
            places.setdefault((id(state), row), []).append(place)
        for (state_id, row), targets in places.items():
            source, within = _part_of(states[state_id], row)
            saved = self._store.row(source, within)
            for target in targets:
                self._store.fill(part, target, saved)

    def position_table(self) -> None:
        """Learned absolute positions, which no architecture has that is written for llama.cpp."""

    def last_hidden_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """[batch, layers + 1, hidden] float32 at the last positions; the last is as the head sees it."""
        order = torch.tensor([len(sequence) for sequence in sequences]).argsort(stable=True)
        longest = max(len(sequence) for sequence in sequences)
        size = min(WATCHED, self.max_rows(longest))
        found = [
            self._by_layer([sequences[row] for row in order[begin : begin + size].tolist()])
            for begin in range(0, len(order), size)
        ]
        return torch.cat(found)[order.argsort()]

    def _by_layer(self, sequences: list[Tensor]) -> Tensor:
        """The same of sequences that fit into one pass, in the order of their lengths."""
        watch = LayerWatch(self.hidden_size)
        # Watching slows every pass down, so only this context is watched.
        cells = self._store.cells(len(sequences[-1]))
        context = Context(self._weights.model, max(2, len(sequences)), cells, self._threads, watch)
        try:
            _, hidden = self._whole(context, 0, sequences, watch)
        finally:
            context.close()
        last = [each[-1] for each in sequences]
        embedded = torch.stack([each if each.is_floating_point() else self.embed(each) for each in last])
        seen = [each[: len(sequences)] for each in watch.seen[:-1]]
        return torch.stack([embedded, *seen, hidden], dim=1)

    def joins(self, positions: int) -> bool:
        """Return whether rows of several states with up to that many positions can go on in one batch."""
        return True

    def max_rows(self, positions: int) -> int:
        """Number of sequences of that many positions that may run in one batch."""
        return self._store.most_rows(positions)

    def context_left(self, state: protocol.State, row: int) -> int:
        """Number of positions that a row can still take."""
        return sys.maxsize if self.context is None else self.context - state.lengths[row]

    def bytes_per_position(self) -> int:
        """Bytes for one more position of one sequence: its keys and values."""
        return self._store.bytes_per_cell

    def close(self) -> None:
        """Free contexts and weights; no state can be used any more. Closing again does nothing."""
        self._gone()


def _opened(weights: Weights, threads: int, sequences: int, cells: int) -> Context:
    return Context(weights.model, sequences, cells, threads)


def _close(store: Store, weights: Weights) -> None:
    store.close()
    weights.close()


def _common(inputs: Sequence[NDArray[Any]]) -> int:
    """Number of positions with which all sequences begin, leaving each one of its own."""
    common = min(map(len, inputs)) - 1
    for other in inputs[1:]:
        differ = (other[:common] != inputs[0][:common]).any(tuple(range(1, other.ndim)))
        common = int(differ.argmax()) if differ.any() else common
    return common


def _own(state: protocol.State) -> State:
    """Return a state as this engine's own, which it must be."""
    assert isinstance(state, State)
    return state


def _part_of(state: State, row: int) -> tuple[Part, int]:
    """Find the part of a state's row, and the row's place in it."""
    for part in state.parts:
        if row < part.rows:
            return part, row
        row -= part.rows
    raise VsgError(f"a state with {len(state.lengths)} rows has none with that number")


def _joined(pieces: list[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _ends(folder: Path, config: Any, special: frozenset[int]) -> frozenset[int]:
    """The end tokens of the configuration and of the one for generation, by the rule for transformers."""
    path = folder / "generation_config.json"
    generation = read_json(path).get("eos_token_id") if path.is_file() else None
    return named_ends(generation, [config.eos_token_id], special)
