"""Steps captured as a graph: the operations of one step, repeated on the same memory, are those of every other step.

A card's graph is played by a list of operations. Whatever Python computes during the capture stays as it was, as in a
real one: a length, a position or a decision that should change would give wrong numbers here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.generator.test_static import every_causal, in_place, wide
from tests.support.architectures import reference_logits
from tests.support.decoding import CLOSE, Ending, ids
from tests.support.engines import engine_of
from vsg_core.generator.engine import batching, static
from vsg_core.generator.engine.self_check import steps_in_place
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.writing.decoding import Trace, Writer, decode_each
from vsg_core.generator.writing.writers import ConceptWriter


class Graph:
    """Operations with the tensors that they took and gave."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        """Run all again, each result into the memory of the first one."""
        self.replays += 1
        with torch.no_grad():
            for func, args, kwargs, results in self.operations:
                again = func(*args, **kwargs)
                for first, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if isinstance(first, torch.Tensor) and first.data_ptr() != new.data_ptr():
                        first.copy_(new)


class Recording(TorchDispatchMode):
    """Run operations and add them to a graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        self.graph.operations.append((func, args, kwargs or {}, results))
        return results


class Stream:
    """A queue of a card, on which nothing needs to wait."""

    def wait_stream(self, other: Stream) -> None:
        assert isinstance(other, Stream)


@contextmanager
def recorded(graph: Graph) -> Iterator[None]:
    with Recording(graph):
        yield


@pytest.fixture
def graphs(monkeypatch) -> list[Graph]:
    """Play a card with graphs; list those that are captured."""
    made: list[Graph] = []

    class Listed(Graph):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(static, "has_graphs", lambda device: True)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Listed)
    monkeypatch.setattr(torch.cuda, "graph", recorded)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    return made


@every_causal
def test_replayed_steps_give_what_one_pass_gives(architecture, graphs):
    """The buffers are captured once and used for three batches of different lengths, one after the other."""
    lm = wide(architecture)
    with in_place(lm):
        for first, second, steps in ((3, 5, 6), (9, 2, 4), (1, 1, 7)):
            sequences, tokens = [ids(first), ids(second, seed=1)], ids(steps, 2, seed=2)
            for rows, state in lm.prefill(sequences, room=steps):
                for step in tokens[:, rows]:
                    state = lm.step(state, step)
                alone = [reference_logits(lm, sequences[row], list(tokens[:, row])) for row in rows]
                torch.testing.assert_close(state.logits, torch.stack(alone), **CLOSE)
            del state
    assert [graph.replays for graph in graphs] == [6 + 4 + 7]


@every_causal
def test_several_writers_with_rows_that_end_and_join(architecture, graphs, monkeypatch):
    """Tokens are those of the growing cache."""
    lm, steps, ends = wide(architecture), 6, [3, 1, 6, 2, 9, 0, 4]
    monkeypatch.setattr(batching, "MAX_BATCH", 9)
    sequences = [ids(length, seed=length) for length in (4, 9, 2, 7, 7, 3, 12)]

    def written() -> dict[str, list[Trace]]:
        writers: dict[str, Writer] = {"greedy": Ending(lm, ends), "soft": ConceptWriter(lm, Mixing(top_k=5))}
        return decode_each(lm, sequences, writers, steps)

    expected = written()
    with in_place(lm):
        found = written()
    assert sum(graph.replays for graph in graphs) >= steps
    for name, traces in expected.items():
        assert [trace.tokens for trace in found[name]] == [trace.tokens for trace in traces]


@every_causal
def test_the_self_check_of_graphs(architecture, graphs):
    """It captures few graphs, and replays them for batches and branches."""
    lm = wide(architecture)
    assert steps_in_place(engine_of(lm), engine_of(lm).paths, lm.token_ids)
    assert 0 < len(graphs) < sum(graph.replays for graph in graphs)


def test_a_hook_is_not_skipped(graphs):
    """One that is added while a state is in a graph runs from then on, and no longer once it is removed."""
    lm = wide("llama")
    tokens, seen = ids(6, 2), []
    with in_place(lm):
        ((rows, state),) = lm.prefill([ids(5), ids(3, seed=1)])
        for number, step in enumerate(tokens):
            handle = (
                engine_of(lm).model.model.norm.register_forward_hook(lambda *_: seen.append(1))
                if number == 2
                else None
            )
            before = len(seen)
            state = lm.step(state, step)
            assert (len(seen) > before) == (number == 2)
            if handle is not None:
                handle.remove()
    alone = reference_logits(lm, ids(5), list(tokens[:, rows.tolist().index(0)]))
    torch.testing.assert_close(state.logits[rows.tolist().index(0)], alone, **CLOSE)


def test_changed_weights_are_captured_again(graphs):
    """A weight in another place is not read where it was."""
    lm = wide("qwen2")
    weight = engine_of(lm).model.model.norm.weight
    before = weight.data

    def found() -> torch.Tensor:
        ((_, state),) = lm.prefill([ids(5), ids(3)])
        return lm.step(state, ids(2)).logits

    try:
        with in_place(lm):
            old = found()
            weight.data = before * 2
            new = found()
            assert len(graphs) == 2
        torch.testing.assert_close(new, found(), **CLOSE)
        assert not torch.allclose(new[:, lm.is_token], old[:, lm.is_token], atol=0.1)
    finally:
        weight.data = before


def test_a_step_that_reads_numbers_is_not_captured(graphs, monkeypatch):
    """The self-check finds it before the capture."""
    lm = wide("llama")
    real = engine_of(lm).pass_in_place

    def reading(embeddings: torch.Tensor, *args: Any) -> Any:
        assert float(embeddings.sum()) < 1e9
        return real(embeddings, *args)

    monkeypatch.setattr(lm.engine, "pass_in_place", reading)
    assert not steps_in_place(engine_of(lm), replace(engine_of(lm).paths), lm.token_ids)
    assert not any(graph.operations for graph in graphs)


def test_a_number_that_should_change_is_noticed(graphs, monkeypatch):
    """Positions that Python counts stay in a graph as they were when it was captured."""
    lm = wide("llama")
    real, counted = engine_of(lm).pass_in_place, iter(range(1000))

    def counting(embeddings: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> Any:
        return real(embeddings, mask, torch.full_like(positions, next(counted)), cache)

    monkeypatch.setattr(lm.engine, "pass_in_place", counting)
    assert not steps_in_place(engine_of(lm), engine_of(lm).paths, lm.token_ids)
