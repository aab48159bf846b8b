"""Every tensor of a file goes into one parameter of the model, and every parameter comes from the file."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)
from transformers.initialization import meta_device_safe_creation_ops, no_init_weights

from vsg_core.errors import VsgError
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.headers import Tensor

# Parameters per tensor of the file up to which a model is built: a fused tensor fills several, a tied one two.
MOST = 32
FLOATS = {"F64", "F32", "F16", "BF16"}
# What old uploads keep that the model computes itself: the causal mask, its value, and rotary frequencies.
CONSTANT = re.compile(
    r"(^|\.)((attn|attention)\.(masked_)?bias|(rotary_emb|rope)\.inv_freq|position_ids|num_batches_tracked)$"
)
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")


def sketch(folder: Path, auto: Any, config: Any, tensors: int) -> PreTrainedModel:
    """Build the model that a configuration describes without memory for its weights.

    Raises:
        VsgError: the configuration is impossible, or describes far more parameters than the file has tensors.
    """
    limit = MOST * (tensors + MOST)
    with (
        foreign_errors(f"{folder} cannot be loaded"),
        _at_most(
            limit,
            f"{folder / 'config.json'} describes over {limit} parameters, but the weights have {tensors}",
        ),
        torch.device("meta"),
        no_init_weights(),
        meta_device_safe_creation_ops(),
    ):
        model: PreTrainedModel = auto.from_config(copy.deepcopy(config), trust_remote_code=False)
        return model


def size_of(model: PreTrainedModel) -> int:
    """Number of elements of a model's parameters; a tied one counts once."""
    tied = model.all_tied_weights_keys
    return sum(weight.numel() for name, weight in model.named_parameters() if name not in tied)


def check_sizes(folder: Path, model: PreTrainedModel, listed: Sequence[Tensor]) -> None:
    """Refuse a configuration that describes a much larger model than its weights are.

    Raises:
        VsgError: the message has both numbers.
    """
    described, found = size_of(model), sum(tensor.elements for tensor in listed)
    if described > 2 * found:
        raise VsgError(
            f"{folder / 'config.json'} describes a model of {described} parameters, but the weights have {found}: "
            "the two do not belong together"
        )


def check_tensors(folder: Path, model: PreTrainedModel, listed: Sequence[Tensor]) -> list[Tensor]:
    """Check that every tensor of the file is taken, whole, by one parameter of a sketch.

    Returns:
        The tensors that no parameter takes because the model computes them itself.

    Raises:
        VsgError: a tensor is left over, of another shape or not of floating point, or two share a parameter.
    """
    state, taken, constants, left = model.state_dict(), dict[str, str](), list[Tensor](), list[Tensor]()
    for tensor, target, converted in _targets(model, state, listed):
        if target not in state:
            if CONSTANT.search(tensor.name):
                constants.append(tensor)
            elif not _ignored(model, tensor.name, target):
                left.append(tensor)
            continue
        _check_dtype(folder, tensor, state[target])
        if not converted:
            _check_shape(folder, tensor, state[target])
            if (other := taken.setdefault(target, tensor.name)) != tensor.name:
                raise VsgError(
                    f"{folder} has {other} and {tensor.name}, both {target} of the model: keep one"
                )
    if left:
        raise VsgError(_left_over(folder, model, left))
    return constants


def check_loaded(
    folder: Path, model: PreTrainedModel, loading: Mapping[str, Any], tied: Mapping[str, str]
) -> None:
    """Check what the library reports about loading: it draws missing weights at random, and only warns.

    Args:
        tied: the parameters that the configuration ties, each to another.

    Raises:
        VsgError: weights are missing, left over or of another shape, or tied ones differ in the file.
    """
    if missing := sorted(loading["missing_keys"]):
        raise VsgError(
            f"{folder} lacks weights of its architecture ({_some(missing)}): download it again, or use a "
            "checkpoint with a language-model head"
        )
    if odd := sorted(
        map(str, (*loading["unexpected_keys"], *loading["mismatched_keys"], *loading["error_msgs"]))
    ):
        raise VsgError(f"{folder} has weights that {type(model).__name__} does not take ({_some(odd)})")
    for target, source in tied.items():
        if target not in model.all_tied_weights_keys:
            raise VsgError(
                f"{folder / 'config.json'} ties {target} to {source}, but the weights have both, and they differ: "
                "set tie_word_embeddings to false if the model has a head of its own"
            )


