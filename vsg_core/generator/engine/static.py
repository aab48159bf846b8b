"""Steps of one position in buffers that never move, which a graphics card replays as one CUDA graph.

A step launches hundreds of small kernels; on a card, launching them takes longer than computing them. A graph is
launched once. It reads and writes fixed places, so a state moves into the buffers of a *runner* at its first step.
Elsewhere the same function runs without a graph.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicSlidingWindowLayer

from vsg_core.errors import VsgError
from vsg_core.generator.engine.cache import SPARE, FixedLayer, GrowingLayer, HeldCache
from vsg_core.generator.engine.memory import available
from vsg_core.generator.engine.paths import Paths


class Stepped(Protocol):
    """The fields of a PaddedState that a step in place reads and writes."""

    logits: Tensor
    hidden: Tensor
    cache: Any
    attention_mask: Tensor | None
    lengths: list[int]


class Stepping(Protocol):
    """The members of a PaddedEngine that steps in place use."""

    model: PreTrainedModel
    paths: Paths
    hidden_size: int
    hooks: list[Any]
    runners: Runners

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def padded_positions(self) -> int: ...

    def can_share(self, positions: int) -> bool: ...

    def embed(self, input_ids: Tensor) -> Tensor: ...

    def metered(self, positions: int) -> AbstractContextManager[None]: ...

    def pass_in_place(
        self, embeddings: Tensor, attention_mask: Tensor, position_ids: Tensor, cache: Any
    ) -> tuple[Tensor, Tensor | None]: ...

    def last_logits(self, logits: Tensor) -> Tensor: ...

    def hidden_of(self, seen: Tensor | None, batch: int) -> Tensor: ...


# Buffers have few sizes, so that few graphs are captured: 1 row or a power of two from NARROWEST on, and a multiple of
# COLUMNS.
NARROWEST, COLUMNS = 8, 128
# Part of the free memory that all runners together may take.
SHARE = 4
# Runners at a time: each graph keeps memory of its own that is not counted.
MOST = 16
# Passes before a capture, in which libraries allocate what they keep.
WARM_UP = 2
# Operations whose result the processor needs.
READS = ("_local_scalar_dense", "nonzero", "equal", "unique_dim", "_unique2", "masked_select")


class Runner:
    """Buffers for a step of up to `rows` sequences of up to `length` positions, and on a card the graph of the step.

    Attributes:
        mask: [rows, length] 1 at the columns that hold a position.
        positions: [rows, 1] the position id of the next input.
        column: [1] where the next position is written.
        inputs: [rows, 1, hidden] the next embeddings.
        logits: [rows, 1, predicted] the result.
        seen: [rows, hidden] what the head saw; None if it saw something else.
        hooks: number of hooks on the model that the graph includes.
        weights: where the weights were that the graph reads.
    """

    def __init__(self, engine: Stepping, cache: Any, rows: int, length: int) -> None:
        self.rows, self.length = rows, length
        self.mask = torch.zeros(rows, length, dtype=torch.long, device=engine.device)
        self.positions, self.column = self.mask.new_zeros(rows, 1), self.mask.new_zeros(1)
        self.inputs = torch.zeros(rows, 1, engine.hidden_size, dtype=engine.dtype, device=engine.device)
        self.layers = [FixedLayer(rows, length, self.column) for _ in cache.layers]
        for layer, like in zip(self.layers, cache.layers, strict=True):
            # One that uses the keys of another stays empty.
            if like.is_initialized:
                layer.lazy_initialization(like.keys, like.values)
        self.hooks, self.weights = hooks_of(engine), weights_of(engine)
        self.logits = self.mask
        self.seen: Tensor | None = None
        self._tenant: weakref.ref[HeldCache] | None = None
        self._graph = self._captured(engine) if has_graphs(engine.device) else None

    @property
    def is_free(self) -> bool:
        """Return whether no state has its cache here."""
        return self._tenant is None or self._tenant() is None

    @property
    def bytes(self) -> int:
        """Bytes of the buffers."""
        layers = [
            each for layer in self.layers if layer.is_initialized for each in (layer.keys, layer.values)
        ]
        return sum(each.nbytes for each in (*layers, self.mask, self.positions, self.inputs, self.logits))

    def move_in(self, engine: Stepping, state: Stepped) -> None:
        """Take over the cache of a state with a mask; from then on it is a HeldCache."""
        mask, cache = state.attention_mask, state.cache
        assert mask is not None
        batch, past = mask.shape
        # Rows without a sequence must be finite too.
        self.inputs.zero_()
        self.mask.zero_()
        self.mask[:batch, :past] = mask
        self.positions.zero_()
        self.positions[:batch] = mask.sum(-1, keepdim=True)
        self.column.fill_(past)
        for layer, own in zip(self.layers, cache.layers, strict=True):
            if own.is_initialized:
                layer.hold(own.keys, own.values)
        state.cache = HeldCache(self, engine.model.config, self.layers, batch, past)
        state.attention_mask = self.mask[:batch, :past]
        self._tenant = weakref.ref(state.cache)

    def step(self, engine: Stepping, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Feed embeddings [batch, 1, hidden] -> copies of the logits [batch, 1, predicted] and of what the head saw."""
        batch = len(inputs)
        self.inputs[:batch] = inputs
        if self._graph is None:
            self._pass(engine)
        else:
            self._graph.replay()
        seen = None if self.seen is None else self.seen[:batch].clone()
        return self.logits[:batch].clone(), seen

    def _pass(self, engine: Stepping) -> None:
        """Run the model over the buffers; on a card these very operations are the graph."""
        # Rows that no sequence has are seen too: with nothing to attend to, they would give NaN.
        self.mask.index_fill_(1, self.column, 1)
        self.logits, self.seen = engine.pass_in_place(
            self.inputs, self.mask, self.positions, Cache(layers=self.layers)
        )
        self.positions.add_(1)
        self.column.add_(1)

    def uncapturable(self, engine: Stepping) -> list[str]:
        """Run the step; list its operations that a graph cannot hold. A capture that fails leaves torch in disorder."""
        found = list[str]()
        with torch.no_grad(), _Noting(found):
            self._from_the_start(engine)
        return found

    def _from_the_start(self, engine: Stepping) -> None:
        """Run the step at the first column."""
        self.column.zero_()
        self.positions.zero_()
        self._pass(engine)

    def _captured(self, engine: Stepping) -> torch.cuda.CUDAGraph:
        """Run the step a few times on a stream of its own, as capturing demands, and capture it.

        Raises:
            VsgError: the model reads numbers back, or copies some to the card.
        """
        graph = torch.cuda.CUDAGraph()
        # Of the streams, a capture that fails would leave its own current.
        with (
            torch.no_grad(),
            torch.cuda.device(engine.device),
            torch.cuda.stream(torch.cuda.current_stream()),
        ):
            aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own is untyped
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                if found := self.uncapturable(engine):
                    raise VsgError(f"a CUDA graph cannot hold {found[0]}")
                for _ in range(WARM_UP):
                    self._from_the_start(engine)
            torch.cuda.current_stream().wait_stream(aside)
            self.column.zero_()
            self.positions.zero_()
            with torch.cuda.graph(graph):
                self._pass(engine)
        return graph


