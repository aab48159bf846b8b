"""PEFT adapters: BASE+ADAPTER as a name, and the folder of an adapter checked before anything is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from vsg_core.errors import VsgError
from vsg_core.generator.engine.headers import read_json
from vsg_core.weights.other_folders import ADAPTER

WEIGHTS = "adapter_model.safetensors"


def splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a name as BASE and ADAPTER: names may contain a plus sign themselves."""
    places = [place for place, char in enumerate(name) if char == "+"]
    yield from ((name[:place], name[place + 1 :]) for place in places if 0 < place < len(name) - 1)


def check_adapter(folder: Path) -> None:
    """Check that a folder holds one PEFT adapter in safetensors.

    Raises:
        VsgError: it is something else, or a pickle, which could run code.
    """
    if not (folder / ADAPTER).is_file():
        raise VsgError(f"{folder} has no {ADAPTER}: give the folder that PEFT's save_pretrained wrote")
    about = read_json(folder / ADAPTER)
    if not about.get("peft_type"):
        raise VsgError(f"{folder / ADAPTER} names no peft_type: only adapters of PEFT are loaded")
    if not (folder / WEIGHTS).is_file():
        pickle = (folder / "adapter_model.bin").is_file()
        why = (
            "it has a pickle, which can run code; only safetensors are loaded" if pickle else "save it again"
        )
        raise VsgError(f"{folder} has no {WEIGHTS}: {why}")


def is_adapter(folder: Path) -> bool:
    """Return whether `check_adapter` finds nothing missing."""
    try:
        check_adapter(folder)
    except VsgError:
        return False
    return True


def joined_digest(base: str, adapter: str) -> str:
    """Identify a base model and its adapter together, by one sha256 in hex over the identities of both."""
    return hashlib.sha256(f"{base}+{adapter}".encode()).hexdigest()


def has_tokenizer(folder: Path) -> bool:
    """Return whether an adapter brings a tokenizer of its own."""
    return (folder / "tokenizer_config.json").is_file()
