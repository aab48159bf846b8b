"""Decoding speed: concept tokens and tokens against transformers' generate, bare passes, and the study's loop."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from vsg_core.batching import left_pad
from vsg_core.mixture import PLAIN, STUDY
from vsg_core.writers import write_concepts

NEW = 16  # positions written after each prompt
CONTESTANTS = ("generate", "bare passes", "ours, tokens", "ours, study's mixture", "ours, plain mixture")


@pytest.mark.parametrize("contestant", CONTESTANTS)
@pytest.mark.parametrize("batch", [1, 8, 32])
def test_decoding(endless, open_prompts, race, batch, contestant):
    """The same prompts, the same number of new positions, greedy, with a cache."""
    lm = endless
    prompts = [lm.tokenize(prompt) for prompt in open_prompts[:batch]]
    ids, mask = left_pad(lm.engine, prompts)
    work = {
        "generate": lambda: lm.engine.model.generate(
            ids, attention_mask=mask, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, pad_token_id=0
        ),
        "bare passes": lambda: bare_passes(lm.engine.model, ids, mask),
        "ours, tokens": lambda: lm.generate(prompts, max_new_tokens=NEW),
        "ours, study's mixture": lambda: write_concepts(lm, prompts, NEW, STUDY),
        "ours, plain mixture": lambda: write_concepts(lm, prompts, NEW, PLAIN),
    }
    race(f"batch {batch}", contestant, batch * NEW, work[contestant])


@torch.no_grad()
def bare_passes(model, ids, mask):
    """The forward passes that decoding cannot do without, and nothing between them."""
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    for _ in range(NEW):
        model(ids, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True, logits_to_keep=1)
        ids, positions = ids[:, -1:], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


@pytest.mark.parametrize("contestant", ["study's loop", "study's, no metrics", "ours, study's mixture"])
def test_the_studys_loop(endless, open_prompts, race, contestant):
    """3 concept tokens after each of 40 prompts."""
    lm = endless
    prompts = [lm.tokenize(prompt) for prompt in open_prompts[:40]]
    work = {
        "study's loop": lambda: [study_loop(lm, prompt, metrics=True) for prompt in prompts],
        "study's, no metrics": lambda: [study_loop(lm, prompt, metrics=False) for prompt in prompts],
        "ours, study's mixture": lambda: write_concepts(lm, prompts, 3, STUDY),
    }
    race("3 vectors x 40", contestant, 3 * len(prompts), work[contestant])


@torch.no_grad()
def study_loop(lm, ids, metrics):
    """What the study did: one prompt at a time, the whole sequence again at each step, and the nearest token."""
    table = lm.embedding_table
    sequence = lm.embed(ids).unsqueeze(0)  # [1, seq, hidden]
    for _ in range(3):
        logits = lm.engine.model(inputs_embeds=sequence).logits[:, -1]
        weights, tokens = (logits / 0.8).softmax(-1).topk(50)
        weights = weights**1.5
        vector = ((weights / weights.sum(-1, keepdim=True)).unsqueeze(-1) * lm.embed(tokens)).sum(1)
        longest = 1.5 * table.norm(dim=-1).mean()
        vector = vector * (longest / vector.norm()).clamp(max=1)
        if metrics:
            torch.cdist(vector.unsqueeze(0), table.unsqueeze(0)).min(-1)
        sequence = torch.cat([sequence, vector.unsqueeze(1)], dim=1)