class _Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
    """Note operations that wait for a card: they read a number from it, or copy numbers to it."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, result = func.overloadpacket.__name__, func(*args, **(kwargs or {}))
        given = next((each for each in reversed(args) if isinstance(each, Tensor)), None)
        on_card = isinstance(result, Tensor) and result.device.type != "cpu"
        copies = name == "lift_fresh" or (
            name in ("_to_copy", "copy_") and given is not None and given.device.type == "cpu"
        )
        if name in READS or (on_card and copies):
            self.found.append(name)
        return result


class Runners:
    """The runners of one engine, the last used last."""

    def __init__(self) -> None:
        self._all: list[Runner] = []

    def __len__(self) -> int:
        return len(self._all)

    @property
    def free_bytes(self) -> int:
        """Bytes of those that no state uses."""
        return sum(runner.bytes for runner in self._all if runner.is_free)

    def drop(self) -> None:
        """Forget all; one that a state uses lives as long as that state."""
        self._all.clear()

    def take(self, engine: Stepping, cache: Any, rows: int, length: int) -> Runner | None:
        """Return a free runner of that size for a cache like the given one; None if memory does not suffice."""
        hooks, weights = hooks_of(engine), weights_of(engine)
        stale = [each for each in self._free() if (each.hooks, each.weights) != (hooks, weights)]
        self._all = [each for each in self._all if each not in stale]
        found = next((each for each in self._free() if (each.rows, each.length) == (rows, length)), None)
        if found is None:
            if not self._makes_room(engine, bytes_of(engine, cache, rows, length)):
                return None
            try:
                found = Runner(engine, cache, rows, length)
            except torch.OutOfMemoryError:
                return None
        else:
            self._all.remove(found)
        self._all.append(found)
        return found

    def _free(self) -> Iterator[Runner]:
        return (runner for runner in self._all if runner.is_free)

    def _makes_room(self, engine: Stepping, needed: int) -> bool:
        """Drop free runners, the least recently used first, until another fits; return whether it does."""
        own = sum(runner.bytes for runner in self._all)
        allowed = (available(str(engine.device)) + own) // SHARE
        for runner in list(self._free()):
            if own + needed <= allowed and len(self._all) < MOST:
                break
            self._all.remove(runner)
            own -= runner.bytes
        return own + needed <= allowed and len(self._all) < MOST


def has_graphs(device: torch.device) -> bool:
    """Return whether a device replays steps as graphs."""
    return device.type == "cuda"


def step_in_place(engine: Stepping, state: Stepped, inputs: Tensor, attention_mask: Tensor | None) -> bool:
    """Make a step as `PaddedEngine.feed` does in a runner, if the state may use one; return whether it did."""
    runner = _runner_of(engine, state) if inputs.shape[1] == 1 and attention_mask is None else None
    if runner is None:
        leave(state)
        return False
    held, batch = state.cache, len(inputs)
    embedded = inputs if inputs.is_floating_point() else engine.embed(inputs)
    with engine.metered(batch):
        logits, seen = runner.step(engine, embedded)
    held.past += 1
    state.attention_mask = runner.mask[:batch, : held.past]
    state.lengths = [length + 1 for length in state.lengths]
    state.logits = engine.last_logits(logits)
    state.hidden = engine.hidden_of(seen, batch)
    return True


def leave(state: Stepped) -> None:
    """Give a state that is in a runner a cache of its own."""
    if isinstance(state.cache, HeldCache):
        assert state.attention_mask is not None
        state.cache, state.attention_mask = state.cache.left(), state.attention_mask.clone()


def rounded(engine: Stepping, rows: int, positions: int) -> tuple[int, int]:
    """Rows and columns of the buffers for a batch; columns end at the first border, beyond which padding counts."""
    wide = 1 if rows == 1 else max(NARROWEST, 1 << (rows - 1).bit_length())
    return wide, min(-(-positions // COLUMNS) * COLUMNS, engine.padded_positions)


def bytes_of(engine: Stepping, cache: Any, rows: int, length: int) -> int:
    """Bytes of a runner's buffers for a cache like the given one, with its logits."""
    each: int = sum(
        like.shape[1] * like.shape[3] * like.itemsize
        for layer in cache.layers
        if layer.is_initialized
        for like in (layer.keys, layer.values)
    )
    return rows * (length * (each + 8) + 4 * engine.vocab_size)


