"""The measurements of the claims on the harness and the instruction format, against cases computed by hand."""

from __future__ import annotations

import pytest
import torch

from fixtures.measured import probability_gaps
from hypotheses import test_harness as harness
from hypotheses import test_instruction_format as instruction_format
from tests.support.architectures import tiny
from vsg_core import Generation, NotApplicable

PROMPTS = ["w5 w9", "w7", "w11 w3 w8 w8 w20", "w4 w4", "w30 w31", "w50 w6 w17"]


def test_gap_is_the_largest_difference_of_any_probability():
    """Row by row; a shift of all logits makes none."""
    even, tilted = torch.zeros(1, 4), torch.tensor([[3.0, 1, 1, 1]]).log()
    logits, others = torch.cat([even, even]), torch.cat([tilted, even + 7])
    assert probability_gaps(logits, others).tolist() == pytest.approx([0.25, 0])


def test_positions_are_added_on_top_of_those_that_the_model_adds():
    """Each output is what the model predicts after its position rows are in twice; adding nothing changes nothing."""
    lm = tiny("gpt2")
    assert lm.position_table is not None
    evidence = harness.test_positions_added_by_hand_change_predictions(lm, PROMPTS)
    for trial in evidence.trials:
        rows = lm.embed_text(trial.prompt)
        after_ids, after_sum = lm.next_logits([trial.prompt, rows + lm.position_table[: len(rows)]]).argmax(
            -1
        )
        assert trial.output == lm.token(int(after_sum))
        assert trial.outputs == {"from input_ids": lm.token(int(after_ids))}
        assert trial.success is bool(after_ids != after_sum)
    assert not any(trial.success for trial in evidence.arms["nothing added"])
    with pytest.raises(NotApplicable, match="llama has no learned position embeddings"):
        harness.test_positions_added_by_hand_change_predictions(tiny("llama"), PROMPTS)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_vectors_after_a_cache_differ_only_when_one_is_swapped(architecture):
    """Texts of different lengths share a batch; a swapped first vector shows although the last one is the same."""
    lm = tiny(architecture)
    cases = [([5, 6, 7], [8, 9, 10, 11]), ([12], [13, 14, 15, 16]), ([3, 4], [20, 21, 22, 23])]
    assert harness.gaps_after_cache(lm, cases).max() < 1e-5
    assert harness.gaps_after_cache(lm, cases, swapped=True).min() > 1e-4


def test_rounding_is_judged_in_float64(monkeypatch: pytest.MonkeyPatch):
    """With a bound that float32 cannot keep, each case passes by its difference in float64, and both are shown."""
    lm = tiny("llama")
    monkeypatch.setattr(harness, "SAME", 2.0**-26)
    evidence = harness.test_ids_then_embeddings_equal_embeddings_alone(lm)
    rounded = evidence.arms[harness.ROUNDED]
    assert all(trial.success for trial in evidence.trials)
    assert not all(trial.success for trial in rounded)
    assert [trial.value for trial in rounded] == [
        (trial.inputs or {})[harness.ROUNDED] for trial in evidence.trials
    ]


def test_a_reply_loses_as_many_tokens_as_its_prompt_has():
    """A reply no longer than its prompt is empty afterwards; of a longer one the rest is left."""
    lm = tiny("llama")
    replies = [Generation(ids, lm.decode(ids), "length") for ids in ([7, 8, 9], [7, 8, 9], [7])]
    found = instruction_format.slice_off(lm, ["a", "b", "c"], [2, 3, 5], replies)
    assert [trial.success for trial in found] == [False, True, True]
    assert [trial.output.strip() for trial in found] == ["w9", "", ""]
    assert found[0].inputs == {"prompt tokens": 2, "new tokens": 3}
