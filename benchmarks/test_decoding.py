"""Decoding speed: concept tokens and tokens against transformers' generate, bare passes, and the study's loop.

Goals: at every batch size, concept tokens are at least as fast as generate and within 5 % of the bare passes; they
are at least 10 times as fast as the study's loop. A mixture of the whole vocabulary needs one further product with
the embedding table, which is as much work as the model's head.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.generator.engine.batching import left_pad
from vsg_core.generator.mixing.presets import PLAIN, STUDY, Mixing
from vsg_core.generator.writing.writers import write_concepts

# Positions written after each prompt.
NEW = 16


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_decoding(endless, open_prompts, race, batch):
    """Time all contestants on the same prompts and number of new positions, greedy, with a cache."""
    lm = endless
    prompts = [lm.tokenize(prompt) for prompt in open_prompts[:batch]]
    contestants = {
        "concept tokens, study": lambda: concept_tokens(lm, prompts, NEW, STUDY),
        "concept tokens, plain": lambda: concept_tokens(lm, prompts, NEW, PLAIN),
        "lm.generate": lambda: sum(len(reply.ids) for reply in lm.generate(prompts, NEW)),
        "transformers' generate": lambda: transformers_generate(lm, prompts),
        "bare passes": lambda: bare_passes(lm, prompts),
    }
    # Single rounds differ by up to a tenth.
    race(f"batch {batch}", contestants, rounds=15)


def test_the_studys_loop(endless, open_prompts, race):
    """Write 3 concept tokens after each of 40 prompts."""
    lm = endless
    prompts = [lm.tokenize(prompt) for prompt in open_prompts[:40]]
    contestants = {
        "concept tokens, study": lambda: concept_tokens(lm, prompts, 3, STUDY),
        "study's loop": lambda: sum(study_loop(lm, prompt, 3, metrics=False) for prompt in prompts),
        "study's, with metrics": lambda: sum(study_loop(lm, prompt, 3, metrics=True) for prompt in prompts),
    }
    race("3 vectors x 40 prompts", contestants, rounds=3)


def concept_tokens(lm: LanguageModel, prompts: list[Tensor], n: int, mixing: Mixing) -> int:
    return sum(len(trace.steps) for trace in write_concepts(lm, prompts, n, mixing))


def transformers_generate(lm: LanguageModel, prompts: list[Tensor]) -> int:
    ids, mask = left_pad(engine_of(lm), prompts)
    replies = engine_of(lm).model.generate(
        ids, attention_mask=mask, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, pad_token_id=0
    )
    return replies[:, ids.shape[1] :].numel()


@torch.no_grad()
def bare_passes(lm: LanguageModel, prompts: list[Tensor]) -> int:
    """Run only the forward passes that decoding needs, with nothing between them."""
    ids, mask = left_pad(engine_of(lm), prompts)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=engine_of(lm).model.config)
    for _ in range(NEW):
        engine_of(lm).model(
            ids, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True, logits_to_keep=1
        )
        ids, positions = ids[:, -1:], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return NEW * len(prompts)


@torch.no_grad()
def study_loop(lm: LanguageModel, ids: Tensor, n: int, metrics: bool) -> int:
    """Decode as the study did: one prompt at a time, no cache, the whole sequence again at each step.

    Its published runs also computed metrics at each step; these search for the nearest token.
    """
    table = lm.embedding_table
    sequence = lm.embed(ids).unsqueeze(0)  # [1, seq, hidden]
    for _ in range(n):
        logits = engine_of(lm).model(inputs_embeds=sequence).logits[:, -1]
        probabilities = (logits / 0.8).softmax(-1)
        weights, tokens = probabilities.topk(50)
        weights = weights**1.5
        vector = ((weights / weights.sum(-1, keepdim=True)).unsqueeze(-1) * lm.embed(tokens)).sum(1)
        longest = 1.5 * table.norm(dim=-1).mean()
        vector = vector * (longest / vector.norm()).clamp(max=1)
        if metrics:
            probabilities = probabilities.clamp(min=1e-10)
            # The entropy.
            (probabilities * probabilities.log()).sum().item()
            torch.cdist(vector.unsqueeze(0), table.unsqueeze(0)).min(-1)
        sequence = torch.cat([sequence, vector.unsqueeze(1)], dim=1)
    return n
