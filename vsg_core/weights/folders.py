"""A model folder: its configuration, its safetensors, and checks that it is complete."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.headers import read_json, tensors
from vsg_core.generator.engine.headers import weight_files as weight_files
from vsg_core.weights.cache import known_digest
from vsg_core.weights.other_folders import check_kind, check_unread
from vsg_core.weights.quantised import check_packed, check_quantisation, quantisation

# Weights, configuration and tokenizer; no pickles, and no code.
FILES = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
TOKENIZERS = ["tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt"]


def check_folder(folder: Path) -> None:
    """Check that a folder is one whole model and has everything that loading needs.

    Raises:
        VsgError: the configuration, a file of the weights or the tokenizer is missing; it is an adapter, a pickle or
            another framework's; it holds weights, or states a quantisation, that loading would not read.
    """
    with foreign_errors(f"{folder} cannot be read"):
        names = sorted(path.name for path in folder.iterdir())
    check_kind(folder, names)
    config = _config(folder)
    check_unread(folder, names, {path.name for path in weight_files(folder)})
    check_quantisation(folder, names, config)
    if quantisation(config):
        check_packed(folder, config, list(tensors(folder)))
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
    config = _config(folder)
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def has_chat_template(folder: Path) -> bool:
    """Return whether the tokenizer has a chat template."""
    tokenizer = folder / "tokenizer_config.json"
    return (folder / "chat_template.jinja").is_file() or (
        tokenizer.is_file() and bool(read_json(tokenizer).get("chat_template"))
    )


def parameters(folder: Path) -> int:
    """Count the parameters.

    Raises:
        VsgError: a file is truncated or damaged.
    """
    return sum(tensor.elements for tensor in tensors(folder))


def folder_digest(folder: Path) -> str:
    """Compute one sha256, in hex, over the bytes of weights, configuration and tokenizer."""
    files = sorted(path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in FILES))
    with foreign_errors(f"{folder} cannot be read"):
        listing = "".join(f"{known_digest(path)}  {path.name}\n" for path in files if path.is_file())
    return hashlib.sha256(listing.encode()).hexdigest()


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not (path.exists() or path.is_symlink()):
        raise VsgError(f"{folder} has no config.json: give a folder that save_pretrained wrote")
    config = read_json(path)
    if not isinstance(kind := config.get("model_type", ""), str):
        raise VsgError(f"{path} has model_type {kind!r}, which is not a name: download it again")
    return config
