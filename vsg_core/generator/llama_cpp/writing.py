"""A float32 GGUF file written from the safetensors that transformers runs, number for number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vsg_core.errors import VsgError
from vsg_core.generator.engine.headers import tensors, weight_files

# Increase it when the file written for the same folder changes.
WRITER = 1
# GGUF's name of each model_type of transformers.
ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "gemma3_text": "gemma3"}
# Settings that llama.cpp does not know, and the values with which they change nothing.
INERT: dict[str, tuple[Any, ...]] = {
    "attn_logit_softcapping": (None,),
    "use_bidirectional_attention": (None, False),
    "use_sliding_window": (None, False),
    "mlp_bias": (None, False),
    "pretraining_tp": (None, 1),
}
ACTIVATIONS = {"llama": "silu", "qwen2": "silu", "gemma3": "gelu_pytorch_tanh"}
# Layers of the one gemma3 whose attention llama.cpp scales by its width over its heads.
SCALED_BY_WIDTH = 62


def write_float32_gguf(folder: Path, target: Path) -> None:
    """Write the weights of a folder of safetensors as a float32 GGUF file, without a vocabulary.

    Llama.cpp lays out llama's rotary pairs next to each other and adds 1 to none of gemma's norms, so rows are
    reordered, and ones added as transformers adds them. No other number changes.

    Raises:
        VsgError: llama.cpp would compute another model; the message names the architecture or the setting.
    """
    from gguf import GGUFWriter

    config = read_config(folder)
    architecture = check_architecture(folder, config)
    writer = GGUFWriter(target, architecture)
    try:
        _write_settings(writer, architecture, config)
        named = dict(_named(folder, architecture, config))
        for name, (_, shape, _) in named.items():
            count = int(np.prod(shape))
            writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * count)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for source, shape, change in named.values():
            values = change(read_tensor(folder, source).float()).contiguous().numpy()
            assert values.shape == shape
            writer.write_tensor_data(values)
    finally:
        writer.close()


def read_config(folder: Path) -> Any:
    """Read the configuration as transformers does, with its defaults."""
    from vsg_core.generator.engine.architecture import open_config

    return open_config(folder, sum(1 for _ in tensors(folder))).get_text_config()


def check_architecture(folder: Path, config: Any) -> str:
    """Return GGUF's name of the architecture, if llama.cpp computes what transformers does.

    Raises:
        VsgError: it would not, or not with these settings.
    """
    kind = config.model_type
    if kind not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise VsgError(
            f"{folder} has the architecture {kind}, which is not written for llama.cpp (only {known}): "
            "use the engine transformers"
        )
    architecture = ARCHITECTURES[kind]
    settings = {name: getattr(config, name, None) for name in INERT}
    wrong = {name: value for name, value in settings.items() if value not in INERT[name]}
    activation = getattr(config, "hidden_activation", None) or getattr(config, "hidden_act", None)
    if activation != ACTIVATIONS[architecture]:
        wrong["hidden_act"] = activation
    for place, rope in _ropes(config).items():
        if rope.get("rope_type", "default") != "default":
            wrong[place] = rope["rope_type"]
    if wrong:
        name, value = next(iter(wrong.items()))
        raise VsgError(
            f"{folder} sets {name} to {value!r}, which is not written for llama.cpp: use the engine transformers"
        )
    return architecture


def read_tensor(folder: Path, name: str) -> torch.Tensor:
    """Read one tensor of a folder of safetensors; it is mapped, not copied.

    Raises:
        VsgError: no file has it.
    """
    from safetensors import safe_open

    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118
                found: torch.Tensor = file.get_tensor(name)
                return found
    raise VsgError(f"{folder} has no tensor {name}: its weights are not those of its configuration")


def head_dim(config: Any) -> int:
    """The width of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _ropes(config: Any) -> dict[str, dict[str, Any]]:
    """The rotary settings by kind of layer; those of all layers under rope_parameters."""
    found = config.rope_parameters
    return found if "full_attention" in found else {"rope_parameters": found}


def _write_settings(writer: Any, architecture: str, config: Any) -> None:
    from gguf import LlamaFileType

    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    # Ids and vectors come from outside, so the file needs no words, only their number.
    writer.add_tokenizer_model("none")
    ropes = _ropes(config)
    whole = ropes.get("full_attention") or ropes["rope_parameters"]
    writer.add_rope_freq_base(whole["rope_theta"])
    if architecture == "gemma3":
        writer.add_sliding_window(config.sliding_window)
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
        writer.add_rope_freq_base_swa(ropes["sliding_attention"]["rope_theta"])
        if config.final_logit_softcapping is not None:
            writer.add_final_logit_softcapping(config.final_logit_softcapping)


Change = Callable[[torch.Tensor], torch.Tensor]


def _named(
    folder: Path, architecture: str, config: Any
) -> Iterator[tuple[str, tuple[str, tuple[int, ...], Change]]]:
    """Yield for each tensor of the folder: GGUF's name, (its own name, its shape, how its values change)."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kind = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(kind, config.num_hidden_layers)
    for tensor in tensors(folder):
        if tensor.name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = names.get_name(tensor.name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise VsgError(f"{folder} has the tensor {tensor.name}, which llama.cpp's {architecture} has not")
        yield name, (tensor.name, tensor.shape, _change(tensor.name, architecture, config))


def _change(name: str, architecture: str, config: Any) -> Change:
    """Return how the values of a tensor change between the two layouts."""
    if architecture == "llama" and "q_proj" in name:
        return lambda values: _pairs(values, config.num_attention_heads)
    if architecture == "llama" and "k_proj" in name:
        return lambda values: _pairs(values, config.num_key_value_heads)
    if architecture == "gemma3" and name.endswith("norm.weight"):
        factor = _query_factor(config) if "q_norm" in name else 1.0
        return lambda values: (1.0 + values) * factor
    return lambda values: values


def _pairs(values: torch.Tensor, heads: int) -> torch.Tensor:
    """Put the two halves of each head's rows [heads * width, ...] next to each other, pair by pair."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.transpose(1, 2).reshape(values.shape)


def _query_factor(config: Any) -> float:
    """The factor on gemma3's queries that turns llama.cpp's scale of the attention into the configuration's."""
    width = head_dim(config)
    if config.num_hidden_layers == SCALED_BY_WIDTH:
        width = config.hidden_size // config.num_attention_heads
    return float((width / config.query_pre_attn_scalar) ** 0.5)
