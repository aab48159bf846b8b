"""A tiny random model of every text architecture of transformers, built from its configuration class.

Sizes are set by their usual names, wherever a configuration has them; what an architecture needs besides is in
`special.py`, as data. Windows, chunks and original contexts are shrunk so that short sequences cross them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto

from tests.support.architectures import END, ROWS
from tests.sweep.special import ABSENT, CLASSES, SETTINGS, VARIANTS, Settings

CONTEXT, WINDOW, CHUNK = 64, 6, 8
HIDDEN, INNER, HEADS, HEAD = 32, 48, 4, 8
LAYERS = 2
# A hybrid gets as many layers as it has kinds of layer, up to this.
MOST_LAYERS = 6
MOST_WEIGHTS = 5_000_000

# Values by name of a setting, in every configuration that has the name.
SIZES: Mapping[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "emb_dim", "dim_model"), HIDDEN),
    **dict.fromkeys(("lru_width", "embedding_dim", "text_hidden_size", "decoder_hidden_size"), HIDDEN),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim", "d_ff", "n_inner", "intermediate_size"), INNER),
    **dict.fromkeys(("dff", "dim_ff", "ffn_hidden_size", "d_inner", "mlp_hidden_size"), INNER),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "intermediate_size_mlp"), 24),
    **dict.fromkeys(("moe_shared_expert_intermediate_size", "expert_ffn_hidden_size", "shared_intermediate_size"), 24),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"), LAYERS),
    **dict.fromkeys(("decoder_layers", "num_decoder_layers", "num_encoder_layers", "depth", "num_blocks"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), HEADS),
    **dict.fromkeys(("decoder_attention_heads", "num_encoder_attention_heads"), HEADS),
    **dict.fromkeys(("num_decoder_attention_heads", "swa_num_attention_heads"), HEADS),
    **dict.fromkeys(("num_key_value_heads", "swa_num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_dim", "dim_head", "kv_channels", "swa_head_dim"), HEAD),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"), CONTEXT),
    **dict.fromkeys(("max_source_positions", "max_target_positions", "max_encoder_position_embeddings"), CONTEXT),
    **dict.fromkeys(("max_decoder_position_embeddings", "max_sequence_length"), CONTEXT),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "decoder_vocab_size"), ROWS),
    **dict.fromkeys(("sliding_window", "window_size", "attention_window_size", "sliding_window_size"), WINDOW),
    **dict.fromkeys(("attention_chunk_size", "chunk_size", "mamba_chunk_size"), CHUNK),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "n_expert"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", "top_k_experts"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "num_shared_experts", "moe_num_shared_experts"), 1),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "o_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "index_head_dim"), HEAD),
    # Scores of few heads are often all 0, and equal ones are drawn from.
    "index_n_heads": 16,
    "qk_head_dim": 2 * HEAD, "index_topk": 8,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": HEAD,
    "linear_value_head_dim": HEAD, "linear_conv_kernel_dim": 4, "linear_head_dim": HEAD, "linear_num_heads": HEADS,
    "state_size": 8, "mamba_d_state": 8, "ssm_state_size": 8, "mamba_n_heads": 4, "mamba_d_head": 16,
    "mamba_n_groups": 1, "mamba_ngroups": 1, "n_mamba_heads": 4, "mamba_num_heads": 4, "mamba_head_dim": 16,
    "n_groups": 1, "mamba_dt_rank": 4, "time_step_rank": 4, "mamba_d_ssm": 64, "mamba_headdim": 16,
    "hidden_size_per_layer_input": 8, "first_k_dense_replace": 1, "attention_hidden_size": HIDDEN,
    "type_vocab_size": 2, "image_size": 16, "patch_size": 8, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12, "projection_dim": HIDDEN, "out_hidden_size": HIDDEN,
    "bos_token_id": 0, "eos_token_id": END, "pad_token_id": ROWS - 1, "use_cache": True, "is_decoder": True,
    "num_nextn_predict_layers": 0, "conv_L_cache": 3, "adapter_dim": 8,
}  # fmt: skip
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
TOKEN = re.compile(r"(token_ids?|token_index|_id|_ids|sep_index|cls_index)$")
DROPOUT = re.compile(r"(dropout|drop|drop_rate|pdrop|layerdrop|jitter|jitter_noise)(_prob|_rate|_p)?$")
# Parameters of a recurrence, kept near what the architecture initialises: random ones explode or forget at once.
RECURRENT = re.compile(r"(A_log|dt_bias|\bD|time_decay|time_first|recurrent_param|decay|dt_proj\.bias)$")


def names() -> list[str]:
    """List every entry as "architecture" or "architecture variant": causal models, then text encoder-decoders."""
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    seq2seq = modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    plain = [*causal, *(f"{name} encoder-decoder" if name in causal else name for name in seq2seq)]
    return [*(name for name in plain if name not in ABSENT), *VARIANTS]


def build(name: str) -> PreTrainedModel:
    """Build the tiny model of an entry, in float32; its weights depend on nothing but its name.

    Raises:
        Exception: whatever transformers raises where a tiny configuration is not possible.
    """
    config = configuration(name)
    kind = _class_of(name)
    with torch.device("meta"):
        count = sum(weight.numel() for weight in kind(config).parameters())
    if count > MOST_WEIGHTS:
        raise ValueError(f"{count} weights, above {MOST_WEIGHTS}")
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        model = kind(configuration(name))
        _draw(model)
    return model.eval()


def _draw(model: PreTrainedModel) -> None:
    """Draw weights so large that every position, head and layer affects the logits."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.is_floating_point():
                continue
            if RECURRENT.search(name) or weight.dim() < 2:
                weight.add_(torch.randn_like(weight) * 0.1)
            else:
                weight.normal_(std=1.5 / weight.shape[-1] ** 0.5)


