"""Checks of what transformers reads of a GGUF file: before its tensors are read, and after they were taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, __version__
from transformers.integrations.ggml import GGUF_CONFIG_MAPPING
from transformers.integrations.gguf.dequant import GGML_BLOCK
from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS
from transformers.integrations.gguf.gguf_tokenizer_mapping import (
    GGUF_PRE_TOKENIZER_SPLITS,
    GGUF_TOKENIZER_TYPES,
)
from transformers.integrations.gguf.reader import read_gguf_metadata
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from vsg_core.errors import VsgError

# Pre-tokenizers that split text as GPT-2 does, which is what transformers takes for one that it does not know.
AS_GPT2 = {
    "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "roberta-bpe", "gigachat", "mpt", "olmo",
    "jais", "trillion", "exaone4", "granite-docling", "mellum", "modern-bert", "a.x-4.0",
}  # fmt: skip
# Those that also split numbers into digits: the same, as long as no token holds two of them, or a space and one.
DIGITS_APART = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
SEVERAL_DIGITS = re.compile(r"[Ġ0-9][0-9]")
# Settings that the shapes of the tensors also state, so that they cannot be lost silently; that change no number; or
# that are compared with the configuration.
IN_SHAPES = re.compile(
    r".*(epsilon|feed_forward_length|key_length|value_length|vocab_size|dimension_count|_count)$|tensor_data_layout"
)
# Values with which a setting does nothing; a scale also does nothing if it is one, and attention that is causal.
NEUTRAL = (0, "", "none")
TOKENS = "tokenizer.ggml.tokens"
# What a header that does not name its types' blocks may leave to transformers' older reader.
FLOATS = {0, 1, 30}


def check_gguf(path: Path, fields: Mapping[str, Any], types: Mapping[str, int]) -> None:
    """Check that transformers can read a GGUF file, from its header.

    Args:
        fields: the header's numbers and strings by key; of an array any value with its length as `count`.
        types: the name of a tensor of each type, and the number of its type.

    Raises:
        VsgError: it cannot read the architecture, the tokenizer, a type or a setting.
    """
    architecture = str(fields["general.architecture"])
    _check_types(path, architecture, types)
    _check_tokenizer(path, fields)
    if architecture not in GGUF_ARCHS:
        _check_settings(path, architecture, fields)


def gguf_bytes(path: Path) -> int:
    """Return the bytes that the model described by a GGUF's header takes in float32, without allocating them.

    Raises:
        VsgError: transformers cannot convert its architecture, or takes another epsilon.
    """
    try:
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    except ValueError as error:
        if "not supported" not in str(error):
            raise
        architecture = read_gguf_metadata(str(path))[0]["general.architecture"]
        raise VsgError(
            f"{path} is a {architecture} model, an architecture that transformers {__version__} cannot convert from "
            "GGUF: load its safetensors"
        ) from error
    _check_epsilons(path, config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    held = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in held.values())


def _check_epsilons(path: Path, config: PretrainedConfig) -> None:
    """Check that an epsilon of the header is the configuration's, which names it in many ways."""
    taken = [value for name, value in config.to_dict().items() if name.endswith(("eps", "epsilon"))]
    for key, value in read_gguf_metadata(str(path))[0].items():
        named = key.endswith("epsilon") and isinstance(value, float)
        if named and not any(isinstance(own, float) and isclose(value, own, rel_tol=1e-6) for own in taken):
            raise VsgError(
                f"{path} sets {key} to {value:.6g}, and transformers {__version__} takes "
                f"{' or '.join(map(str, taken)) or 'none'}: load its safetensors"
            )


def check_taken(path: Path, model: PreTrainedModel, loading: Mapping[str, Any]) -> None:
    """Refuse a GGUF with a tensor that no parameter took.

    Args:
        loading: what from_pretrained reports about the load.

    Raises:
        VsgError: the message names the tensor.
    """
    fields, names = read_gguf_metadata(str(path))
    architecture = fields["general.architecture"]
    unexpected = list(loading.get("unexpected_keys", ()))
    left = unexpected if architecture in GGUF_ARCHS else _left(architecture, model, names)
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        hint = ": its positions are scaled" if any("rope_" in name for name in left) else ""
        raise VsgError(
            f"{path} has tensors that transformers {__version__} does not read for {architecture} "
            f"({left[0]}{more}{hint}), so the result would be a different model: load its safetensors"
        )
    for name, stored, described in sorted(loading.get("mismatched_keys", ()))[:1]:
        raise VsgError(
            f"{path}: {name} has the shape {list(stored)} in the file, and its header describes {list(described)}: "
            "its header belongs to a different model"
        )
    _state_ties(model)


