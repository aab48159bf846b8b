"""Rows of several states in one batch: each goes on as it would alone, and steps stay wide."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import CONTEXT, every_architecture, reference_logits, tiny
from tests.support.decoding import CLOSE, Ending, ids
from tests.support.drawing import Drawn, batches, property_test
from tests.support.engines import engine_of
from vsg_core.generator.engine import State, batching
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.model.batches import at_once
from vsg_core.generator.writing.decoding import Trace, Writer, decode, decode_each
from vsg_core.generator.writing.writers import ConceptWriter


@every_architecture
@property_test()
@given(batches(longest=12, most=3), batches(longest=12, most=3), st.integers(0, 4), st.integers(1, 4))
def test_joined_rows_give_what_each_gives_alone(
    architecture, first: list[Drawn], second: list[Drawn], ahead: int, steps: int
):
    """Two batches, the first some steps ahead, of which some rows are taken twice and in another order."""
    lm = tiny(architecture)
    if not engine_of(lm).can_share(12 + ahead + steps):
        pytest.skip("its windows forbid it")
    sequences = [[drawn.tensor(lm) for drawn in batch] for batch in (first, second)]
    fed: dict[tuple[int, int], list[torch.Tensor]] = {}
    pieces, rows = [], []
    for which, batch in enumerate(sequences):
        for numbers, state in lm.prefill(batch, room=ahead + steps):
            tokens = ids(ahead if which == 0 else 0, len(numbers))
            for step in tokens:
                state = lm.step(state, step)
            fed |= {(which, int(number)): list(tokens[:, i]) for i, number in enumerate(numbers)}
            chosen = torch.arange(len(numbers)).flip(0).repeat(2)[: len(numbers) + 1]
            pieces.append((state, chosen))
            rows += [(which, int(numbers[i])) for i in chosen]
    joined = lm.gather(pieces)
    common = ids(steps, len(rows), seed=1)
    for step in common:
        joined = lm.step(joined, step)
    expected = torch.stack(
        [
            reference_logits(lm, sequences[which][number], [*fed[which, number], *common[:, i]])
            for i, (which, number) in enumerate(rows)
        ]
    )
    torch.testing.assert_close(joined.logits, expected, **CLOSE)


@every_architecture
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_rows_take_the_places_of_those_that_have_ended(architecture, monkeypatch, rows):
    """However few rows fit into a batch, the tokens and vectors are those of each sequence alone."""
    lm, steps = tiny(architecture), 6
    lengths, ends = (4, 9, 2, 7, 7, 3, 12), [3, 1, 6, 2, 9, 0, 4]
    sequences = [ids(length, seed=length) for length in lengths]

    def written(numbers: list[int]) -> dict[str, list[Trace]]:
        writers: dict[str, Writer] = {
            "greedy": Ending(lm, [ends[number] for number in numbers]),
            "soft": ConceptWriter(lm, Mixing(top_k=5)),
        }
        return decode_each(lm, [sequences[number] for number in numbers], writers, steps)

    alone = [written([number]) for number in range(len(sequences))]
    monkeypatch.setattr(batching, "MAX_BATCH", rows)
    together = written([*range(len(sequences))])
    for number, each in enumerate(alone):
        for name in each:
            (expected,), found = each[name], together[name][number]
            assert (found.stopped, found.tokens) == (expected.stopped, expected.tokens)
        for one, other in zip(together["soft"][number].steps, each["soft"][0].steps, strict=True):
            torch.testing.assert_close(one.vector, other.vector, **CLOSE)


def test_steps_stay_wide(monkeypatch):
    """40 sequences of 1 to 12 positions in batches of 8 take few more steps than the sum of positions over 8."""
    monkeypatch.setattr(batching, "MAX_BATCH", 8)
    lm = tiny("llama")
    ends = [1 + 5 * i % 12 for i in range(40)]
    sequences = [ids(5, seed=i) for i in range(40)]
    list(lm.prefill(sequences))
    lm.meter.reset()
    list(lm.prefill(sequences))
    prefills = lm.meter.passes
    lm.meter.reset()
    traces = decode(lm, sequences, Ending(lm, ends), 20)
    assert [len(trace.steps) for trace in traces] == ends
    steps = lm.meter.passes - prefills
    assert steps <= 1.3 * sum(ends) / 8


@every_architecture
def test_padding_does_not_cross_a_border(architecture, monkeypatch):
    """Rows that begin late in a batch reach the last position, although the batch has more columns by then."""
    lm = tiny(architecture)
    monkeypatch.setattr(batching, "MAX_BATCH", 4)
    if not engine_of(lm).can_share(CONTEXT):
        pytest.skip("its windows forbid it")
    sequences = [ids(CONTEXT - 20, seed=i) for i in range(12)]
    ends = [19 - i % 10 for i in range(12)]
    for number, trace in enumerate(decode(lm, sequences, Ending(lm, ends), 20)):
        alone = decode(lm, [sequences[number]], Ending(lm, [ends[number]]), 20)
        assert trace.steps == alone[0].steps


def test_branches_in_one_call():
    """`logits_after` gives what steps from copies of the state give, and leaves the state as it was."""
    lm = tiny("llama")
    ((_, state),) = lm.prefill([ids(5), ids(3, seed=1)], room=1)
    before: State = lm.select(state, torch.arange(2))
    rows, tokens = torch.tensor([1, 0, 1]), torch.tensor([7, 8, 9])
    expected = torch.cat(
        [
            lm.step(lm.select(state, row[None]), token[None]).logits
            for row, token in zip(rows, tokens, strict=True)
        ]
    )
    torch.testing.assert_close(lm.logits_after(state, rows, tokens), expected, **CLOSE)
    assert torch.equal(state.logits, before.logits)
    assert state.lengths == before.lengths


def test_groups_at_once():
    """Each group gets its own results, an empty one none."""
    lm = tiny("llama")
    groups = [[ids(4), ids(3)], [], [ids(5)]]
    found = at_once(lm.next_logits, *groups)
    assert [len(results) for results in found] == [2, 0, 1]
    torch.testing.assert_close(found[2], lm.next_logits(groups[2]), **CLOSE)
    replies = at_once(lm.generate, *groups, max_new_tokens=3)
    assert [len(results) for results in replies] == [2, 0, 1]