def hooks_of(engine: Stepping) -> int:
    """Number of hooks on the model's modules."""
    return sum(map(len, engine.hooks))


def weights_of(engine: Stepping) -> tuple[int, ...]:
    """Return where the model's weights and buffers are in memory."""
    return tuple(each.data_ptr() for each in chain(engine.model.parameters(), engine.model.buffers()))


def _runner_of(engine: Stepping, state: Stepped) -> Runner | None:
    """Return the runner that has a state's cache; move it into one first if there is none, or that one is full."""
    held, mask = state.cache, state.attention_mask
    if not engine.paths.static or held is None or mask is None or not engine.can_share(mask.shape[1] + 1):
        return None
    if isinstance(held, HeldCache):
        runner: Runner = held.holder
        # A hook that was added since would not run.
        if held.past < runner.length and runner.hooks == hooks_of(engine):
            return runner
    elif not all(_fits(layer, mask.shape[1]) for layer in held.layers):
        return None
    size = rounded(engine, mask.shape[0], mask.shape[1] + SPARE)
    found = engine.runners.take(engine, held, *size)
    if found is not None:
        found.move_in(engine, state)
    return found


def _fits(layer: Any, past: int) -> bool:
    """Return whether a layer keeps keys and values of all past positions, and nothing else; or is empty."""
    if not isinstance(layer, (GrowingLayer, DynamicSlidingWindowLayer)):
        return False
    return not layer.is_initialized or layer.keys.shape[-2] == past
