"""Tiny random models with a tokenizer that knows the words of given texts, to try the shapes of claims on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from vsg_core.vocabulary import Kind

WORD = re.compile(r"[A-Za-z]+|\d{1,3}")
# The most words that become single tokens; the most frequent ones come first.
MOST_WORDS = 20_000
# Positions: more than the longest prompt of a claim with what follows it.
CONTEXT = 2048
HIDDEN, LAYERS, HEADS = 16, 4, 2
# The standard deviation of the weights. With the usual 0.02 nearly every prompt has the same continuation.
SPREAD = 0.3
# The tokens that a model writes more often than others, so that some of its replies are answers; and how much
# longer their embeddings are.
FAVOURITES = {"base": re.compile(r"Ġ?\d{1,2}"), "instruct": re.compile(r"Ġ[A-Z][a-z]+")}
LONGER = 2.0
BEGIN, START, END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def random_model(kind: Kind, texts: Iterable[str]) -> tuple[Any, Any]:
    """Build a random model of four layers and its tokenizer, the same for the same texts.

    The base model is a GPT-2, with learned positions; the instruct model is a Llama with a chat template.

    Args:
        texts: their words in Latin letters become single tokens, alone and after a space; all else is split into bytes.
    """
    tokenizer = _tokenizer(kind, texts)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    sizes = {"vocab_size": len(tokenizer), "initializer_range": SPREAD, "max_position_embeddings": CONTEXT}
    # The claims' own draws are left as they are.
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model: Any
        if kind == "base":
            shape = {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT}
            config = transformers.GPT2Config(**ids, **sizes, **shape)
            model = transformers.GPT2LMHeadModel(config)
        else:
            shape = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
            config = transformers.LlamaConfig(
                **ids,
                **sizes,
                **shape,
                intermediate_size=2 * HIDDEN,
                num_key_value_heads=HEADS,
                tie_word_embeddings=True,
            )
            model = transformers.LlamaForCausalLM(config)
    favourites = [i for token, i in tokenizer.get_vocab().items() if FAVOURITES[kind].fullmatch(token)]
    model.get_input_embeddings().weight.data[favourites] *= LONGER
    return model.eval(), tokenizer


def _tokenizer(kind: Kind, texts: Iterable[str]) -> Any:
    words = Counter(word for text in texts for word in WORD.findall(text))
    common = sorted(word for word, _ in words.most_common(MOST_WORDS))
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        # No limit: every word is merged to one token.
        vocab_size=10 * MOST_WORDS,
        min_frequency=1,
        special_tokens=[BEGIN, START, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([text for word in common for text in (word, f" {word}")], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BEGIN, eos_token=END if kind == "instruct" else BEGIN, pad_token=PAD
    )
    if kind == "instruct":
        tokenizer.chat_template = CHAT
    return tokenizer
