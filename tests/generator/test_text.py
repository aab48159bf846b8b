"""Generated tokens: transformers' own, the same in any batch, and every reason to stop."""

from __future__ import annotations

from typing import Any

import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import (
    CONTEXT,
    END,
    ROWS,
    TOKENS,
    WORDS,
    as_input,
    every_architecture,
    reference_logits,
    tiny,
)
from tests.support.drawing import Drawn, batches, property_test, sequences
from tests.support.engines import engine_of
from vsg_core import Generation, LanguageModel
from vsg_core.errors import WrongUse
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.writing.writers import write_concepts

GREEDY: dict[str, Any] = {
    "do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "pad_token_id": ROWS - 1,
    "eos_token_id": [END], "suppress_tokens": list(range(TOKENS, ROWS)),
}  # fmt: skip


def transformers_generates(lm: LanguageModel, sequence: torch.Tensor, new: int) -> list[int]:
    """Return the new ids of transformers' own greedy generation after one sequence alone."""
    inputs = as_input(lm, list(sequence))
    mask = torch.ones(1, len(sequence), dtype=torch.long)
    output = (
        engine_of(lm).model.generate(**inputs, attention_mask=mask, max_new_tokens=new, **GREEDY)[0].tolist()
    )
    if lm.engine.is_encoder_decoder:
        # Without the token that starts the decoder.
        return output[1:]
    return output[len(sequence) :] if "input_ids" in inputs else output


@every_architecture
@property_test(6)
@given(batches(longest=20, most=3))
def test_greedy_generation_equals_that_of_transformers(architecture, batch: list[Drawn]):
    """A batch of ids and embeddings continues as transformers' generate continues each alone."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    for sequence, ours in zip(together, lm.generate(together, max_new_tokens=12), strict=True):
        theirs = transformers_generates(lm, sequence, 12)
        ended = END in theirs
        assert ours.ids == (theirs[: theirs.index(END)] if ended else theirs)
        assert ours.stopped == ("end" if ended else "length")
        assert ours.text == " ".join(WORDS[i - 3] for i in ours.ids if i > 2), (
            "only the new tokens are in the text"
        )


def alone(lm: LanguageModel, together: list[torch.Tensor], new: int) -> list[Generation]:
    return [lm.generate([sequence], max_new_tokens=new)[0] for sequence in together]


@every_architecture
@property_test(6)
@given(batches(longest=CONTEXT, most=5))
def test_a_batch_continues_as_each_sequence_does_alone(architecture, batch: list[Drawn]):
    """Rows may end at different steps, leave the batch, or reach the end of the context next to shorter ones."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    assert lm.generate(together, max_new_tokens=15) == alone(lm, together, 15)


@every_architecture
@property_test(6)
@given(batches(longest=20, most=4), st.integers(0, 2**31))
def test_sampling_does_not_depend_on_the_batch(architecture, batch: list[Drawn], seed):
    """The draws of a sequence are its own: neighbours do not change its text."""
    lm, sampling = tiny(architecture), Mixing(temperature=0.9, top_k=20, top_p=0.95)
    together = [drawn.tensor(lm) for drawn in batch]

    def sample(some: list[torch.Tensor]) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [g.ids for g in lm.generate(some, 8, sampling=sampling, generator=generator)]

    longer = [*together, torch.arange(20), torch.tensor([3])]
    assert sample(longer)[: len(together)] == sample(together)


def test_sampling_follows_its_generator():
    """Equal generator states give equal texts, an advanced generator a different one; greedy decoding ignores it."""
    lm, sequence = tiny("qwen2"), torch.arange(5)
    generator = torch.Generator().manual_seed(7)
    first, second = (lm.generate([sequence], 20, sampling=Mixing(), generator=generator)[0] for _ in range(2))
    again = lm.generate([sequence], 20, sampling=Mixing(), generator=torch.Generator().manual_seed(7))[0]
    assert first == again != second
    cold = lm.generate([sequence], 20, sampling=Mixing(temperature=1e-3))
    assert cold == lm.generate([sequence], 20), "the coldest sampling is greedy"


