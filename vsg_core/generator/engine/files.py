"""Load models and tokenizers from files: safetensors only, never remote code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, enable_progress_bar

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.architecture import auto_class, check_quantizer, open_config
from vsg_core.generator.engine.architecture import open_tokenizer as open_tokenizer
from vsg_core.generator.engine.conservation import (
    check_constants,
    check_loaded,
    check_sizes,
    check_tensors,
    sketch,
)
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.gguf import check_taken
from vsg_core.generator.engine.headers import Tensor, tensors
from vsg_core.generator.engine.memory import available
from vsg_core.generator.engine.packing import (
    Packing,
    bytes_of,
    packing_config,
    without_kernels,
)
from vsg_core.generator.engine.placement import as_devices, device_map


def open_model(
    folder: Path, dtype: torch.dtype, device: str = "auto", packing: Packing | None = None
) -> PreTrainedModel:
    """Load safetensors from a local folder; never remote code, never pickles.

    Args:
        device: "auto" places a model that no card holds alone over all of them.
        packing: pack the weights of the layers while loading.

    Raises:
        VsgError: the folder is not one language model whose every weight is in its files, and nothing else.
        WrongUse: the weights are packed already, or the library that packs them is missing.
        NotEnoughMemory: the model that the configuration describes does not fit.
    """
    disable_progress_bar()  # a local load takes a second
    listed = list(tensors(folder))
    config = open_config(folder, len(listed))
    auto = auto_class(folder, config)
    with without_kernels():
        packed = check_quantizer(folder, config)
    model = sketch(folder, auto, config, len(listed))
    constants: list[Tensor] = []
    if not packed:
        check_sizes(folder, model, listed)
        constants = check_tensors(folder, model, listed)
    if packed and packing:
        raise WrongUse(f"the weights of {folder} are packed already: leave out --weights {packing}")
    devices = as_devices(device, str(folder), bytes_of(model, dtype, packing))
    placed = _placed(model, dtype, devices, packing)
    tied = dict(model.all_tied_weights_keys)
    with foreign_errors(f"{folder} cannot be loaded"), without_kernels():
        model, loading = auto.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **placed,
        )
    check_loaded(folder, model, _without(loading, constants), {} if packed else tied)
    check_constants(folder, model, constants)
    if placed:
        return model
    with foreign_errors(f"{folder} cannot be moved to {devices[0]}"):
        return model.to(devices[0])


def _placed(
    model: PreTrainedModel, dtype: torch.dtype, devices: Sequence[torch.device], packing: Packing | None
) -> dict[str, Any]:
    """Return what from_pretrained needs to place or pack a model; empty for a plain one on one device."""
    options: dict[str, Any] = {}
    if packing:
        options["quantization_config"] = packing_config(packing, dtype)
        options["device_map"] = {"": str(devices[0])}
    if len(devices) > 1:
        free = [available(str(device)) for device in devices]
        options["device_map"] = device_map(model, dtype, free, packing)
    return options


def _without(loading: Mapping[str, Any], constants: Sequence[Tensor]) -> dict[str, Any]:
    """Leave out of the library's report what the model computes itself, under any prefix."""
    names = tuple(tensor.name for tensor in constants)
    unexpected = [key for key in loading["unexpected_keys"] if not (names and key.endswith(names))]
    return {**loading, "unexpected_keys": unexpected}


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
    check_loaded(gguf, model, {**loading, "unexpected_keys": ()}, {})
    # save_pretrained refuses a model that still carries its quantizer, though every weight is dense by now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