def check_constants(folder: Path, model: PreTrainedModel, constants: Sequence[Tensor]) -> None:
    """Check that what the model computes itself is what the file has.

    Raises:
        VsgError: a rotary frequency or a causal mask differs.
    """
    frequencies = [buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")]
    for tensor in constants:
        with safe_open(folder / tensor.file, framework="pt") as file:
            value = file.get_tensor(tensor.name).float()
        if tensor.name.endswith("inv_freq"):
            same = any(_close(value, own) for own in frequencies)
        elif tensor.name.endswith(("attn.bias", "attention.bias")):
            same = (
                value.dim() > 1
                and bool(((value == 0) | (value == 1)).all())
                and not bool(value.triu(1).any())
            )
        else:
            continue
        if not same:
            raise VsgError(
                f"{folder} has {tensor.name}, which differs from what {type(model).__name__} computes from its "
                "config.json: the two do not belong together"
            )


def _targets(
    model: PreTrainedModel, state: Mapping[str, Any], listed: Sequence[Tensor]
) -> Iterator[tuple[Tensor, str, bool]]:
    """Find the parameter that the library puts each tensor into, in its order; whether it is computed from several."""
    mapping = get_model_conversion_mapping(model)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    prefix = model.base_model_prefix
    for tensor in sorted(listed, key=lambda each: dot_natural_key(each.name)):
        target, source = rename_source_key(tensor.name, renamings, converters, prefix, state)
        if target not in state and tensor.name in state:
            target, source = rename_source_key(tensor.name, [], [], prefix, state)
        yield tensor, target, source is not None


def _ignored(model: PreTrainedModel, name: str, target: str) -> bool:
    """Return whether the architecture leaves a tensor out: of another modality, or to predict further tokens."""
    patterns = model._keys_to_ignore_on_load_unexpected or ()
    if not any(re.search(pattern, target) for pattern in patterns):
        return False
    config = model.config.get_text_config()
    layer, layers = LAYER.search(name), getattr(config, "num_hidden_layers", None)
    if layer is None or layers is None or int(layer[1]) < layers:
        return True
    further = (
        value for key, value in config.to_dict().items() if re.search("nextn|mtp", key) and type(value) is int
    )
    return int(layer[1]) < int(layers) + next(further, 0)


def _check_shape(folder: Path, tensor: Tensor, parameter: torch.Tensor) -> None:
    if tensor.shape != tuple(parameter.shape):
        raise VsgError(
            f"{folder} has {tensor.name} of shape {list(tensor.shape)}, but its config.json describes "
            f"{list(parameter.shape)}: the two do not belong together"
        )


def _check_dtype(folder: Path, tensor: Tensor, parameter: torch.Tensor) -> None:
    if parameter.is_floating_point() and tensor.dtype not in FLOATS:
        raise VsgError(
            f"{folder} has {tensor.name} as {tensor.dtype}, and config.json has no quantization_config that says "
            "how to read it: use a checkpoint in float16, bfloat16 or float32"
        )


def _left_over(folder: Path, model: PreTrainedModel, left: Sequence[Tensor]) -> str:
    """Say which tensors nothing takes, and why as far as their names show it."""
    names = [tensor.name for tensor in left]
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    indices = [int(found[1]) for name in names if (found := LAYER.search(name))]
    if any("lora" in name.lower() for name in names):
        why = "an adapter is not merged: merge_and_unload, then save_pretrained"
    elif any(re.search(r"scale|qweight|qzeros|absmax|zero_point", name) for name in names):
        why = "the weights are quantised, and config.json has no quantization_config that is read"
    elif found := re.match(r"module\.|_orig_mod\.|base_model\.model\.", names[0]):
        why = f"they were saved inside a wrapper: remove {found[0]!r} from their names, or save the model inside it"
    elif layers is not None and indices and min(indices) >= layers:
        why = f"config.json sets num_hidden_layers to {layers}"
    else:
        why = "config.json describes another model"
    return f"{folder} has weights that {type(model).__name__} does not take ({_some(names)}): {why}"


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def _close(value: torch.Tensor, own: torch.Tensor) -> bool:
    own = own.float().cpu()
    return value.shape == own.shape and torch.allclose(value, own, rtol=2e-2, atol=1e-6)


@contextmanager
def _at_most(limit: int, message: str) -> Iterator[None]:
    """Stop the construction of a model that registers more parameters."""
    count = 0

    def register(module: Any, name: str, parameter: Any) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise VsgError(f"{message} tensors: the two do not belong together")

    handle = register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()
