"""Models and tokenizers from files: safetensors only, never remote code."""

from __future__ import annotations

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


def open_model(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Load safetensors from a local folder; never remote code, never pickles."""
    disable_progress_bar()  # a local load takes a second
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    return model.to(device)


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer saved beside the weights."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def convert_gguf(gguf: Path, folder: Path, progress: bool) -> None:
    """Dequantise a GGUF file once: float32 safetensors and the tokenizer, saved into `folder`.

    The weights stay what the file's bytes say: untied heads stay untied, nothing is rounded again.
    """
    (enable_progress_bar if progress else disable_progress_bar)()  # it takes half a minute
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    # save_pretrained refuses a model that still carries its quantizer, though every weight is dense by now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
