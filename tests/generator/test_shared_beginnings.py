"""Sequences that begin alike: the beginning is processed once, and each still gives what it gives alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import CONTEXT, TOKENS, every_architecture, reference_logits, tiny
from tests.support.decoding import CLOSE
from tests.support.drawing import property_test, token_ids
from tests.support.engines import engine_of
from vsg_core.generator.engine import batching

STEPS = 4
beginnings = st.lists(token_ids, min_size=1, max_size=16)
endings = st.lists(st.lists(token_ids, min_size=1, max_size=12), min_size=2, max_size=5)


@every_architecture
@property_test()
@given(beginnings, endings, st.booleans(), st.integers(0, TOKENS - 1))
def test_each_gives_what_it_gives_alone(architecture, beginning, endings, as_vectors, token):
    """With one beginning and ends of any length, as ids or vectors, the logits of all steps equal transformers' own."""
    lm = tiny(architecture)
    sequences = [torch.tensor(beginning + ending) for ending in endings]
    if as_vectors:
        sequences = [lm.embed(sequence) for sequence in sequences]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "PASS", 1)
        states = list(lm.prefill(sequences, room=STEPS))
    for rows, state in states:
        expected = torch.stack([reference_logits(lm, sequences[row]) for row in rows])
        torch.testing.assert_close(state.logits, expected, **CLOSE)
        fed = torch.full((STEPS, len(rows)), token)
        for step in fed:
            state = lm.step(state, step)
        expected = torch.stack([reference_logits(lm, sequences[row], list(fed[:, 0])) for row in rows])
        torch.testing.assert_close(state.logits, expected, **CLOSE)


@every_architecture
def test_a_long_beginning_is_fed_once(architecture):
    """20 sequences of 20 positions that share 16 feed 16 + 20 x 4, or all 400 if the model's windows forbid sharing."""
    lm = tiny(architecture)
    beginning = torch.arange(3, 19)
    sequences = [torch.cat([beginning, torch.full((4,), last)]) for last in range(20, 40)]
    for as_vectors in (False, True):
        lm.meter.reset()
        lm.next_logits([lm.embed(sequence) for sequence in sequences] if as_vectors else sequences)
        shares = engine_of(lm).can_share(20)
        decoder = 20 if lm.engine.is_encoder_decoder else 0
        assert lm.meter.tokens == (16 + 20 * 4 if shares else 400 + decoder)
    assert engine_of(lm).can_share(20) == (
        architecture not in ("gpt_neo", "phi3", "mistral", "gemma3_text", "t5", "t5 tied")
    )


@pytest.mark.parametrize(
    ("sequences", "groups"),
    [
        ([[3, 4, 5, 6], [3, 4, 5, 7]], [(3, [0, 1])]),
        # One position of each is left to continue from.
        ([[3, 4, 5, 6], [3, 4, 5, 6]], [(3, [0, 1])]),
        ([[3, 4, 5, 6], [3, 4]], [(1, [1, 0])]),
        ([[3, 4, 5, 6], [9, 4, 5, 6]], [(0, [0, 1])]),
        ([[3, 4, 5, 6]], [(0, [0])]),
        ([[3], [3]], [(0, [0, 1])]),
        ([list(range(CONTEXT)), list(range(CONTEXT))], [(CONTEXT - 1, [0, 1])]),
        # Two frames, and one sequence of its own.
        (
            [[3, 4, 5, 6, 7], [9, 9, 9, 9, 8], [3, 4, 5, 6, 8], [9, 9, 9, 9, 7], [1, 2, 3, 4, 5]],
            [(4, [0, 2]), (4, [1, 3]), (0, [4])],
        ),
        # The longer beginning of some, where it saves more than the shorter one of all.
        ([[3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 9], [3, 1, 1, 1, 1, 1]], [(5, [0, 1]), (0, [2])]),
    ],
)
def test_beginnings_are_found(monkeypatch, sequences, groups):
    """Each has all that its sequences share, without the last position of the shortest."""
    monkeypatch.setattr(batching, "PASS", 1)
    lm = tiny("llama")
    ids = [torch.tensor(sequence) for sequence in sequences]
    rows = torch.tensor([len(sequence) for sequence in ids]).argsort(stable=True)
    for tensors in (ids, [lm.embed(sequence) for sequence in ids]):
        found = batching.beginnings(engine_of(lm), tensors, rows, 0)
        assert [(shared, alike.tolist()) for shared, alike in found] == groups


def test_ids_and_vectors_together_are_not_compared(monkeypatch):
    """A batch of both kinds shares nothing, and still gives what each gives alone."""
    monkeypatch.setattr(batching, "PASS", 1)
    lm, ids = tiny("llama"), torch.arange(3, 12)
    ((shared, _),) = batching.beginnings(engine_of(lm), [ids, lm.embed(ids)], torch.arange(2), 0)
    assert shared == 0
    torch.testing.assert_close(lm.next_logits([ids, lm.embed(ids)])[1], reference_logits(lm, ids), **CLOSE)


def test_lengths_are_grouped_by_cost():
    """A pass costs as much as 64 positions: padding that is worth more is avoided."""
    lm = tiny("llama")

    def cut(*lengths: int) -> list[list[int]]:
        sequences = [torch.zeros(length, dtype=torch.long) for length in lengths]
        groups = batching.length_groups(engine_of(lm), sequences, torch.arange(len(lengths)), 0, room=0)
        return [[lengths[row] for row in group] for group in groups]

    assert cut(4, 5, 30) == [[4, 5, 30]]
    assert cut(4, 4, 4, 30) == [[4, 4, 4], [30]]
    assert cut(*[4] * 70, *[5] * 3) == [[*[4] * 70], [5] * 3]
    assert cut(*[4] * 60, *[5] * 3) == [[*[4] * 60, *[5] * 3]]
