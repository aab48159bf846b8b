"""The real embedded model step by step: its whole vocabulary, its cache, its chat format as embeddings."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from vsg_core import LanguageModel
from vsg_core.mixture import PLAIN, mixture_weights
from vsg_core.readers import chat_frame, nearest_tokens
from vsg_core.writers import write_concepts

CLOSE = 2e-3  # of logits, 30 layers in float32; their standard deviation is about 3
TEXT = "The old lighthouse keeper counted the ships that"


@pytest.fixture(scope="module")
def in_bfloat16(lm: LanguageModel) -> LanguageModel:
    """The same weights rounded to bfloat16."""
    model = AutoModelForCausalLM.from_config(lm.engine.model.config, dtype=torch.bfloat16)
    model.load_state_dict(lm.engine.model.state_dict())
    return LanguageModel(model, lm.tokenizer)


def test_one_hot_mixtures_are_exact(lm, in_bfloat16):
    """Every special token and 200 others, in float32 and in bfloat16, bit for bit."""
    others = torch.arange(0, lm.engine.vocab_size, lm.engine.vocab_size // 200)
    ids = torch.tensor(sorted({*lm.tokenizer.all_special_ids, *others[lm.is_token[others]].tolist()}))
    one_hot = torch.zeros(len(ids), lm.engine.vocab_size).scatter(1, ids.unsqueeze(1), 1.0)
    for model in (lm, in_bfloat16):
        different = (model.mix(one_hot) != model.engine.model.get_input_embeddings()(ids)).any(-1)
        assert not different.any(), f"in {model.dtype} these tokens differ: {ids[different].tolist()}"


def test_steps_with_the_cache_give_what_one_pass_gives(lm):
    """An ids prefix, then ids or embeddings one at a time, beside a shorter and a longer row."""
    ids, short, long = lm.tokenize(TEXT), lm.tokenize("A"), lm.tokenize(lm.chat(TEXT))
    prefix, rest = ids[:3], ids[3:]
    with torch.no_grad():
        expected = lm.engine.model(ids.unsqueeze(0)).logits[0, -1]
    for fed in (rest, lm.embed(rest)):
        for rows, state in lm.prefill([short, prefix, long], room=len(rest)):
            for position in fed:
                state = lm.step(state, torch.stack([position] * len(rows)))
            if (place := (rows == 1).nonzero()).numel():
                torch.testing.assert_close(state.logits[place.item()], expected, atol=CLOSE, rtol=0)


def test_a_plain_concept_token_mixes_the_whole_vocabulary(lm):
    """Tens of thousands of components: the vector is still the sum by transformers' own distribution."""
    prompts = [lm.tokenize(TEXT), lm.tokenize(lm.chat(TEXT))]
    for prompt, trace in zip(prompts, write_concepts(lm, prompts, 1, PLAIN), strict=True):
        with torch.no_grad():
            logits = lm.engine.model(prompt.unsqueeze(0)).logits[0, -1]
        vector = logits.double().softmax(-1) @ lm.embedding_table.double()
        torch.testing.assert_close(trace.steps[0].vector.double(), vector, atol=1e-4, rtol=1e-3)


def test_the_chat_frame_is_the_chat_itself_around_a_words_vectors(lm):
    """With a word's own embeddings as the vectors, the frame reads back, token by token, as the formatted request."""
    word = lm.tokenize("lighthouse", special=False)
    framed, distances = nearest_tokens(lm, chat_frame(lm, lm.embed(word), "Repeat this:"))
    assert distances.max() == 0
    assert lm.tokenizer.decode(framed) == lm.chat("Repeat this: lighthouse")
    special = [lm.tokenizer.get_vocab()[token] for token in ("<|im_start|>", "<|im_end|>")]
    asked = lm.tokenize(lm.chat("Repeat this: lighthouse")).tolist()
    assert [framed.tolist().count(i) for i in special] == [asked.count(i) for i in special]


def test_bfloat16_in_a_batch_is_near_float32(lm, in_bfloat16):
    """Padded and in 16 bits the distribution after each prompt stays the model's own, within rounding."""
    prompts = [
        lm.tokenize(text) for text in (TEXT, "Two plus two is", lm.chat("What is the capital of Peru?"))
    ]
    exact = mixture_weights(lm.next_logits(prompts))
    rounded = mixture_weights(in_bfloat16.next_logits([lm.embed(prompt) for prompt in prompts]))
    apart = (exact - rounded).abs().sum(-1) / 2  # total variation
    assert apart.max() < 0.1, f"total variation between float32 and bfloat16 by prompt: {apart.tolist()}"
