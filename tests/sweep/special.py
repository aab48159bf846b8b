"""Settings that single architectures need besides the usual tiny sizes, and their variants, as data."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]
# The value that leaves a setting to the configuration's own default.
OWN = ...

_ROPE: Settings = {"rope_type": "default", "rope_theta": 10000.0}
_LINEAR = ["linear_attention", "full_attention"]
_SLIDING = ["sliding_attention", "full_attention"]
# As in the published models: positions are counted from the padding token's number plus one.
_PADDED: Settings = {"pad_token_id": 1}
_GEMMA3N: Settings = {
    "num_hidden_layers": 4, "layer_types": _SLIDING * 2, "num_kv_shared_layers": 2, "intermediate_size": [48] * 4,
    "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0], "laurel_rank": 8, "altup_num_inputs": 2,
}  # fmt: skip
_GEMMA4: Settings = {
    "num_hidden_layers": 4, "layer_types": _SLIDING * 2, "num_kv_shared_layers": 2, "head_dim": 8,
    "per_layer_config": OWN, "global_head_dim": 16,
}  # fmt: skip

# By architecture; a dictionary under the name of a part (text_config) holds settings of that part.
SETTINGS: dict[str, Settings] = {
    **dict.fromkeys(
        (
            "camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl",
            "xglm", "m2m_100", "nllb-moe", "prophetnet", "mbart", "bart", "plbart", "ernie",
        ),
        _PADDED,
    ),
    **{name: {"rotary_dim": 8} for name in ("codegen", "gptj")},
    "cohere_compass_text": {
        "layer_types": _SLIDING, "rope_parameters": {"sliding_attention": _ROPE, "full_attention": _ROPE},
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}, "ffn_config": {"moe_top_k": 2}},
    "gemma3n": _GEMMA3N,
    "gemma3n_text": _GEMMA3N,
    **dict.fromkeys(("gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text"), _GEMMA4),
    "dots3_note_text": {"per_layer_config": OWN},
    "dots3_note": {"per_layer_config": OWN},
    **{name: {"unpadded_vocab_size": 60, "rel_extent": 8} for name in ("inkling2_text", "inkling2_loop_text")},
    "lfm2": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2},
    "xmod": {"default_language": "en_XX", **_PADDED},
    "bamba": {"attn_layer_indices": [1], "layer_types": OWN},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 2},
    "zamba2": {
        "hybrid_layer_ids": [1, 3],
        "attention_hidden_size": 64, "attention_head_dim": 16, "mamba_headdim": 16, "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "adapter_rank": 8, "num_key_value_heads": 4,
        "kv_channels": OWN, "num_query_groups": 4,
    },
    "zamba": {
        "attention_hidden_size": 64, "attention_head_dim": 16, "num_hidden_layers": 6, "num_key_value_heads": 4,
        "layers_block_type": ["mamba", "mamba", "hybrid", "mamba", "hybrid", "mamba"],
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {
        "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8], "attn_layers": ["local", "lsh"],
        "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "attention_head_size": 8, "feed_forward_size": 48,
    },
    "roc_bert": {"shape_vocab_size": 72, "pronunciation_vocab_size": 72, "shape_embed_dim": 8,
                 "pronunciation_embed_dim": 8},
    "led": {"attention_window": [4, 4], "pad_token_id": 1, "max_encoder_position_embeddings": 64},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "qwen4_exp_text": {
        "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 16,
        "indexer_compress_ratio": 4, "hc_lowrank": 8, "ple_embed_dim": 16, "ngram_vocab_size_base": 50,
        "make_ngram_vocab_size_divisible_by": 8, "split_ngram_parts": 2, "heads_per_ngram": 2,
    },
    "opt": {"word_embed_proj_dim": 32},
}  # fmt: skip
SETTINGS["qwen4_exp"] = SETTINGS["qwen4_exp_text"]

_LONGROPE: Settings = {
    "max_position_embeddings": 64, "original_max_position_embeddings": 12, "sliding_window": None,
    "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0, "factor": 5.0,
        "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.5, 2.0, 3.0, 4.0],
        "original_max_position_embeddings": 12,
    },
}  # fmt: skip


def _rope(**settings: Any) -> Settings:
    return {"rope_parameters": {"rope_theta": 10000.0, **settings}}


# By "architecture variant".
VARIANTS: dict[str, Settings] = {
    "phi3 longrope": _LONGROPE,
    "llama longrope": _LONGROPE,
    "llama dynamic": _rope(rope_type="dynamic", factor=2.0),
    "llama yarn": _rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=12),
    "llama linear": _rope(rope_type="linear", factor=2.0),
    "llama llama3": _rope(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=12
    ),
    "llama tied": {"tie_word_embeddings": True},
    "llama one layer": {"num_hidden_layers": 1},
    "llama three layers": {"num_hidden_layers": 3},
    "llama biases": {"attention_bias": True, "mlp_bias": True},
    "llama one key head": {"num_key_value_heads": 1},
    "mistral no window": {"sliding_window": None},
    "qwen2 windows": {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    "qwen3 windows": {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    "gemma2 windows first": {"layer_types": _SLIDING},
    "gemma2 soft caps": {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5},
    "gemma3_text windows last": {"layer_types": _SLIDING[::-1]},
    "qwen3_next attention first": {"layer_types": _LINEAR[::-1]},
    "qwen3_next three layers": {"num_hidden_layers": 3, "layer_types": ["linear_attention", *_LINEAR]},
    "qwen3_5_text attention first": {"layer_types": _LINEAR[::-1]},
    "lfm2 attention first": {"layer_types": ["full_attention", "conv"]},
    "lfm2_moe attention first": {"layer_types": ["full_attention", "conv"]},
    "falcon alibi": {"alibi": True},
    "falcon parallel": {"parallel_attn": True, "new_decoder_architecture": False, "multi_query": True},
    "falcon new": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "opt projected": {"word_embed_proj_dim": 24},
    "opt norm last": {"do_layer_norm_before": False, "word_embed_proj_dim": 24},
    "granite multipliers": {
        "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.3, "logits_scaling": 4.0,
    },
    "cohere scaled": {"logit_scale": 0.25},
    "gpt_neox sequential": {"use_parallel_residual": False},
    "gpt2 inverse scales": {"scale_attn_by_inverse_layer_idx": True},
    "stablelm parallel": {"use_parallel_residual": True, "qk_layernorm": True},
    "bert bidirectional": {"is_decoder": False},
    "roberta bidirectional": {"is_decoder": False, **_PADDED},
    "bert relative": {"position_embedding_type": "relative_key"},
    **{
        f"{name} scaled{kind}": {"scale_embedding": True}
        for name in ("bart", "mbart", "marian", "pegasus", "blenderbot", "plbart", "blenderbot-small")
        for kind in ("", " encoder-decoder")
    },
    "m2m_100 unscaled": {"scale_embedding": False, **_PADDED},
    "mt5 tied": {"tie_word_embeddings": True},
    "t5 gated": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "deepseek_v3 dense first": {"first_k_dense_replace": 1, "n_shared_experts": 2},
    # Equal scores are chosen among at random, so that a prefix of a pass is not a pass over the prefix.
    **{f"{name} equal scores": {"index_n_heads": 2} for name in ("axk2", "deepseek_v32", "glm_moe_dsa", "hy_v4")},
    "mamba three layers": {"num_hidden_layers": 3},
    "rwkv rescaled": {"rescale_every": 1},
    "jamba without attention": {"attn_layer_period": 8, "attn_layer_offset": 4},
    "t5 without start": {"decoder_start_token_id": None, "bos_token_id": None},
    "mpt clipped": {"attn_config": {"clip_qkv": 1.0, "alibi": True, "qk_ln": False}},
    "bitnet tied": {"tie_word_embeddings": True},
    "olmo clipped": {"clip_qkv": 0.5},
    "gpt_bigcode many heads": {"multi_query": False},
    "glm partial": _rope(rope_type="default", partial_rotary_factor=0.5),
    "nemotron partial": _rope(rope_type="default", partial_rotary_factor=0.5),
}  # fmt: skip
for _name in [name for name in VARIANTS if name.endswith("scaled encoder-decoder")]:
    # The words come in the order "architecture encoder-decoder scaled".
    VARIANTS[_name.replace("scaled encoder-decoder", "encoder-decoder scaled")] = VARIANTS.pop(_name)
# The class, where it is not that of the mapping.
CLASSES: dict[str, str] = {}
_SPEECH = "reads or writes speech or audio codes"
_PAIR = "made of two models that the caller chooses"
# Entries of transformers' mappings that are not built, with the reason.
ABSENT: dict[str, str] = {
    **dict.fromkeys(
        (
            "musicgen", "musicgen_melody", "seamless_m4t", "seamless_m4t_v2", "nemo_speechlm", "voxtral_realtime",
            "vibevoice_asr", "omniasr", "qwen3_asr", "audioflamingo3", "glmasr", "granite_speech",
            "granite_speech_plus", "musicflamingo", "qwen2_audio", "voxtral", "whisper",
        ),
        _SPEECH,
    ),
    "encoder-decoder": _PAIR,
    **dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), "drafts tokens for another model"),
}  # fmt: skip
