"""Facts that a model's configuration and modules state: context, borders, position table, end tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from vsg_core.errors import VsgError
from vsg_core.generator.engine.split import detached, device_of

# Names that configurations give to the number of positions that a model was built for.
CONTEXTS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length")
POSITION_TABLES = ("wpe", "embed_positions", "position_embeddings")
# Names of settings that hold a number of positions at which the computation changes.
BORDER = re.compile(
    r"(window|window_size|window_length|chunk_size|chunk_length|block_size|block_length|local_size|local_attention"
    r"|radius|floor_scale|index_topk|dense_len|original_max_position_embeddings)$"
)
# Positions of the chunks in which linear attention computes, where no setting names them.
CHUNK = 64
# Tokens that a configuration names and that text may contain; others stand for images and sounds.
OF_TEXT = re.compile(r"^(bos|eos|pad|unk|sep|cls|mask|decoder_start|forced_\w+)_token_(id|index)$")


def context_of(model: PreTrainedModel) -> int | None:
    """Number of positions the model was built for; None if it has no limit (relative positions)."""
    config, table = model.config.get_text_config(), position_table(model)
    found = (getattr(config, name, None) for name in CONTEXTS)
    stated = next((value for value in found if isinstance(value, int) and value > 0), None)
    if table is None:
        return None if model.config.is_encoder_decoder else stated
    return len(table) if stated is None else min(stated, len(table))


def position_table(model: PreTrainedModel) -> Tensor | None:
    """[positions, hidden] learned absolute position embeddings, which the model adds itself; None if it has none."""
    for name, module in model.base_model.named_modules():
        if name.split(".")[-1] in POSITION_TABLES and isinstance(module, torch.nn.Embedding):
            table = detached(module, device_of(model.get_input_embeddings()))
            return table[getattr(module, "offset", 0) :]
    return None


def embedding_scale(model: PreTrainedModel) -> float:
    """The factor that an encoder-decoder applies to the embeddings of ids and not to vectors (Marian, Pegasus)."""
    if not model.config.is_encoder_decoder or hasattr(model.get_input_embeddings(), "embed_scale"):
        return 1.0
    scale = getattr(model.get_encoder(), "embed_scale", None)
    return float(scale) if isinstance(scale, (int, float)) else 1.0


def borders(model: PreTrainedModel) -> list[int]:
    """Numbers of positions at which a model's configuration says that its computation changes, in order.

    These are attention windows and chunks, blocks, and the original context of a stretched one.
    """
    named = {value for name, value in _numbers(model.config.get_text_config()) if BORDER.search(name)}
    chunks = {CHUNK} if getattr(model, "_is_stateful", False) else set()
    return sorted(value for value in named | chunks if value > 1)


def stretched(model: PreTrainedModel) -> set[int]:
    """The original contexts of a model whose positions are stretched for longer sequences."""
    numbers = _numbers(model.config.get_text_config())
    return {value for name, value in numbers if name == "original_max_position_embeddings"}


def placeholders(model: PreTrainedModel) -> set[int]:
    """Ids of tokens that stand for an image or a sound, which text cannot contain."""
    named = re.compile(r"_token_(id|index)$")
    numbers = _numbers(model.config)
    return {value for name, value in numbers if named.search(name) and not OF_TEXT.search(name)}


def end_ids(model: PreTrainedModel, special: frozenset[int]) -> frozenset[int]:
    """Collect the tokens that a model's generation configuration and configuration name as ends: see `named_ends`."""
    given = (getattr(part, "eos_token_id", None) for part in (model.config, model.config.get_text_config()))
    generation = getattr(model, "generation_config", None)
    return named_ends(getattr(generation, "eos_token_id", None), given, special)


def named_ends(generation: Any, configured: Iterable[Any], special: frozenset[int]) -> frozenset[int]:
    """Collect the tokens that the configurations of a model name as ends.

    Args:
        generation: `eos_token_id` of the configuration for generation: an id, a list of ids, or None.
        configured: the same of the other configurations, which count in full only where `generation` names none: a
            class of configurations has a default, which may be an ordinary word of this tokenizer.
        special: the tokenizer's special tokens.

    Raises:
        VsgError: one of them names something that is not an id.
    """
    named = _ids(generation)
    others = {i for each in configured for i in _ids(each)}
    return frozenset(named | (others & special if named else others))


def _numbers(config: Any) -> Iterator[tuple[str, int]]:
    """The whole numbers of a configuration by name, those inside dictionaries and lists included."""
    pending = list(config.to_dict().items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            pending.extend((str(key), each) for key, each in value.items())
        elif isinstance(value, list):
            pending.extend((name, each) for each in value)
        elif type(value) is int:
            yield name, value


def _ids(given: Any) -> set[int]:
    """Read an `eos_token_id`: an id or a list of ids, None left out."""
    ids = given if isinstance(given, (list, tuple, set)) else [given]
    if wrong := [i for i in ids if i is not None and not str(i).strip().lstrip("-").isdigit()]:
        raise VsgError(f"the configuration's eos_token_id has {wrong[0]!r}: give the id of a token")
    # -1 is how some configurations say that there is none.
    return {int(i) for i in ids if i is not None and int(i) >= 0}
