"""Steps in fixed buffers give what steps with a growing cache give; here they run without a graph, on the CPU."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import architectures
from tests.support.architectures import (
    ARCHITECTURES,
    CONTEXT,
    every_architecture,
    reference_logits,
    tiny,
)
from tests.support.decoding import CLOSE, Ending, ids
from tests.support.drawing import Drawn, batches, property_test
from tests.support.engines import engine_of, padded
from vsg_core import LanguageModel
from vsg_core.generator.engine import Paths, batching, cache, static
from vsg_core.generator.engine.self_check import steps_in_place
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.writing.decoding import Trace, Writer, decode_each
from vsg_core.generator.writing.writers import ConceptWriter, InputMixtureWriter

# An encoder-decoder's steps are as before.
every_causal = pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if not a.startswith("t5")])


@contextmanager
def in_place(lm: LanguageModel) -> Iterator[list[static.Runner]]:
    """Take steps in fixed buffers inside the block; yield the runners that states moved into, in order."""
    used: list[static.Runner] = []
    paths, move_in = engine_of(lm).paths, static.Runner.move_in

    def noted(runner: static.Runner, *args: Any) -> None:
        used.append(runner)
        move_in(runner, *args)

    engine_of(lm).paths = replace(paths, static=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(static.Runner, "move_in", noted)
            yield used
    finally:
        engine_of(lm).paths = paths
        engine_of(lm).runners.drop()


@functools.cache
def wide(architecture: str) -> LanguageModel:
    """Build the tiny model of an architecture with a window that the tests stay within."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "WINDOW", CONTEXT - 10)
        return tiny.__wrapped__(architecture)


