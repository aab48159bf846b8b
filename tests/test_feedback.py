"""Hidden states fed back, raw, at a token's length, and through a ridge regression."""

from __future__ import annotations

import pytest
import torch

from tests.architectures import every_architecture, tiny
from vsg_core.decode import decode
from vsg_core.feedback import (
    FeedbackWriter,
    fit_ridge,
    greedy_states,
    norm_matched,
    raw,
    ridge_aligner,
    write_hidden_states,
)
from vsg_core.mixture import entropy_bits
from vsg_core.readers import nearest_tokens

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
    """Each has the mean length of a token embedding."""
    lm = tiny(architecture)
    ((plain,), (matched,)) = (
        decode(lm, SEQUENCES[:1], FeedbackWriter(lm, align), 1)[0].steps for align in (raw, norm_matched(lm))
    )
    assert matched.vector.norm().item() == pytest.approx(lm.embedding_norm, rel=1e-4)
    assert torch.cosine_similarity(plain.vector, matched.vector, dim=0).item() == pytest.approx(1, abs=1e-5)


def test_ridge_worked_out_by_hand():
    """States -1, 1 about 5 and targets -2, 2 about 3: a slope of 4 / (2 + 2) at a penalty of 1, and the means kept."""
    ridge = fit_ridge(torch.tensor([[4.0], [6.0]]), torch.tensor([[1.0], [5.0]]), penalty=1.0)
    torch.testing.assert_close(
        ridge(torch.tensor([[5.0], [6.0], [7.0]])), torch.tensor([[3.0], [4.0], [5.0]])
    )


def test_a_small_penalty_finds_an_affine_map():
    """Targets that are an affine map of the states are met, those left out of the fit too; scale does not matter."""
    noise = torch.Generator().manual_seed(0)
    hidden, matrix = torch.randn(80, 8, generator=noise), torch.randn(8, 6, generator=noise)
    targets = hidden @ matrix + 2.0
    for scale in (1.0, 1000.0):
        ridge = fit_ridge(scale * hidden[:60], targets[:60], penalty=1e-6)
        torch.testing.assert_close(ridge(scale * hidden[60:]), targets[60:], atol=1e-3, rtol=1e-3)


def test_a_large_penalty_gives_the_mean_target():
    hidden = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    ridge = fit_ridge(hidden, hidden, penalty=1e9)
    torch.testing.assert_close(ridge(hidden), hidden.mean(0).expand(20, -1), atol=1e-5, rtol=0)


def test_the_aligner_maps_states_to_the_tokens_decoded_there():
    """After each text it was fitted on, the nearest token is the greedy one, which it is not to the raw state."""
    lm = tiny("llama")
    align = ridge_aligner(lm, SEQUENCES, n=5, penalty=1e-6)
    hidden = lm.hidden_states(SEQUENCES)[:, -1]
    tokens = [generation.ids[0] for generation in lm.generate(SEQUENCES, 1)]
    aligned, plain = (nearest_tokens(lm, fed)[0].tolist() for fed in (align(hidden), hidden))
    assert aligned == tokens
    assert plain != tokens
    torch.testing.assert_close(
        align(hidden).norm(dim=-1), torch.full((3,), lm.embedding_norm), rtol=1e-4, atol=0
    )
    (trace, *_) = write_hidden_states(lm, SEQUENCES, 1, align)
    torch.testing.assert_close(trace.steps[0].vector, align(hidden[:1])[0], atol=1e-4, rtol=1e-4)


def test_states_are_kept_with_the_tokens_decoded_at_them():
    """Of each text on its own, in order, and no further than its end."""
    lm = tiny("llama")
    for sequence, (hidden, tokens) in zip(SEQUENCES, greedy_states(lm, SEQUENCES, 4), strict=True):
        assert tokens.tolist() == lm.generate([sequence], 4)[0].ids
        longer = torch.cat([sequence, tokens[:2]])
        torch.testing.assert_close(hidden[2], lm.hidden_states([longer])[0, -1], atol=1e-4, rtol=1e-4)
    ended = tokens[1].item()  # of the last text
    lm.__dict__["end_ids"] = frozenset({ended})
    *_, (hidden, tokens) = greedy_states(lm, SEQUENCES, 4)
    assert len(hidden) == len(tokens) == tokens.tolist().index(ended) + 1 <= 2


def test_feedback_does_not_depend_on_the_batch():
    lm = tiny("gemma3_text")
    align = norm_matched(lm)
    together = write_hidden_states(lm, SEQUENCES, 4, align)
    for sequence, trace in zip(SEQUENCES, together, strict=True):
        (alone,) = write_hidden_states(lm, [sequence], 4, align)
        for one, other in zip(trace.steps, alone.steps, strict=True):
            torch.testing.assert_close(one.vector, other.vector, atol=1e-4, rtol=1e-4)