@every_architecture
@property_test(6)
@given(batches(longest=CONTEXT - 6, most=4))
def test_concept_tokens_are_mixtures_of_what_transformers_expects(architecture, batch: list[Drawn]):
    """Each concept token is the mixture by transformers' own distribution after the inputs fed so far."""
    lm = tiny(architecture)
    together = [drawn.tensor(lm) for drawn in batch]
    for trace, sequence in zip(write_concepts(lm, together, n=6), together, strict=True):
        assert len(trace.steps) == 6
        # The reference gets the same inputs; otherwise rounding errors would grow from step to step.
        for step, concept in enumerate(trace.steps):
            logits = reference_logits(lm, sequence, [earlier.vector for earlier in trace.steps[:step]])
            weights = logits[:TOKENS].double().softmax(-1)
            vector = weights @ lm.embed(torch.arange(TOKENS)).double()
            torch.testing.assert_close(concept.vector.double(), vector, atol=1e-4, rtol=1e-4)
            assert concept.entropy == pytest.approx(scipy.stats.entropy(weights, base=2), abs=1e-4)
            found = torch.zeros(TOKENS, dtype=torch.float64)
            found[list(concept.mixture.token_ids)] = torch.tensor(
                concept.mixture.weights, dtype=torch.float64
            )
            torch.testing.assert_close(found, weights, atol=1e-5, rtol=1e-3)


@every_architecture
def test_generation_stops_at_the_context(architecture):
    """The last token is the one after the last position; neighbours of any length still get all of theirs."""
    lm = tiny(architecture)
    long, *short = [torch.arange(n) % TOKENS for n in (CONTEXT - 3, CONTEXT - 5, 20, 18, 17)]
    at_limit, *shorter = lm.generate([long, *short], max_new_tokens=12)
    assert [at_limit, *shorter] == alone(lm, [long, *short], 12)
    if lm.engine.is_encoder_decoder:
        assert at_limit.stopped != "context", "an encoder-decoder has no such bound"
    elif at_limit.stopped != "end":
        assert (at_limit.stopped, len(at_limit.ids)) == ("context", 4)
    (full,) = lm.generate([torch.arange(CONTEXT) % TOKENS], max_new_tokens=12)
    if not lm.engine.is_encoder_decoder and full.stopped != "end":
        assert (full.stopped, len(full.ids)) == ("context", 1)


def test_a_context_reached_at_the_last_requested_token_counts_as_length():
    """If both limits are reached at the same step, nothing was cut short."""
    lm = tiny("gpt2")
    sequence = torch.arange(CONTEXT - 3) % TOKENS
    (cut,) = lm.generate([sequence], max_new_tokens=5)
    (whole,) = lm.generate([sequence], max_new_tokens=4)
    assert cut.stopped == "context", "this model ends by itself: choose another sequence"
    assert whole == Generation(cut.ids, cut.text, "length")


@property_test(8)
@given(sequences(longest=12))
def test_every_end_token_ends_the_text(drawn: Drawn):
    """Whichever token is declared an end token, generation stops just before it first appears."""
    lm = tiny("llama")
    (free,) = lm.generate([drawn.tensor(lm)], max_new_tokens=10)
    if len(free.ids) < 4:
        return
    stopping = LanguageModel(engine_of(lm).model, lm.tokenizer, end_ids=[free.ids[3]])
    (ended,) = stopping.generate([drawn.tensor(lm)], max_new_tokens=10)
    assert (ended.ids, ended.stopped) == (free.ids[: free.ids.index(free.ids[3])], "end")


def test_end_tokens_come_from_the_model_and_from_the_vocabulary(monkeypatch):
    """They are the model's own end ids, one or a list, and the well-known ones in the vocabulary."""
    lm = tiny("qwen2")
    monkeypatch.setattr(engine_of(lm).model.generation_config, "eos_token_id", [7, 9])
    assert LanguageModel(engine_of(lm).model, lm.tokenizer).end_ids == {7, 9, END}
    monkeypatch.setattr(engine_of(lm).model.generation_config, "eos_token_id", None)
    assert LanguageModel(engine_of(lm).model, lm.tokenizer).end_ids == {END}


@pytest.mark.parametrize("steps", [0, 1])
def test_as_many_tokens_are_written_as_requested(steps):
    """None for 0, one for 1."""
    assert len(tiny("llama").generate([torch.arange(5)], max_new_tokens=steps)[0].ids) == steps


def test_a_negative_number_of_tokens_is_refused():
    """The message contains the number."""
    with pytest.raises(WrongUse, match="max_new_tokens is -1"):
        tiny("llama").generate([torch.arange(5)], max_new_tokens=-1)


@pytest.mark.parametrize(("text", "empty"), [("", True), (" \n\t", True), (" no", False)])
def test_a_reply_of_white_space_alone_is_empty(text, empty):
    assert Generation([5] * bool(text), text, "end").is_empty is empty