@every_architecture
@property_test()
@given(batches(longest=12, most=4), st.integers(1, 8), st.booleans())
def test_steps_in_place_give_what_one_pass_gives(architecture, batch: list[Drawn], steps: int, as_vectors):
    """Also beyond a window, where they leave the buffers."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    tokens = ids(steps, len(batch))
    with in_place(lm):
        for rows, state in lm.prefill(together, room=steps):
            for step in tokens[:, rows]:
                state = lm.step(state, lm.embed(step) if as_vectors else step)
            alone = torch.stack([reference_logits(lm, together[row], list(tokens[:, row])) for row in rows])
            torch.testing.assert_close(state.logits, alone, **CLOSE)
            lengths = [len(together[row]) + steps for row in rows]
            assert lm.engine.is_encoder_decoder or state.lengths == lengths


@every_architecture
def test_buffers_are_used_below_every_border_and_not_beyond(architecture):
    """A sequence steps in place until the window, or the context, ends."""
    lm = tiny(architecture)
    border = engine_of(lm).padded_positions
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([ids(2)])
        held = []
        for step in range(min(border, CONTEXT) - 2 + 1):
            if lm.context_left(state, 0) < 1:
                break
            state = lm.step(state, ids(1, seed=step))
            held.append(isinstance(padded(state).cache, cache.HeldCache))
    expected = [not lm.engine.is_encoder_decoder and 2 + step + 1 <= border for step in range(len(held))]
    assert held == expected
    assert len(used) == any(expected)


@every_causal
def test_a_step_in_place_reads_nothing_back(architecture):
    """A graph cannot hold such a read, and a card would stand still for it."""
    lm = wide(architecture)
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([ids(5), ids(3)])
        lm.step(state, ids(2))
        assert used[0].uncapturable(engine_of(lm)) == []


def test_a_model_that_reads_numbers_back_is_not_captured():
    """Dynamic rotary embeddings ask for the largest position."""
    plain = engine_of(tiny("llama")).model
    config = copy.deepcopy(plain.config)
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    lm = LanguageModel(type(plain)(config), tiny("llama").tokenizer, paths=Paths())
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([ids(5), ids(3)])
        lm.step(state, ids(2))
        assert "_local_scalar_dense" in used[0].uncapturable(engine_of(lm))


@every_causal
@pytest.mark.parametrize("rows", [3, 16])
def test_several_writers_with_rows_that_end_and_join(architecture, monkeypatch, rows):
    """Tokens are the same and vectors close, however rows come and go."""
    lm, steps = wide(architecture), 6
    monkeypatch.setattr(batching, "MAX_BATCH", rows)
    lengths, ends = (4, 9, 2, 7, 7, 3, 12), [3, 1, 6, 2, 9, 0, 4]
    sequences = [ids(length, seed=length) for length in lengths]

    def written() -> dict[str, list[Trace]]:
        writers: dict[str, Writer] = {
            "greedy": Ending(lm, ends),
            "soft": ConceptWriter(lm, Mixing(top_k=5)),
            "plain": ConceptWriter(lm),
            "mixed": InputMixtureWriter(lm, Mixing(top_k=5)),
        }
        return decode_each(lm, sequences, writers, steps)

    expected = written()
    with in_place(lm) as used:
        found = written()
    assert used
    for name, traces in expected.items():
        for trace, other in zip(traces, found[name], strict=True):
            assert (other.stopped, other.tokens) == (trace.stopped, trace.tokens)
    for name in ("soft", "plain"):
        for trace, other in zip(expected[name], found[name], strict=True):
            for one, two in zip(trace.steps, other.steps, strict=True):
                torch.testing.assert_close(one.vector, two.vector, **CLOSE)


@every_causal
def test_rows_taken_from_a_state_in_place(architecture):
    """Branches, joined rows and several positions at once continue from the buffers, which go on undisturbed."""
    lm = wide(architecture)
    sequences, fed = [ids(7), ids(4, seed=1), ids(6, seed=2)], ids(4, 3, seed=3)

    def results() -> list[torch.Tensor]:
        ((_, state),) = lm.prefill(sequences, room=10)
        state = lm.step(lm.step(state, fed[0]), fed[1])
        before = state.logits
        branch = lm.select(state, torch.tensor([2, 0, 2]))
        state = lm.step(state, fed[2])
        branch = lm.step(branch, fed[3])
        joined = lm.gather([(branch, torch.tensor([1])), (state, torch.tensor([2, 2]))])
        joined = lm.step(joined, fed[1])
        several = engine_of(lm).feed(padded(lm.select(joined, torch.arange(3))), fed.T[:, :2])
        state = engine_of(lm).feed(padded(state), fed.T[:, :3])
        state = lm.step(state, fed[0])
        shown = [before, branch.logits, joined.logits, several.logits, state.logits]
        hidden = [branch.hidden, joined.hidden, state.hidden]
        assert branch.lengths == [10, 7, 10]
        return [each[:, lm.is_token] for each in shown] + hidden

    expected = results()
    with in_place(lm) as used:
        found = results()
    # The batch, its branch, the joined rows, and the batch again after several positions at once.
    assert len(used) == 4
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, **CLOSE)


def test_a_state_outgrows_its_buffers(monkeypatch):
    """It moves into longer ones, up to the context."""
    monkeypatch.setattr(static, "COLUMNS", 8)
    monkeypatch.setattr(static, "SPARE", 1)
    lm, tokens = tiny("llama"), ids(CONTEXT)
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([tokens[:3]])
        for token in tokens[3:]:
            state = lm.step(state, token[None])
    assert [runner.length for runner in used] == [8, 16, 24, 32, 40]
    torch.testing.assert_close(state.logits, lm.next_logits([tokens]), **CLOSE)


def test_buffers_are_free_when_their_state_is_gone():
    """The next state of that size takes the same ones; two at a time have their own."""
    lm = tiny("llama")
    with in_place(lm) as used:
        for _ in range(3):
            ((_, state),) = lm.prefill([ids(5), ids(3)])
            state = lm.step(state, ids(2))
            assert engine_of(lm).runners.free_bytes == 0
            del state
        assert len(set(used)) == len(engine_of(lm).runners) == 1
        assert engine_of(lm).runners.free_bytes == used[0].bytes
        ((_, first),), ((_, second),) = lm.prefill([ids(5), ids(3)]), lm.prefill([ids(5), ids(3)])
        first, second = lm.step(first, ids(2)), lm.step(second, ids(2))
        assert len(engine_of(lm).runners) == 2
        assert padded(first).cache.layers[0].keys.data_ptr() != padded(second).cache.layers[0].keys.data_ptr()
        del first, second
        used.clear()
        engine_of(lm).runners.drop()
        assert not len(engine_of(lm).runners)


def test_nan_in_the_buffers_does_not_outlast_its_state():
    """An earlier state's values are masked, but 0 times NaN is NaN."""
    lm = tiny("llama")
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([ids(5), ids(3)])
        lm.step(state, ids(2))
        del state
        for layer in used[0].layers:
            layer.keys.fill_(torch.nan)
            layer.values.fill_(torch.nan)
        ((_, state),) = lm.prefill([ids(5), ids(3)])
        state = lm.step(state, ids(2))
    assert len(set(used)) == 1
    assert state.logits[:, lm.is_token].isfinite().all()


