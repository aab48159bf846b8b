"""Decoding step by step with the cache gives what one full pass gives, for every row, branch and form of input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import CONTEXT, TOKENS, every_architecture, reference_logits, tiny
from tests.support.decoding import CLOSE
from tests.support.drawing import Drawn, batches, property_test, sequences, token_ids
from tests.support.engines import engine_of, padded
from vsg_core import LanguageModel
from vsg_core.generator.engine import State, cache

# More than a sliding window, so that the cache drops positions.
STEPS = 9


def fed_one_by_one(lm: LanguageModel, state: State, inputs: torch.Tensor) -> State:
    """Feed ids [steps, batch] or vectors [steps, batch, hidden] one step after another."""
    for step in inputs:
        state = lm.step(state, step)
    return state


def prefilled(lm: LanguageModel, together: list[torch.Tensor], room: int) -> list[tuple[torch.Tensor, State]]:
    return list(lm.prefill(together, room=room))


@every_architecture
@property_test()
@given(batches(longest=20, most=4), st.integers(1, STEPS), st.booleans(), st.randoms(use_true_random=False))
def test_steps_give_what_one_pass_gives(architecture, batch: list[Drawn], steps, as_vectors, random):
    """Ids or vectors fed step by step after a padded batch give the logits of one pass over each complete sequence."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    fed = torch.tensor([[random.randrange(TOKENS) for _ in batch] for _ in range(steps)])  # [steps, batch]
    inputs = lm.embed(fed) if as_vectors else fed
    for rows, state in prefilled(lm, together, steps):
        logits = fed_one_by_one(lm, state, inputs[:, rows]).logits
        alone = torch.stack([reference_logits(lm, together[row], list(inputs[:, row])) for row in rows])
        torch.testing.assert_close(logits, alone, **CLOSE)


@every_architecture
@property_test(8)
@given(sequences(longest=20), st.lists(token_ids, min_size=1, max_size=STEPS))
def test_an_ids_prefix_then_embeddings_equals_all_embeddings(architecture, prefix: Drawn, rest: list[int]):
    """Prefilled ids followed by stepped vectors give what the embeddings of the whole sequence give in one pass."""
    lm = tiny(architecture)
    ids, vectors = torch.tensor(prefix.ids), lm.embed(torch.tensor(rest))
    ((_, state),) = prefilled(lm, [ids], len(rest))
    stepped = fed_one_by_one(lm, state, vectors.unsqueeze(1)).logits[0]
    torch.testing.assert_close(stepped, reference_logits(lm, lm.embed(ids), list(vectors)), **CLOSE)
    if not lm.engine.is_encoder_decoder:
        whole = torch.cat([lm.embed(ids), vectors])
        torch.testing.assert_close(stepped, lm.next_logits([whole])[0], **CLOSE)


@every_architecture
def test_several_positions_in_one_step(architecture):
    """The engine takes several positions at once after a prefix, with the same result."""
    lm = tiny(architecture)
    sequences, fed = [torch.arange(3, 10), torch.arange(20, 23)], torch.arange(30, 44).reshape(2, 7)
    ((rows, state),) = prefilled(lm, sequences, 7)
    logits = engine_of(lm).feed(padded(state), fed[rows]).logits.masked_fill(~lm.is_token, -torch.inf)
    alone = torch.stack([reference_logits(lm, sequences[row], list(fed[row])) for row in rows])
    torch.testing.assert_close(logits, alone, **CLOSE)


