"""The files of a model folder as they describe themselves: JSON, and the headers of safetensors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from vsg_core.errors import VsgError
from vsg_core.generator.engine.foreign import foreign_errors

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# A name inside the folder; anything else would be read from outside it.
PLAIN = re.compile(r"[^/\\]+\.safetensors")


class Tensor(NamedTuple):
    """A tensor as listed in the header of its file; `dtype` as safetensors spells it, such as BF16."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        VsgError: the file is not a readable one, holds something else, names a key twice, or holds NaN.
    """
    check_file(path)
    with foreign_errors(f"{path} cannot be read"):
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, object_pairs_hook=_single, parse_constant=_number)
    if not isinstance(content, dict):
        raise VsgError(f"{path} does not contain a JSON object: download it again")
    return content


def check_file(path: Path) -> None:
    """Check that a path is a file: a pipe would block, and a link may lead nowhere.

    Raises:
        VsgError: it is missing, or something else.
    """
    if path.is_file():
        return
    if path.is_symlink() and not path.exists():
        raise VsgError(f"{path} is a link that leads nowhere: download it again")
    what = "a folder" if path.is_dir() else "not a regular file" if path.exists() else "missing"
    raise VsgError(f"{path} is {what}: a file is needed there")


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors files that make up the model.

    Raises:
        VsgError: there are none, some are missing, or a single file and an index contradict each other.
    """
    return [folder / name for name in sorted(set(_weight_map(folder).values()) or {SINGLE})]


def tensors(folder: Path) -> Iterator[Tensor]:
    """List the tensors of a model from the headers of its safetensors.

    Raises:
        VsgError: a file is truncated or damaged, two files have a tensor of one name, or the index is wrong.
    """
    listed, found = _weight_map(folder), dict[str, str]()
    for path in weight_files(folder):
        for tensor in _header(path):
            if (other := found.setdefault(tensor.name, tensor.file)) != tensor.file:
                raise VsgError(
                    f"{folder} has {tensor.name} twice, in {other} and {tensor.file}: download it again"
                )
            yield tensor
    for name, file in listed.items():
        if found.get(name) != file:
            raise VsgError(f"{folder / INDEX} lists {name}, but {file} does not hold it: download it again")


def _header(path: Path) -> list[Tensor]:
    from safetensors import safe_open

    with (
        foreign_errors(f"{path} is not a complete safetensors file", "download it again"),
        safe_open(path, framework="numpy") as file,
    ):
        parts = ((name, file.get_slice(name)) for name in file.keys())  # noqa: SIM118
        return [Tensor(name, part.get_dtype(), tuple(part.get_shape()), path.name) for name, part in parts]


def _weight_map(folder: Path) -> dict[str, str]:
    """Read which file has which tensor from the index; empty if there is a single file."""
    index = folder / INDEX
    if not (index.exists() or index.is_symlink()):
        _check_present(folder, SINGLE)
        return {}
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise VsgError(f"{index} lists no files: download it again")
    for file in sorted({str(file) for file in shards.values()}):
        if not PLAIN.fullmatch(file):
            raise VsgError(f"{index} lists {file!r}, which is not a safetensors file of this folder")
        _check_present(folder, file)
    if set(shards.values()) != {SINGLE} and (folder / SINGLE).exists():
        raise VsgError(
            f"{folder} has both {SINGLE} and {INDEX} of other files: remove the one that is not the model's"
        )
    return shards


def _check_present(folder: Path, file: str) -> None:
    path = folder / file
    if not (path.exists() or path.is_symlink()):
        raise VsgError(f"{folder} has no {file}: only complete safetensors are loaded")
    check_file(path)


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content and content[key] != value:
            raise ValueError(f"{key!r} is there twice, with different values")
        content[key] = value
    return content


def _number(name: str) -> float:
    # Infinity is a setting of several architectures, such as Mamba2's time_step_limit.
    if name == "NaN":
        raise ValueError("it holds NaN, which is not a value of any setting")
    return float(name)