def out_of_memory(*args: Any) -> None:
    raise torch.OutOfMemoryError


def test_no_more_memory_than_a_share_of_what_is_free(monkeypatch):
    """Without memory for buffers, steps use a growing cache; free buffers are dropped for others."""
    lm = tiny("llama")

    def held(sequences: list[torch.Tensor]) -> bool:
        ((_, state),) = lm.prefill(sequences)
        return isinstance(padded(lm.step(state, ids(len(sequences)))).cache, cache.HeldCache)

    with in_place(lm) as used:
        assert held([ids(3)] * 8)
        monkeypatch.setattr(static, "available", lambda device: static.SHARE * used[0].bytes)
        assert held([ids(3)])
        assert not held([ids(3)] * 32)
        monkeypatch.setattr(static, "available", lambda device: 0)
        assert not held([ids(3)] * 9)
        monkeypatch.undo()
        monkeypatch.setattr(cache.FixedLayer, "lazy_initialization", out_of_memory)
        assert not held([ids(3)] * 40)


def test_weights_that_moved_are_not_read_where_they_were():
    """A graph reads fixed places: buffers captured before the weights were converted are not used again."""
    lm = tiny("llama", torch.bfloat16)
    with in_place(lm) as used:
        ((_, state),) = lm.prefill([ids(5)])
        lm.step(state, ids(1))
        del state
        with lm.in_float64():
            assert not engine_of(lm).paths.static
            assert not len(engine_of(lm).runners)
        ((_, state),) = lm.prefill([ids(5)])
        lm.step(state, ids(1))
        assert len(set(used)) == 2


@every_architecture
def test_the_self_check_of_steps_in_place(architecture):
    """It holds for all architectures that share batches; on a CPU it is not asked."""
    lm = tiny(architecture)
    assert not engine_of(lm).paths.static
    assert steps_in_place(engine_of(lm), engine_of(lm).paths, lm.token_ids) == engine_of(lm).paths.shared
    assert not len(engine_of(lm).runners)


@pytest.mark.parametrize("fault", ["mask", "positions", "crash"])
def test_the_self_check_notices_wrong_steps(monkeypatch, fault):
    """A model that ignores what the buffers hide, or cannot be captured, steps as before."""
    lm = tiny("llama")
    real = engine_of(lm).pass_in_place

    def wrong(embeddings, mask, positions, cache):
        if fault == "crash":
            raise RuntimeError("operation not permitted when stream is capturing")
        mask = torch.ones_like(mask) if fault == "mask" else mask
        return real(embeddings, mask, positions * (fault != "positions"), cache)

    monkeypatch.setattr(lm.engine, "pass_in_place", wrong)
    assert not steps_in_place(engine_of(lm), engine_of(lm).paths, lm.token_ids)


def test_paths_say_that_steps_are_graphs():
    """A record of a run on a card shows it; records of before remain as they are."""
    assert str(replace(Paths(), static=True)) == f"{Paths()}, CUDA graphs"


def test_batches_fill_the_buffers(monkeypatch):
    """With fixed buffers, rows are a power of two; memory for buffers is left."""
    lm = tiny("llama")
    each = 20 * lm.engine.bytes_per_position() + 16 * lm.engine.vocab_size
    monkeypatch.setattr(batching, "available", lambda device: 4 * 100 * each)
    assert batching.batch_size(engine_of(lm), 20) == 100
    with in_place(lm):
        assert batching.batch_size(engine_of(lm), 20) == 32
