"""The class of transformers that computes the model of a folder: the one that the folder names, or a refusal."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name
from transformers.quantizers import AutoHfQuantizer
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from vsg_core.errors import VsgError
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.headers import read_json

# Texts whose ids show how a tokenizer splits: case, spaces, digits, accents, line ends.
TEXTS = ("the cat", "The Cat sat.", "a  b 12 x3", "Ünï 名", "one\ntwo")
# Settings that hold a number of layers; the configuration itself makes lists of that length.
LAYERS = re.compile(r"layers?$|^depth$|_depth$")
# A configuration may state more layers than its file has tensors only by sharing them.
SLACK = 1000
# Keys by which a configuration would make loading read other files, or run a kernel from the hub.
REDIRECTS = ("transformers_weights", "attn_implementation", "_attn_implementation", "experts_implementation")
# The packages of methods whose own message does not name them.
PACKAGES = {"hqq": "hqq", "quark": "amd-quark"}


def open_config(folder: Path, tensors: int) -> Any:
    """Read the configuration of a model, without its own code.

    Args:
        tensors: number of tensors of the weights, which no number of layers may exceed by far.

    Raises:
        VsgError: the library does not know the model, or the configuration contradicts itself.
    """
    content = read_json(folder / "config.json")
    _check_layers(folder, content, tensors)
    if redirect := next((key for key in REDIRECTS if content.get(key)), None):
        raise VsgError(
            f"{folder / 'config.json'} sets {redirect} to {content[redirect]!r}: remove that setting"
        )
    kind = content.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        if isinstance(code := content.get("auto_map"), dict) and code:
            raise VsgError(
                f"{folder} needs code of its own (model_type {kind!r}, {next(iter(code.values()))}), which is never "
                "run: use a model that transformers knows"
            )
        raise VsgError(
            f"{folder} cannot be loaded: transformers does not know the model_type {kind!r} of its config.json; "
            "a newer version may (pip install --upgrade transformers)"
        )
    with foreign_errors(f"{folder} cannot be loaded"):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def auto_class(folder: Path, config: Any) -> Any:
    """Return the class of transformers that loads the model: of causal models, or of encoder-decoders.

    Raises:
        VsgError: the configuration names an architecture other than the one that would be loaded.
    """
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    mapped = _mapped(auto._model_mapping, config)
    stated = config.architectures or []
    named = [stated] if isinstance(stated, str) else list(stated)
    wanted = ", ".join(map(str, named)) or f"model_type {config.model_type}"
    if mapped is None:
        raise VsgError(f"{folder} is {wanted}, which is not a language model that predicts the next token")
    # Early uploads of MPT and LLaMA spell the class in other capitals; it is the same one.
    own = {kind.__name__.lower() for kind in (mapped, _around(mapped, config)) if kind}
    if any(str(name).lower() not in own for name in named):
        raise VsgError(
            f"{folder} is {wanted}, not {mapped.__name__}, the language model of model_type {config.model_type}: "
            "its head or its code is another"
        )
    masked = _mapped(MODEL_FOR_MASKED_LM_MAPPING, config)
    if not named and masked not in (None, mapped) and not getattr(config, "is_decoder", False):
        raise VsgError(
            f"{folder / 'config.json'} does not name its architecture, and {config.model_type} may be "
            f"{masked.__name__} or {mapped.__name__}: set architectures"
        )
    return auto


def check_quantizer(folder: Path, config: Any) -> bool:
    """Return whether the weights are packed; check that the library that unpacks them is there.

    Raises:
        VsgError: the method is unknown, its library is missing, or this machine lacks the hardware for it.
    """
    stated = getattr(config, "quantization_config", None) or getattr(
        config.get_text_config(decoder=True), "quantization_config", None
    )
    if not stated:
        return False
    loads = next((bits for bits in (4, 8) if stated.get(f"load_in_{bits}bit")), None)
    method = f"bitsandbytes_{loads}bit" if loads else stated.get("quant_method")
    if method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        known = ", ".join(sorted(AUTO_QUANTIZATION_CONFIG_MAPPING))
        raise VsgError(
            f"{folder} has weights quantised by {method!r}, which transformers does not know (only {known})"
        )
    package = PACKAGES.get(method)
    with foreign_errors(
        f"{folder} has weights quantised by {method}, which cannot be loaded",
        f"pip install {package}" if package else "",
    ):
        quantizer = AutoHfQuantizer.from_config(copy.deepcopy(stated), pre_quantized=True)
        quantizer.validate_environment(device_map=None, weights_only=True)
    return True


def open_tokenizer(folder: Path) -> Any:
    """Load the tokenizer saved with the weights, without its own code.

    Raises:
        VsgError: it needs code of its own, or its files are damaged.
    """
    path = folder / "tokenizer_config.json"
    content = read_json(path) if path.exists() or path.is_symlink() else {}
    _check_tokenizer_code(folder, content)
    with foreign_errors(f"the tokenizer of {folder} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_tokenizer_file(folder, tokenizer)
        return tokenizer


def _check_tokenizer_file(folder: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer that the library builds otherwise than its own file, tokenizer.json, says.

    Some classes take only the vocabulary from that file. What is put around a text is left to the class.
    """
    path = folder / "tokenizer.json"
    if not path.is_file() or not getattr(tokenizer, "is_fast", False):
        return
    own = Tokenizer.from_file(str(path))
    own.no_padding()
    own.no_truncation()
    for text in TEXTS:
        expected = own.encode(text, add_special_tokens=False).ids
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if found != expected:
            name = type(tokenizer).__name__
            raise VsgError(
                f"the tokenizer of {folder}, read as {name}, gives {text!r} the ids {found[:6]}, and its "
                f"tokenizer.json {expected[:6]}: correct tokenizer_class in tokenizer_config.json "
                "(PreTrainedTokenizerFast takes the file as it is)"
            )


def _check_tokenizer_code(folder: Path, content: Mapping[str, Any]) -> None:
    """Refuse a tokenizer whose class is code of the folder; the library would take its model's usual one instead."""
    code = content.get("auto_map")
    own = code.get("AutoTokenizer") if isinstance(code, dict) else code
    if not own:
        return
    name = content.get("tokenizer_class")
    if not isinstance(name, str) or tokenizer_class_from_name(name) is None:
        raise VsgError(
            f"the tokenizer of {folder} needs code of its own ({name}), which is never run: save a tokenizer.json "
            "that needs none"
        )


def _check_layers(folder: Path, content: Mapping[str, Any], tensors: int) -> None:
    for key, value in content.items():
        if isinstance(value, dict):
            _check_layers(folder, value, tensors)
        elif type(value) is int and LAYERS.search(key) and value > tensors + SLACK:
            raise VsgError(
                f"{folder / 'config.json'} sets {key} to {value}, but the weights have {tensors} tensors: the two "
                "do not belong together"
            )


def _around(mapped: type[PreTrainedModel], config: Any) -> type[PreTrainedModel] | None:
    """Return the class that also reads images and of which `mapped` is the text model; None if there is none."""
    if mapped.config_class is not config.sub_configs.get("text_config"):
        return None
    return _mapped(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, config)


def _mapped(mapping: Any, config: Any) -> type[PreTrainedModel] | None:
    found: type[PreTrainedModel] | None = mapping.get(type(config), None)
    return found
