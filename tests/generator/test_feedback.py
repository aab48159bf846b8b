"""Hidden states fed back raw, at a token's length, and through a ridge regression."""

from __future__ import annotations

import pytest
import torch

from tests.support.architectures import every_architecture, tiny
from tests.support.engines import engine_of
from vsg_core.generator.mixing.distributions import entropy_bits
from vsg_core.generator.writing.decoding import decode
from vsg_core.generator.writing.feedback import (
    FeedbackWriter,
    fit_ridge,
    norm_matched,
    raw,
    ridge_aligner,
    write_hidden_states,
)

SEQUENCES = [torch.arange(3, 9), torch.arange(20, 23), torch.tensor([7])]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text"])
def test_what_is_fed_back_is_the_last_hidden_state(architecture):
    """The first vector is what the head saw after the prompt, the second what it saw after prompt and first vector."""
    lm = tiny(architecture)
    traces = write_hidden_states(lm, SEQUENCES, 2)
    for sequence, trace in zip(SEQUENCES, traces, strict=True):
        first, second = trace.steps
        torch.testing.assert_close(first.vector, lm.hidden_states([sequence])[0, -1], atol=1e-4, rtol=1e-4)
        longer = lm.join(sequence, first.vector.unsqueeze(0))
        torch.testing.assert_close(second.vector, lm.hidden_states([longer])[0, -1], atol=1e-4, rtol=1e-4)
        logits = lm.next_logits([longer])[0]
        assert second.token_id == int(logits.argmax())
        assert second.entropy == pytest.approx(entropy_bits(logits).item(), abs=1e-3)


@every_architecture
def test_norm_matched_states_keep_their_direction(architecture):
    """Each has the mean norm of a token embedding."""
    lm = tiny(architecture)
    ((plain,), (matched,)) = (
        decode(lm, SEQUENCES[:1], FeedbackWriter(lm, align), 1)[0].steps for align in (raw, norm_matched(lm))
    )
    assert matched.vector.norm().item() == pytest.approx(lm.embedding_norm, rel=1e-4)
    assert torch.cosine_similarity(plain.vector, matched.vector, dim=0).item() == pytest.approx(1, abs=1e-5)


def test_ridge_equals_a_hand_computed_slope():
    """Inputs 1, 2 and targets 2, 4: the slope is (1 * 2 + 2 * 4) / (1 + 4 + 5) at a penalty of 5, and 2 without one."""
    inputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])
    assert fit_ridge(inputs, targets, penalty=5.0).item() == pytest.approx(1.0)
    assert fit_ridge(inputs, targets, penalty=0.0).item() == pytest.approx(2.0)


def test_a_small_penalty_finds_a_linear_map():
    """If targets are a linear map of inputs, the fit recovers that map from 60 of 80 inputs."""
    noise = torch.Generator().manual_seed(0)
    inputs, matrix = torch.randn(80, 8, generator=noise), torch.randn(8, 6, generator=noise)
    torch.testing.assert_close(
        fit_ridge(inputs[:60], inputs[:60] @ matrix, 1e-6), matrix, atol=1e-3, rtol=1e-3
    )


@every_architecture
def test_the_aligner_maps_rows_of_the_head_to_the_table(architecture):
    """A state along a row of the head is mapped onto that token's embedding, at the mean norm of one."""
    # A separate model, whose head can be replaced.
    lm = tiny(architecture).untrained()
    ids = torch.tensor([3, 7, 11])
    wide = len(lm.embedding_table[0])
    # An untied head; the table is a linear map of it.
    with torch.no_grad():
        turn = torch.linalg.qr(torch.randn(wide, wide, generator=torch.Generator().manual_seed(0)))[0]
        head = torch.nn.Linear(wide, len(lm.embedding_table), bias=False)
        head.weight.copy_(lm.embedding_table.float() @ turn)
    engine_of(lm).model.set_output_embeddings(head)
    aligned = ridge_aligner(lm)(lm.head_table[ids].float())
    assert (torch.cosine_similarity(aligned, lm.embed(ids), dim=-1) > 0.999).all()
    torch.testing.assert_close(aligned.norm(dim=-1), torch.full((3,), lm.embedding_norm), rtol=1e-4, atol=0)


def test_if_head_and_table_are_the_same_the_aligner_only_changes_the_norm():
    lm = tiny("gpt2")
    states = torch.randn(4, len(lm.embedding_table[0]), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ridge_aligner(lm)(states), norm_matched(lm)(states), atol=1e-3, rtol=1e-3)


def test_feedback_does_not_depend_on_the_batch():
    lm = tiny("gemma3_text")
    align = norm_matched(lm)
    together = write_hidden_states(lm, SEQUENCES, 4, align)
    for sequence, trace in zip(SEQUENCES, together, strict=True):
        (alone,) = write_hidden_states(lm, [sequence], 4, align)
        for one, other in zip(trace.steps, alone.steps, strict=True):
            torch.testing.assert_close(one.vector, other.vector, atol=1e-4, rtol=1e-4)