@every_architecture
@property_test(8)
@given(
    batches(longest=14, most=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.integers(0, STEPS),
    st.integers(1, STEPS),
)
def test_branches_disturb_neither_each_other_nor_the_original(architecture, batch, wanted, before, after):
    """Rows selected from a state, even repeatedly or out of order, are independent; the state can still continue."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    rows, state = prefilled(lm, together, before + after)[0]
    common = torch.arange(before * len(rows)).reshape(before, len(rows)) % TOKENS
    state = fed_one_by_one(lm, state, common)
    origin = state.logits.clone()

    chosen = torch.tensor([row % len(rows) for row in wanted])
    first, second = lm.select(state, chosen), lm.select(state, chosen)
    way_1 = (torch.arange(after * len(chosen)).reshape(after, len(chosen)) * 7 + 5) % TOKENS
    way_2 = (way_1 + 31) % TOKENS
    # The branches take turns, so that a shared cache would be noticed.
    for step_1, step_2 in zip(way_1, way_2, strict=True):
        first, second = lm.step(first, step_1), lm.step(second, step_2)
    assert torch.equal(state.logits, origin), (
        f"{architecture}: stepping a branch changed the original's logits"
    )
    third = way_1[:1].expand(after, -1)[:, :1].expand(-1, len(rows))
    state = fed_one_by_one(lm, state, third)

    def alone(row: int, way: torch.Tensor) -> torch.Tensor:
        return reference_logits(lm, together[rows[row]], [*common[:, row], *way])

    for branch, way in ((first, way_1), (second, way_2)):
        expected = torch.stack([alone(int(row), way[:, i]) for i, row in enumerate(chosen)])
        torch.testing.assert_close(branch.logits, expected, **CLOSE)
    expected = torch.stack([alone(row, third[:, row]) for row in range(len(rows))])
    torch.testing.assert_close(state.logits, expected, **CLOSE)


@every_architecture
def test_a_state_knows_how_long_its_rows_are(architecture):
    """`lengths` counts real positions without padding, and the remaining room shrinks with each step."""
    lm = tiny(architecture)
    ((rows, state),) = prefilled(lm, [torch.arange(9), torch.arange(4), torch.arange(6)], 2)
    assert [int(length) for length in state.lengths] == [4, 6, 9]
    assert rows.tolist() == [1, 2, 0]
    state = lm.step(lm.select(state, torch.tensor([2, 0])), torch.tensor([3, 3]))
    if lm.engine.is_encoder_decoder:
        assert lm.context_left(state, 0) > 10**6, "an encoder-decoder's steps have no bound"
    else:
        assert [int(length) for length in state.lengths] == [10, 5]
        assert [lm.context_left(state, row) for row in (0, 1)] == [CONTEXT - 10, CONTEXT - 5]


@pytest.mark.parametrize("architecture", ["llama", "gemma3_text", "t5"])
def test_a_float32_vector_can_be_stepped_into_a_bfloat16_model(architecture):
    """Vectors of a different dtype, such as noise or the vectors of a reader, are converted to the model's own."""
    lm = tiny(architecture, torch.bfloat16)
    ((_, state),) = prefilled(lm, [torch.arange(4)], 1)
    vector = lm.embed(torch.tensor([5]))
    expected = lm.step(lm.select(state, torch.tensor([0])), vector).logits
    assert torch.equal(lm.step(state, vector.float()).logits, expected)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_a_step_does_not_copy_earlier_keys_and_values(architecture):
    """After the first step, keys and values stay in the same memory for the next 20, and a branch has its own."""
    lm = tiny(architecture)
    ((rows, state),) = prefilled(lm, [torch.arange(9), torch.arange(6)], 30)

    def places(state: State) -> list[int]:
        return [
            states.data_ptr() for layer in padded(state).cache.layers for states in (layer.keys, layer.values)
        ]

    state = lm.step(state, torch.tensor([3, 3]))
    first = places(state)
    branch = lm.select(state, torch.arange(len(rows)))
    for _ in range(20):
        state = lm.step(state, torch.tensor([4, 5]))
        branch = lm.step(branch, torch.tensor([6, 7]))
    assert places(state) == first
    assert not set(places(branch)) & set(first)
    assert padded(state).cache.layers[0].keys.shape[-2] == 9 + 21


def test_a_cache_outgrows_its_room(monkeypatch):
    """Steps beyond the reserved room give what one pass over all positions gives."""
    monkeypatch.setattr(cache, "SPARE", 2)
    lm, ids = tiny("llama"), torch.arange(5, 17)
    ((_, state),) = lm.prefill([ids[:3]], room=9)
    for token in ids[3:]:
        state = lm.step(state, token.unsqueeze(0))
    torch.testing.assert_close(state.logits, lm.next_logits([ids]), atol=1e-4, rtol=1e-4)
