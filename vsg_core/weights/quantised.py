"""The quantisation that a model folder states, refused where loading would not read it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.generator.engine.headers import Tensor

# Keys of a configuration that describe packed weights: quantization_config, MLX's quantization, compression_config.
KEYS = re.compile(r"quant|compression_config")
READ = [("quantization_config",), ("text_config", "quantization_config")]
# Files that quantising tools write: quantize_config.json (GPTQ), hf_quant_config.json (ModelOpt), quant_config.json.
FILES = "*quant*config*.json"
# Settings that state the bits of a weight, and those that name its type.
BITS = {"bits", "w_bit", "nbits", "num_bits"}
TYPES = {"weights", "weight", "dtype", "quant_type", "quant_algo"}
DENSE = {"F64", "F32", "F16", "BF16"}


def quantisation(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the quantization_config that loading reads; empty if there is none."""
    found = [value for path, value in _stated(config, ()) if path in READ]
    return dict(found[0]) if found else {}


def check_quantisation(folder: Path, names: Sequence[str], config: Mapping[str, Any]) -> None:
    """Refuse a folder that states a quantisation where loading does not read it.

    Args:
        names: the names of everything in the folder.
        config: config.json, as it is.

    Raises:
        VsgError: the message names the key or the file.
    """
    stated = dict(_stated(config, ()))
    for path, value in stated.items():
        if path not in READ:
            raise VsgError(
                f"{folder / 'config.json'} states a quantisation in {'.'.join(path)}, which is not read: use a "
                "checkpoint with a quantization_config, or one that is not quantised"
            )
        if not isinstance(value, dict):
            raise VsgError(
                f"{folder / 'config.json'} has quantization_config {value!r}, which is not an object"
            )
    if len(stated) > 1 and len({repr(value) for value in stated.values()}) > 1:
        raise VsgError(f"{folder / 'config.json'} has two quantization_config that differ: keep the true one")
    files = [name for name in names if fnmatch(name.lower(), FILES)]
    if files and not stated:
        raise VsgError(
            f"{folder / files[0]} states a quantisation, but config.json has no quantization_config: it would be "
            "ignored; use a checkpoint whose config.json has it"
        )


def check_packed(folder: Path, config: Mapping[str, Any], listed: Sequence[Tensor]) -> None:
    """Refuse a quantization_config of weights that are all dense.

    Raises:
        VsgError: the message names the method.
    """
    stated = quantisation(config)
    if stated and all(tensor.dtype in DENSE for tensor in listed):
        method = stated.get("quant_method", "unnamed")
        raise VsgError(
            f"{folder / 'config.json'} states {method} weights, but all tensors are dense ({listed[0].dtype}): "
            "remove quantization_config if they are whole"
        )


def bits_of(stated: Mapping[str, Any]) -> int | None:
    """Return the bits per weight that a quantization_config states under any of the names in use; None if none."""
    for load in (4, 8):
        if stated.get(f"load_in_{load}bit"):
            return load
    for key, value in _settings(stated):
        if type(value) is int and key in BITS:
            return value
        named = re.search(r"(?i)(?:int|float|nf|fp|w)(\d+)", value) if isinstance(value, str) else None
        if named and key in TYPES:
            return int(named[1])
    return None


def _settings(stated: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings of a quantization_config in order, those inside it included, without those of activations."""
    for key, value in stated.items():
        if isinstance(value, dict):
            if "activation" not in key:
                yield from _settings(value)
        else:
            yield key, value


def _stated(config: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Find everything in a configuration that describes packed weights, with the keys that lead to it."""
    for key, value in config.items():
        here = (*path, key)
        if KEYS.search(key) and (isinstance(value, dict) or key == "quantization_config"):
            if value:
                yield here, value
        elif isinstance(value, dict):
            yield from _stated(value, here)
