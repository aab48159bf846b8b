"""The generator on the real embedded model.

It shows what tiny random models cannot: a full vocabulary, a deep cache, a chat format as embeddings.
"""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.generator.mixing.presets import PLAIN, STUDY
from vsg_core.generator.mixing.weights import mixture_weights
from vsg_core.generator.reading.frames import chat_frame
from vsg_core.generator.reading.nearest import nearest_tokens
from vsg_core.generator.writing.writers import write_concepts

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there",
    "Two plus two is",
]
TEXT = "The old lighthouse keeper counted the ships that"
# For log-probabilities in float32.
CLOSE = 1e-3
# For logits after 30 layers in float32; their standard deviation is about 3.
CLOSE_LOGITS = 2e-3


@pytest.fixture
def prompts(lm):
    """Return plain and chat-formatted prompts of different lengths."""
    return [*map(lm.tokenize, PROMPTS), *(lm.tokenize(lm.chat(prompt)) for prompt in PROMPTS)]


@pytest.fixture(scope="module")
def in_bfloat16(lm: LanguageModel) -> LanguageModel:
    """Return a model with the same weights, rounded to bfloat16."""
    model = AutoModelForCausalLM.from_config(engine_of(lm).model.config, dtype=torch.bfloat16)
    model.load_state_dict(engine_of(lm).model.state_dict())
    return LanguageModel(model, lm.tokenizer)


def test_a_batch_gives_what_transformers_gives_for_each_alone(lm, prompts):
    """Ids and embeddings, plain and chat, left-padded together, against one unpadded pass of each prompt."""
    from_ids = lm.next_logits(prompts).log_softmax(-1)
    from_embeddings = lm.next_logits([lm.embed(prompt) for prompt in prompts]).log_softmax(-1)
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            alone = engine_of(lm).model(prompt.unsqueeze(0)).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(from_ids[row], alone, atol=CLOSE, rtol=0)
        torch.testing.assert_close(from_embeddings[row], alone, atol=CLOSE, rtol=0)


def test_generation_equals_that_of_transformers(lm, prompts):
    """Twelve greedy tokens from ids and from embeddings, against `generate` on each prompt alone."""
    ours = lm.generate(prompts, max_new_tokens=12)
    embedded = lm.generate([lm.embed(prompt) for prompt in prompts], max_new_tokens=12)
    for prompt, from_ids, from_embeddings in zip(prompts, ours, embedded, strict=True):
        output = engine_of(lm).model.generate(
            prompt.unsqueeze(0), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=12,
            do_sample=False, repetition_penalty=1.0, pad_token_id=0, eos_token_id=sorted(lm.end_ids),
        )  # fmt: skip
        new = [token for token in output[0, len(prompt) :].tolist() if token not in lm.end_ids]
        assert from_ids.ids == from_embeddings.ids == new


def test_it_answers(lm):
    assert "Paris" in lm.generate([lm.tokenize(PROMPTS[0])], max_new_tokens=5)[0].text


def test_steps_with_the_cache_give_what_one_pass_gives(lm):
    """An ids prefix, then ids or embeddings one at a time, next to a shorter and a longer row."""
    ids, short, long = lm.tokenize(TEXT), lm.tokenize("A"), lm.tokenize(lm.chat(TEXT))
    prefix, rest = ids[:3], ids[3:]
    with torch.no_grad():
        expected = engine_of(lm).model(ids.unsqueeze(0)).logits[0, -1]
    for fed in (rest, lm.embed(rest)):
        for rows, state in lm.prefill([short, prefix, long], room=len(rest)):
            for position in fed:
                state = lm.step(state, torch.stack([position] * len(rows)))
            if (place := (rows == 1).nonzero()).numel():
                torch.testing.assert_close(state.logits[place.item()], expected, atol=CLOSE_LOGITS, rtol=0)


def test_one_hot_mixtures_are_exact(lm, in_bfloat16):
    """Every special token and 200 others, in float32 and in bfloat16, bit for bit."""
    others = torch.arange(0, lm.engine.vocab_size, lm.engine.vocab_size // 200)
    ids = torch.tensor(sorted({*lm.tokenizer.all_special_ids, *others[lm.is_token[others]].tolist()}))
    one_hot = torch.zeros(len(ids), lm.engine.vocab_size).scatter(1, ids.unsqueeze(1), 1.0)
    for model in (lm, in_bfloat16):
        different = (model.mix(one_hot) != engine_of(model).model.get_input_embeddings()(ids)).any(-1)
        assert not different.any(), f"in {model.dtype} these tokens differ: {ids[different].tolist()}"


def test_a_concept_token_of_a_sure_prompt_is_near_its_token(lm):
    """After "The capital of France is", the study's mixture is nearly all Paris."""
    (concept,) = write_concepts(lm, [lm.tokenize(PROMPTS[0])], 1, STUDY)[0].steps
    assert lm.token(concept.token_id) == " Paris"
    assert lm.token(int(nearest_tokens(lm, concept.vector.unsqueeze(0))[0])) == " Paris"


def test_a_plain_concept_token_mixes_the_whole_vocabulary(lm):
    """With tens of thousands of components, the vector is still the sum weighted by transformers' own distribution."""
    prompts = [lm.tokenize(TEXT), lm.tokenize(lm.chat(TEXT))]
    for prompt, trace in zip(prompts, write_concepts(lm, prompts, 1, PLAIN), strict=True):
        with torch.no_grad():
            logits = engine_of(lm).model(prompt.unsqueeze(0)).logits[0, -1]
        vector = logits.double().softmax(-1) @ lm.embedding_table.double()
        torch.testing.assert_close(trace.steps[0].vector.double(), vector, atol=1e-4, rtol=1e-3)


def test_special_tokens_of_the_chat_format_are_single_ids(lm):
    """The text of the template gives the ids that the template itself gives."""
    messages = [{"role": "user", "content": PROMPTS[0]}]
    expected = lm.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    assert lm.tokenize(lm.chat(PROMPTS[0])).tolist() == expected["input_ids"]


def test_the_chat_frame_is_the_chat_itself_around_a_words_vectors(lm):
    """With a word's own embeddings as the vectors, the frame reads back token by token as the formatted request."""
    word = lm.tokenize("lighthouse", special=False)
    framed, distances = nearest_tokens(lm, chat_frame(lm, lm.embed(word), "Repeat this:"))
    assert distances.max() == 0
    assert lm.tokenizer.decode(framed) == lm.chat("Repeat this: lighthouse")
    special = [lm.tokenizer.get_vocab()[token] for token in ("<|im_start|>", "<|im_end|>")]
    asked = lm.tokenize(lm.chat("Repeat this: lighthouse")).tolist()
    assert [framed.tolist().count(i) for i in special] == [asked.count(i) for i in special]


def test_bfloat16_in_a_batch_is_near_float32(lm, in_bfloat16):
    """Padded and in 16 bits, the distribution after each prompt is still the model's own, within rounding."""
    prompts = [
        lm.tokenize(text) for text in (TEXT, "Two plus two is", lm.chat("What is the capital of Peru?"))
    ]
    exact = mixture_weights(lm.next_logits(prompts))
    rounded = mixture_weights(in_bfloat16.next_logits([lm.embed(prompt) for prompt in prompts]))
    # Total variation.
    apart = (exact - rounded).abs().sum(-1) / 2
    assert apart.max() < 0.1, f"total variation between float32 and bfloat16 by prompt: {apart.tolist()}"
