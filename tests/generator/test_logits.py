"""Next-token logits of a batch: those that transformers gives for each sequence alone, whatever its form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from tests.support.architectures import CONTEXT, ROWS, TOKENS, every_architecture, reference_logits, tiny
from tests.support.decoding import CLOSE
from tests.support.drawing import Drawn, batches, property_test, sequences
from tests.support.engines import engine_of
from vsg_core.errors import WrongUse
from vsg_core.generator.engine import batching
from vsg_core.generator.mixing.weights import mixture_weights

# In float32; the logits have a standard deviation of about 1.5.


@every_architecture
@property_test(20)
@given(batches(longest=CONTEXT))
def test_a_batch_gives_what_each_sequence_gives_alone(architecture, batch: list[Drawn]):
    """Ids, embeddings and mixtures of any lengths together give transformers' own logits of each."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    alone = torch.stack([reference_logits(lm, sequence) for sequence in together])
    torch.testing.assert_close(lm.next_logits(together), alone, **CLOSE)


@every_architecture
@property_test()
@given(sequences(longest=CONTEXT))
def test_embeddings_give_the_logits_of_ids(architecture, drawn: Drawn):
    """The same tokens as ids, as embeddings and as one-hot mixtures have the same next-token logits."""
    lm, ids = tiny(architecture), torch.tensor(drawn.ids)
    one_hot = torch.nn.functional.one_hot(ids, ROWS).float()
    from_ids, from_embeddings, from_mixtures = lm.next_logits([ids, lm.embed(ids), lm.mix(one_hot)])
    torch.testing.assert_close(from_embeddings, from_ids, **CLOSE)
    torch.testing.assert_close(from_mixtures, from_ids, **CLOSE)


@every_architecture
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_finite_and_near(architecture, dtype):
    """In 16 bits, a padded batch has float32 logits without NaN, within rounding of the unbatched ones."""
    lm = tiny(architecture, dtype)
    batch = [torch.arange(3, 3 + length) for length in (1, 9, 4)]
    logits = lm.next_logits([batch[0], lm.embed(batch[1]), batch[2]])
    assert logits.dtype == torch.float32
    assert logits[:, lm.is_token].isfinite().all(), (
        f"{architecture} in {dtype} has logits that are not finite"
    )
    alone = torch.stack([reference_logits(lm, sequence) for sequence in batch])
    off = (logits - alone)[:, lm.is_token].abs().mean() / alone[:, lm.is_token].std()
    assert off < 0.05, (
        f"{architecture} in {dtype}: logits are off by {off:.3f} standard deviations on average"
    )


@every_architecture
def test_padded_rows_never_get_weight(architecture):
    """Rows of the table that are not tokens have no probability, although the model's head gives them some."""
    lm = tiny(architecture)
    sequences = [torch.tensor([3, 9, i]) for i in range(3, 23)]
    weights = mixture_weights(lm.next_logits(sequences))
    assert (weights[:, TOKENS:] == 0).all(), f"{architecture}: weight on rows that only pad the table"
    torch.testing.assert_close(weights.sum(-1), torch.ones(20))
    if not lm.engine.is_encoder_decoder:
        own = engine_of(lm).model(torch.stack(sequences)).logits[:, -1].softmax(-1)[:, TOKENS:]
        assert own.max() > 0.01, (
            "the bare model gives the padded rows no weight either, so the test shows nothing"
        )


@every_architecture
def test_every_position_counts(architecture):
    """A change at any position within reach changes the logits, so the comparisons above are not between constants."""
    lm = tiny(architecture)
    ids = torch.arange(3, 17)
    changed = [ids.clone().index_fill_(0, torch.tensor([i]), 40) for i in range(len(ids))]
    base, *others = lm.next_logits([ids, *changed])
    apart = [(other - base)[lm.is_token].abs().max().item() for other in others]
    assert min(apart[-4:]) > 1e-2, (
        f"{architecture}: changing a recent token moves the logits by {min(apart[-4:])}"
    )
    # Two layers of sliding windows reach back twice the window; every other layer reaches the first token.
    reach = 8 if architecture in ("mistral", "phi3") else len(ids)
    assert min(apart[-reach:]) > 1e-3, f"{architecture}: changes by position: {apart}"


@every_architecture
def test_order_counts(architecture):
    """The same tokens in a different order have different logits, so positions reach the model."""
    lm = tiny(architecture)
    there, back = lm.next_logits([torch.tensor([7, 5, 9, 8]), torch.tensor([5, 7, 9, 8])])
    assert (there - back)[lm.is_token].abs().max() > 1e-2


def test_batches_smaller_than_the_request_give_the_same_logits(monkeypatch):
    """With memory for two sequences at a time, seven give what they give together, in the requested order."""
    lm = tiny("llama")
    sequences = [torch.arange(3, 3 + length) for length in (9, 1, 30, 2, 9, 14, 3)]
    together = lm.next_logits(sequences)
    monkeypatch.setattr(batching, "batch_size", lambda engine, positions: 2)
    torch.testing.assert_close(lm.next_logits(sequences), together, **CLOSE)


@pytest.mark.parametrize(
    ("sequences", "says"),
    [
        ([], "no sequence given"),
        ([torch.tensor([3]), torch.tensor([], dtype=torch.long)], "sequence 1 is empty"),
        ([torch.zeros(0, 32)], "sequence 0 is empty"),
        (
            [torch.full((CONTEXT + 1,), 3)],
            f"sequence 0 has {CONTEXT + 1} tokens, above the {CONTEXT} positions",
        ),
    ],
    ids=["none", "empty ids", "empty embeddings", "too long"],
)
def test_sequences_that_cannot_be_read_are_refused(sequences, says):
    """No sequence, an empty one and one beyond the context are each reported in one line with the numbers."""
    with pytest.raises(WrongUse, match=says):
        tiny("gpt2").next_logits(sequences)


def test_an_encoder_takes_sequences_of_any_length():
    """T5's positions are relative, so the prompt has no maximum length."""
    lm = tiny("t5")
    long = torch.arange(100) % TOKENS
    torch.testing.assert_close(lm.next_logits([long])[0], reference_logits(lm, long), **CLOSE)


def test_an_empty_text_is_refused():
    """The message says what to do."""
    lm = tiny("opt")
    with pytest.raises(WrongUse, match="has no token"):
        lm.tokenize("", special=False)


def test_half_a_character_is_not_text():
    """A shell passes on bytes that are not UTF-8 in this form."""
    with pytest.raises(WrongUse, match="half a character"):
        tiny("llama").tokenize("\udcff w5")


def test_the_opening_token_is_added_once():
    """A text that starts with the opening token does not get it twice."""
    lm = tiny("llama")
    assert lm.tokenize("w3 w4").tolist() == lm.tokenize("<s> w3 w4").tolist() == [0, 3, 4]
    assert lm.tokenize("w3 w4", special=False).tolist() == [3, 4]


def test_the_meter_counts_what_was_fed():
    """Passes and positions are those of the forward passes, padding included; the seconds increase."""
    lm = tiny("gpt_neox")
    lm.meter.reset()
    lm.next_logits([torch.tensor([3, 4, 5]), torch.tensor([6])])
    assert (lm.meter.passes, lm.meter.tokens) == (1, 6)
    assert 0 < lm.meter.forward_seconds < 60