def _class_of(name: str) -> type[PreTrainedModel]:
    architecture, _, variant = name.partition(" ")
    if name in CLASSES:
        return getattr(transformers, CLASSES[name])
    mappings = [
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    ]
    if variant.startswith("encoder-decoder"):
        mappings = mappings[1:]
    found = next(mapping[architecture] for mapping in mappings if architecture in mapping)
    return getattr(transformers, found if isinstance(found, str) else found[0])


def configuration(name: str) -> PreTrainedConfig:
    """Make the tiny configuration of an entry."""
    architecture = name.partition(" ")[0]
    settings: Settings = {**SETTINGS.get(architecture, {}), **VARIANTS.get(name, {})}
    kind = type(AutoConfig.for_model(architecture))
    expected = _class_of(name).config_class
    # The language model inside a multimodal one has a configuration of its own.
    kind = expected if expected is not None and not issubclass(kind, expected) else kind
    if _has_both(architecture) and "encoder-decoder" not in name:
        settings = {"is_encoder_decoder": False, **settings}
    elif getattr(kind(), "is_encoder_decoder", False):
        settings = {"decoder_start_token_id": 1, **settings}
    return _configure(kind, settings)


def _has_both(architecture: str) -> bool:
    """Return whether an architecture is an encoder-decoder whose decoder is a causal model of its own."""
    causal = architecture in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return causal and bool(getattr(AutoConfig.for_model(architecture), "is_encoder_decoder", False))


def _configure(kind: type[PreTrainedConfig], settings: Settings) -> PreTrainedConfig:
    """Make a configuration with tiny sizes, then the given settings; dictionaries of settings go to parts."""
    default = kind()
    parts = {name for name in kind.sub_configs if isinstance(vars(default).get(name), PreTrainedConfig)}
    chosen: Settings = {name: _configure(type(vars(default)[name]), settings.get(name, {})) for name in parts}
    known = default.to_dict()
    for name in known.keys() - parts - kind.attribute_map.keys():
        value = _tiny(name, known[name])
        if value is not None:
            chosen[name] = value
    for old, new in kind.attribute_map.items():
        if old in SIZES and new in known and new not in SIZES:
            chosen[new] = SIZES[old]
    if known.get("kv_lora_rank") is not None:
        # Latent attention has keys and values for each head.
        chosen["num_key_value_heads"] = HEADS
    chosen |= _shortened(default, chosen)
    chosen |= {name: value for name, value in settings.items() if name not in parts}
    return kind(**{name: value for name, value in chosen.items() if value is not ...})


def _tiny(name: str, value: Any) -> Any:
    """Return the tiny value of a setting; None to leave it as it is."""
    if name in SIZES:
        return SIZES[name]
    if TOKEN.search(name) and isinstance(value, int) and value >= ROWS:
        return ROWS - 2
    if TOKEN.search(name) and isinstance(value, list) and value and all(isinstance(v, int) for v in value):
        return [END]
    return 0.0 if DROPOUT.search(name) and isinstance(value, float) else None


def _shortened(default: PreTrainedConfig, chosen: Settings) -> Settings:
    """Shorten the lists that have one value per layer, so that every kind of layer still occurs."""
    count = next(
        (getattr(default, n) for n in LAYER_COUNTS if isinstance(getattr(default, n, None), int)), None
    )
    lists = {
        name: value
        for name, value in vars(default).items()
        if isinstance(value, (list, tuple)) and len(value) == count and count > 2 and not name.startswith("_")
    }
    if not lists:
        return {}
    kept: list[int] = []
    seen: set[str] = set()
    for layer, values in enumerate(zip(*lists.values(), strict=True)):
        if str(values) not in seen and len(kept) < MOST_LAYERS:
            seen.add(str(values))
            kept.append(layer)
    kept = kept if len(kept) > 1 else [0, 1]
    found: Settings = {name: type(value)(value[layer] for layer in kept) for name, value in lists.items()}
    return found | {name: len(kept) for name in chosen if name in LAYER_COUNTS}


def failures() -> Iterator[tuple[str, str]]:
    """Try every entry; yield the name and the reason of each that cannot be built."""
    for name in names():
        try:
            build(name)
        except Exception as error:
            yield name, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:150]}"
