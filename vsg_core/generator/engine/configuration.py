"""A model's positions by its configuration and modules: context, borders, position table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

# Names that configurations give to the number of positions that a model was built for.
CONTEXTS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length")
POSITION_TABLES = ("wpe", "embed_positions", "position_embeddings")
# Names of settings that hold a number of positions at which the computation changes.
BORDER = re.compile(
    r"(window|window_size|chunk_size|chunk_length|block_size|block_length|local_attention"
    r"|original_max_position_embeddings)$"
)


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
            return module.weight.detach()[getattr(module, "offset", 0) :]
    return None


def borders(config: Any) -> list[int]:
    """Numbers of positions at which the configuration says that the computation changes, in order.

    These are attention windows and chunks, blocks, and the original context of a stretched one.
    """
    named = (value for name, value in _settings(config.get_text_config()) if BORDER.search(name))
    return sorted({value for value in named if type(value) is int and value > 1})


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """The settings of a configuration by name, those inside dictionaries included."""
    pending = list(config.to_dict().items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            pending.extend((str(key), each) for key, each in value.items())
        yield name, value