def _left(architecture: str, model: PreTrainedModel, names: Iterable[str]) -> list[str]:
    """The tensors that the reader for all other architectures drops without a word."""
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=model.config.to_dict())
    taken = set(get_gguf_hf_weights_map(model, processor))
    # These go by other names on their way.
    taken |= {f"{name}.weight" for name in taken if "_exps" in name}
    if architecture == "gpt2":
        taken.add("output.weight")
    return [name for name in names if name not in taken]


def _state_ties(model: PreTrainedModel) -> None:
    """Let the configuration say whether head and embedding table are one, which it does not for all architectures."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False


def _check_types(path: Path, architecture: str, types: Mapping[str, int]) -> None:
    for name, number in types.items():
        kind = GGMLQuantizationType(number)
        if number in FLOATS or (architecture in GGUF_ARCHS and number in GGML_BLOCK):
            continue
        block = np.zeros((1, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
        try:
            if architecture in GGUF_ARCHS:
                raise NotImplementedError
            dequantize(block, kind)
        except NotImplementedError as error:
            raise VsgError(
                f"{name} in {path} is of type {kind.name}, which cannot be converted to float32: get the model in "
                "another quantisation"
            ) from error


def _check_settings(path: Path, architecture: str, fields: Mapping[str, Any]) -> None:
    """Refuse settings of the model that transformers leaves out of the configuration."""
    known = _known_settings(architecture)
    if not known:
        return
    own = {key.removeprefix(f"{architecture}."): key for key in fields if key.startswith(f"{architecture}.")}
    if not any(name.endswith("epsilon") for name in own):
        raise VsgError(f"{path} does not set the epsilon of its norms: it is not a whole language model")
    if (
        architecture == "llama"
        and fields.get("general.name") == "mistral"
        and "attention.sliding_window" not in own
    ):
        raise VsgError(
            f"{path} is named 'mistral' (general.name), and transformers {__version__} then adds a sliding window that "
            "the file does not state: load its safetensors"
        )
    for setting, key in own.items():
        value = fields[key]
        if setting in known or IN_SHAPES.fullmatch(setting) or _is_neutral(setting, value):
            continue
        scaling = fields.get(f"{architecture}.rope.scaling.type", "none")
        if setting.startswith("rope.scaling.") and scaling in NEUTRAL and setting != "rope.scaling.factor":
            continue
        raise VsgError(
            f"{path} sets {key} to {repr(value)[:60]}, which transformers {__version__} does not read, so the result "
            "would be a different model: load its safetensors"
        )


def _is_neutral(setting: str, value: Any) -> bool:
    if setting == "attention.causal":
        return bool(value)
    return value in NEUTRAL or (setting.endswith(("scale", "factor")) and value == 1)


def _known_settings(architecture: str) -> set[str]:
    """The settings that transformers reads; its names of architectures have underscores."""
    plain = re.sub(r"[-_]", "", architecture)
    return {
        setting
        for name, settings in GGUF_CONFIG_MAPPING.items()
        if re.sub(r"[-_]", "", name) == plain
        for setting in settings
    }


def _check_tokenizer(path: Path, fields: Mapping[str, Any]) -> None:
    """Refuse a tokenizer that transformers does not build, or would build with another way of splitting text."""
    kind, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    if kind is None or TOKENS not in fields:
        raise VsgError(f"{path} has no tokenizer (tokenizer.ggml.model): get a GGUF that has one")
    if kind not in GGUF_TOKENIZER_TYPES:
        raise VsgError(
            f"{path} has a tokenizer of the kind {repr(kind)[:60]}, and transformers {__version__} builds "
            f"{', '.join(GGUF_TOKENIZER_TYPES)}: load its safetensors"
        )
    count = fields[TOKENS].count
    for name in ("bos", "eos", "unknown", "padding"):
        token = fields.get(key := f"tokenizer.ggml.{name}_token_id")
        if token is not None and not (isinstance(token, int) and 0 <= token < count):
            raise VsgError(
                f"{path} sets {key} to {token}, but its tokenizer has {count:,} tokens: download it again"
            )
    if kind == "gpt2" and "tokenizer.ggml.merges" not in fields:
        raise VsgError(f"{path} has no tokenizer.ggml.merges, which a tokenizer of the kind 'gpt2' needs")
    # A file without a rule splits text as GPT-2 does, after which this kind of tokenizer is named.
    if kind != "gpt2" or split is None or split in GGUF_PRE_TOKENIZER_SPLITS or split in AS_GPT2:
        return
    if split in DIGITS_APART:
        tokens = read_gguf_metadata(str(path), (TOKENS,))[0][TOKENS]
        if not any(map(SEVERAL_DIGITS.search, tokens)):
            return
    raise VsgError(
        f"{path} splits text by the rule {repr(split)[:60]} (tokenizer.ggml.pre), which transformers {__version__} "
        "does not know: load its safetensors"
    )
