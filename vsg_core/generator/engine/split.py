"""A model whose layers are on several devices, or partly outside memory, where accelerate's hooks move the numbers.

A weight that is offloaded (to the CPU's memory, to disk) is a meta tensor except while its module computes: its hook
loads it before and drops it afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
from accelerate import dispatch_model  # type: ignore[import-untyped]
from accelerate.hooks import AlignDevicesHook, SequentialHook  # type: ignore[import-untyped]
from accelerate.utils import align_module_device  # type: ignore[import-untyped]
from torch import Tensor
from transformers import PreTrainedModel


def hooks_of(module: torch.nn.Module) -> list[Any]:
    """List the hooks of accelerate that move the inputs or weights of one module."""
    hook = getattr(module, "_hf_hook", None)
    hooks = hook.hooks if isinstance(hook, SequentialHook) else [hook]
    return [each for each in hooks if isinstance(each, AlignDevicesHook)]


def is_split(model: torch.nn.Module) -> bool:
    """Return whether hooks place the parts of a model."""
    return any(hooks_of(module) for module in model.modules())


def device_of(module: torch.nn.Module) -> torch.device:
    """Return the device on which one module computes."""
    placed = [hook.execution_device for hook in hooks_of(module) if hook.execution_device is not None]
    if placed:
        return torch.device(placed[-1])
    return next(each.device for each in chain(module.parameters(), module.buffers()))


def devices_of(model: PreTrainedModel) -> list[torch.device]:
    """List the devices on which a model computes, that of its inputs first."""
    found = [device_of(model.get_input_embeddings())]
    for module in model.modules():
        if hooks_of(module) and any(True for _ in module.parameters(recurse=False)):
            found.append(device_of(module))
        found += [weight.device for weight in module.parameters(recurse=False) if not weight.is_meta]
    return list(dict.fromkeys(found))


def is_offloaded(model: torch.nn.Module) -> bool:
    """Return whether a weight is loaded only while it is used."""
    return any(weight.is_meta for weight in model.parameters())


def bytes_to_float64(model: torch.nn.Module) -> int:
    """Bytes by which the weights in memory grow in float64; those of an offloaded model stay next to their copies."""
    weights = [weight for weight in model.parameters() if weight.is_floating_point() and not weight.is_meta]
    kept = 0 if is_offloaded(model) else 1
    return sum(weight.numel() * (8 - kept * weight.itemsize) for weight in weights)


def in_memory(module: torch.nn.Module) -> AbstractContextManager[Any]:
    """Load the offloaded weights of one module for the block."""
    offloaded = any(hook.offload for hook in hooks_of(module))
    return align_module_device(module) if offloaded else nullcontext()


def weights_of(model: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each weight with its name; an offloaded one is dropped again when the next is asked for."""
    for prefix, module in model.named_modules():
        whole = any(hook.offload and hook.place_submodules for hook in hooks_of(module))
        with in_memory(module):
            for name, weight in module.named_parameters(prefix, recurse=whole):
                if not weight.is_meta:
                    yield name, weight


def absent_weight(model: torch.nn.Module) -> str | None:
    """Return the name of a weight that is not in memory and that no hook would load; None if there is none."""
    loaded = set[str]()
    for prefix, module in model.named_modules():
        for hook in hooks_of(module):
            if hook.offload:
                loaded |= {name for name, _ in module.named_parameters(prefix, recurse=hook.place_submodules)}
    metas = (name for name, weight in model.named_parameters() if weight.is_meta)
    return next((name for name in metas if name not in loaded), None)


class _AsFloat64:
    """The values of offloaded weights by name, in float64."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __getitem__(self, name: str) -> Tensor:
        value: Tensor = self.values[name]
        return value.double() if value.is_floating_point() else value


@contextmanager
def offloaded_as_float64(model: torch.nn.Module) -> Iterator[None]:
    """Compute a model with offloaded weights in float64 inside the block.

    accelerate recognises tied weights by their addresses, so none that it knows is freed: those in memory are kept,
    and an offloaded one is loaded as the tensor that the module uses.
    """
    hooks = [hook for module in model.modules() for hook in hooks_of(module) if hook.offload]
    maps = [hook.weights_map for hook in hooks]
    # By module and name: a hook that loads a weight puts another tensor in its place.
    named = [
        (module, name, each.data)
        for module in model.modules()
        for name, each in chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
        if each.is_floating_point()
    ]
    try:
        for hook in hooks:
            hook.weights_map = _AsFloat64(hook.weights_map)
        for module, name, value in named:
            # A meta tensor is in float64 too: its dtype is what its value is loaded as.
            getattr(module, name).data = value.double()
        yield
    finally:
        for hook, values in zip(hooks, maps, strict=True):
            hook.weights_map = values
        for module, name, value in named:
            getattr(module, name).data = value


def detached(module: torch.nn.Module, device: torch.device) -> Tensor:
    """Return the `weight` of a module on a device; a copy only if it is elsewhere."""
    with in_memory(module):
        return module.get_parameter("weight").detach().to(device)


def placed_like(fresh: PreTrainedModel, model: PreTrainedModel) -> PreTrainedModel:
    """Place a model of the same architecture on the devices of another, in its dtype."""
    fresh = fresh.to(model.dtype)
    places = getattr(model, "hf_device_map", None)
    if not is_split(model):
        return fresh.to(model.device)
    if places is None:
        return fresh.to(device_of(model.get_input_embeddings()))
    # The folder must live as long as the model.
    fresh._vsg_offload = folder = tempfile.TemporaryDirectory(prefix="vsg-offload-")
    placed: PreTrainedModel = dispatch_model(
        fresh, places, offload_dir=folder.name, skip_keys=model._skip_keys_device_placement
    )
    return placed
