"""A model folder: its configuration, its safetensors, and checks that it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from vsg_core.errors import VsgError
from vsg_core.weights.cache import known_digest

# Weights, configuration and tokenizer; no pickles, and no code.
FILES = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
INDEX = "model.safetensors.index.json"
TOKENIZERS = ["tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt"]


def check_folder(folder: Path) -> None:
    """Check that a folder has everything that loading needs.

    Raises:
        VsgError: the configuration, a file of the weights or the tokenizer is missing.
    """
    config_of(folder)
    weight_files(folder)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise VsgError(f"{folder} has no tokenizer: save it there with tokenizer.save_pretrained")


def is_complete(folder: Path) -> bool:
    """Return whether `check_folder` finds nothing missing."""
    try:
        check_folder(folder)
    except VsgError:
        return False
    return True


def config_of(folder: Path) -> dict[str, Any]:
    """Read config.json, with the fields of its text model moved to the top level.

    Raises:
        VsgError: it is missing or damaged.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise VsgError(f"{folder} has no config.json: give a folder that save_pretrained wrote")
    config = _json(path)
    return {**config, **(config.get("text_config") or {})}


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors files that make up the model.

    Raises:
        VsgError: there are none, or some are missing.
    """
    index = folder / INDEX
    names = ["model.safetensors"]
    if index.is_file():
        shards = _json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise VsgError(f"{index} lists no files: download it again")
        names = sorted(set(map(str, shards.values())))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise VsgError(f"{folder} has no {missing[0]}: only complete safetensors are loaded")
    return [folder / name for name in names]


def has_chat_template(folder: Path) -> bool:
    """Return whether the tokenizer has a chat template."""
    tokenizer = folder / "tokenizer_config.json"
    return (folder / "chat_template.jinja").is_file() or (
        tokenizer.is_file() and bool(_json(tokenizer).get("chat_template"))
    )


class Tensor(NamedTuple):
    """A tensor as listed in the header of its file; `dtype` as safetensors spells it, such as BF16."""

    name: str
    dtype: str
    elements: int


def tensors(folder: Path) -> Iterator[Tensor]:
    """List the tensors of a model from the headers of its safetensors.

    Raises:
        VsgError: a file is truncated or damaged.
    """
    from safetensors import SafetensorError, safe_open

    for path in weight_files(folder):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118
                    part = file.get_slice(name)
                    yield Tensor(name, part.get_dtype(), prod(part.get_shape()))
        except (SafetensorError, OSError) as error:
            raise VsgError(
                f"{path} is not a complete safetensors file ({error}): download it again"
            ) from error


def parameters(folder: Path) -> int:
    """Count the parameters.

    Raises:
        VsgError: a file is truncated or damaged.
    """
    return sum(tensor.elements for tensor in tensors(folder))


def folder_digest(folder: Path) -> str:
    """Compute one sha256, in hex, over the bytes of weights, configuration and tokenizer."""
    files = sorted(path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in FILES))
    listing = "".join(f"{known_digest(path)}  {path.name}\n" for path in files if path.is_file())
    return hashlib.sha256(listing.encode()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VsgError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise VsgError(f"{path} does not contain a JSON object: download it again")
    return content
