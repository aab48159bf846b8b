"""A tiny random model of every architecture in the registry, and the reference logits from transformers itself.

Weights are drawn large enough that every position, head and layer affects the logits. The embedding table is larger
than the vocabulary, as in Qwen or Phi: its last rows are not tokens, though the random head often prefers them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    StableLmConfig,
    T5Config,
)

from tests.support.engines import engine_of
from vsg_core import LanguageModel

# Models this small are slower with more threads.
torch.set_num_threads(1)

# Tokens of the tokenizer, and rows of the embedding table.
TOKENS, ROWS = 60, 72
CONTEXT = 40
# Of sliding or local attention.
WINDOW = 5
END = 2
SPECIAL = ["<s>", "<unk>", "</s>"]
WORDS = [f"w{i}" for i in range(len(SPECIAL), TOKENS)]

_SHARED = {"vocab_size": ROWS, "bos_token_id": 0, "eos_token_id": END, "pad_token_id": ROWS - 1}
_SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip
_GROUPED = _SIZES | {"num_key_value_heads": 2}

# Keyed by the registry's name of the architecture; a second word names a variant.
_CONFIGS: dict[str, Callable[..., Any]] = {
    "gpt2": lambda **k: GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT, **k),
    "gpt_neo": lambda **k: GPTNeoConfig(
        hidden_size=32, num_layers=2, num_heads=4, max_position_embeddings=CONTEXT, window_size=WINDOW,
        attention_types=[[["global", "local"], 1]], **k,
    ),
    "gpt_neox": lambda **k: GPTNeoXConfig(**_SIZES, tie_word_embeddings=False, **k),
    "phi": lambda **k: PhiConfig(**_SIZES, tie_word_embeddings=False, **k),
    "phi3": lambda **k: Phi3Config(**_GROUPED, sliding_window=WINDOW, tie_word_embeddings=False, **k),
    "stablelm": lambda **k: StableLmConfig(**_SIZES, num_key_value_heads=4, tie_word_embeddings=False, **k),
    "stablelm qk_layernorm": lambda **k: StableLmConfig(**_SIZES, num_key_value_heads=4, qk_layernorm=True, **k),
    "llama": lambda **k: LlamaConfig(**_GROUPED, tie_word_embeddings=False, **k),
    "llama tied": lambda **k: LlamaConfig(**_GROUPED, tie_word_embeddings=True, **k),
    "qwen2": lambda **k: Qwen2Config(**_GROUPED, tie_word_embeddings=False, **k),
    "qwen2 tied": lambda **k: Qwen2Config(**_GROUPED, tie_word_embeddings=True, **k),
    "qwen3": lambda **k: Qwen3Config(**_GROUPED, head_dim=8, tie_word_embeddings=False, **k),
    "mistral": lambda **k: MistralConfig(**_GROUPED, sliding_window=WINDOW, tie_word_embeddings=False, **k),
    "gemma3_text": lambda **k: Gemma3TextConfig(
        **_GROUPED, head_dim=16, sliding_window=WINDOW, layer_types=["sliding_attention", "full_attention"], **k
    ),
    "opt": lambda **k: OPTConfig(
        hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=24,
        max_position_embeddings=CONTEXT, **k,
    ),
    "t5": lambda **k: T5Config(
        d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
        tie_word_embeddings=False, decoder_start_token_id=1, **k,
    ),
    "t5 tied": lambda **k: T5Config(
        d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, tie_word_embeddings=True,
        decoder_start_token_id=1, **k,
    ),
}  # fmt: skip
ARCHITECTURES = sorted(_CONFIGS)
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


@cache
def tiny(architecture: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Build the tiny model of an architecture; in every dtype the weights are the same, rounded."""
    config = _CONFIGS[architecture](**_SHARED)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() > 1:
                    weight.normal_(std=1.5 / weight.shape[-1] ** 0.5)
                else:
                    weight.add_(torch.randn_like(weight) * 0.1)
    return LanguageModel(model.to(dtype), tokenizer(architecture.startswith("t5")), name=architecture)


def tokenizer(ends_text: bool = False) -> PreTrainedTokenizerFast:
    """Build a tokenizer that knows SPECIAL and WORDS.

    It closes a text with </s>, as T5's does, if `ends_text`; otherwise it opens the text with <s>.
    """
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "$A </s>" if ends_text else "<s> $A"
    words.post_processor = TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", unk_token="<unk>", eos_token="</s>", pad_token="<unk>"
    )


def reference_logits(
    lm: LanguageModel, sequence: torch.Tensor, fed: Sequence[torch.Tensor] = ()
) -> torch.Tensor:
    """Compute with transformers the logits [vocab] of one sequence alone: no batch, no mask, no cache, one pass.

    Args:
        sequence: ids [seq] or embeddings [seq, hidden]; the encoder's input for an encoder-decoder.
        fed: the following inputs, one id [] or vector [hidden] each; to the decoder for an encoder-decoder.
    """
    model = engine_of(lm).model
    with torch.no_grad():
        if lm.engine.is_encoder_decoder:
            first = torch.tensor(model.config.decoder_start_token_id)
            answer = as_input(lm, [first, *fed], "decoder_")
            logits = model(**as_input(lm, list(sequence)), **answer, use_cache=False).logits
        else:
            logits = model(**as_input(lm, [*sequence, *fed]), use_cache=False).logits
    return logits[0, -1].float().masked_fill(~lm.is_token, -torch.inf)


def as_input(
    lm: LanguageModel, positions: Sequence[torch.Tensor], prefix: str = ""
) -> dict[str, torch.Tensor]:
    """Turn positions, ids [] or vectors [hidden], into the keyword of a transformers model; ids if all are ids."""
    if not any(position.is_floating_point() for position in positions):
        return {f"{prefix}input_ids": torch.stack(list(positions)).unsqueeze(0)}
    module = engine_of(lm).model.get_input_embeddings()
    vectors = [position if position.is_floating_point() else module(position) for position in positions]
    return {f"{prefix}inputs_embeds": torch.stack(vectors).unsqueeze(0)}
