"""Load models and tokenizers from files: safetensors only, never remote code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
)
from transformers.utils.logging import disable_progress_bar, enable_progress_bar

from vsg_core.errors import VsgError
from vsg_core.generator.engine.gguf import check_taken


def open_model(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Load safetensors from a local folder; never remote code, never pickles."""
    disable_progress_bar()  # a local load takes a second
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model, loading = kind.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    _check_whole(folder, loading)
    return model.to(device)


def open_tokenizer(folder: Path) -> Any:
    """Load the tokenizer saved with the weights."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _check_whole(source: Path, loading: Mapping[str, Any]) -> None:
    """Refuse a model with missing weights: transformers draws those at random and only warns."""
    if missing := sorted(loading["missing_keys"]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise VsgError(f"{source} lacks weights of its architecture ({missing[0]}{more}): download it again")


def convert_gguf(gguf: Path, folder: Path, progress: bool) -> None:
    """Dequantise a GGUF file to float32 safetensors and a tokenizer in `folder`.

    The weights keep the file's exact values: untied heads stay untied, and nothing is rounded again.
    """
    # Conversion takes half a minute.
    (enable_progress_bar if progress else disable_progress_bar)()
    model, loading = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        # Reported by check_taken, with their shapes.
        ignore_mismatched_sizes=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    check_taken(gguf, model, loading)
    _check_whole(gguf, loading)
    # save_pretrained refuses a model that still carries its quantizer, though every weight is dense by now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
