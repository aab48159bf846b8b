"""The generator on the real embedded model: what tiny random models cannot show."""

from __future__ import annotations

import pytest
import torch

from vsg_core.mixture import STUDY
from vsg_core.readers import chat_frame, nearest_tokens
from vsg_core.writers import write_concepts

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there",
    "Two plus two is",
]
CLOSE = 1e-3  # of log-probabilities, float32


@pytest.fixture
def prompts(lm):
    """Plain and chat-formatted, of different lengths."""
    return [*map(lm.tokenize, PROMPTS), *(lm.tokenize(lm.chat(prompt)) for prompt in PROMPTS)]


def test_a_batch_gives_what_transformers_gives_for_each_alone(lm, prompts):
    """Ids and embeddings, plain and chat, left-padded together, against one unpadded pass of each prompt."""
    from_ids = lm.next_logits(prompts).log_softmax(-1)
    from_embeddings = lm.next_logits([lm.embed(prompt) for prompt in prompts]).log_softmax(-1)
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            alone = lm.engine.model(prompt.unsqueeze(0)).logits[0, -1].log_softmax(-1)
        torch.testing.assert_close(from_ids[row], alone, atol=CLOSE, rtol=0)
        torch.testing.assert_close(from_embeddings[row], alone, atol=CLOSE, rtol=0)


def test_generation_is_that_of_transformers(lm, prompts):
    """Twelve greedy tokens from ids and from embeddings, against `generate` on each prompt alone."""
    ours = lm.generate(prompts, max_new_tokens=12)
    embedded = lm.generate([lm.embed(prompt) for prompt in prompts], max_new_tokens=12)
    for prompt, from_ids, from_embeddings in zip(prompts, ours, embedded, strict=True):
        output = lm.engine.model.generate(
            prompt.unsqueeze(0), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=12,
            do_sample=False, repetition_penalty=1.0, pad_token_id=0, eos_token_id=sorted(lm.end_ids),
        )  # fmt: skip
        new = [token for token in output[0, len(prompt) :].tolist() if token not in lm.end_ids]
        assert from_ids.ids == from_embeddings.ids == new


def test_it_answers(lm):
    assert "Paris" in lm.generate([lm.tokenize(PROMPTS[0])], max_new_tokens=5)[0].text


def test_special_tokens_of_the_chat_format_are_single_ids(lm):
    """The text of the template gives the ids that the template itself gives."""
    messages = [{"role": "user", "content": PROMPTS[0]}]
    expected = lm.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    assert lm.tokenize(lm.chat(PROMPTS[0])).tolist() == expected["input_ids"]


def test_a_chat_frame_holds_the_special_tokens_around_the_vectors(lm):
    vectors = lm.embed(lm.tokenize(" Paris"))
    ids, distances = nearest_tokens(lm, chat_frame(lm, vectors))
    text = lm.tokenizer.decode(ids)
    assert distances.max() == 0
    assert text.count("<|im_start|>") >= 2
    assert " Paris<|im_end|>" in text


def test_a_concept_token_of_a_sure_prompt_is_near_its_token(lm):
    """After "The capital of France is" the study's mixture is nearly all Paris."""
    (concept,) = write_concepts(lm, [lm.tokenize(PROMPTS[0])], 1, STUDY)[0].steps
    assert lm.token(concept.token_ids[0]) == " Paris"
    assert lm.token(int(nearest_tokens(lm, concept.vector.unsqueeze(0))[0])) == " Paris"
