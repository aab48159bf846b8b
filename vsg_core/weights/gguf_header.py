"""The header of a GGUF file: read within bounds, and checked against the file before anything large is allocated.

Every count in the header is compared with the bytes that are left before it is used, since a damaged header may state
any. Only what describes the model is kept: arrays are walked, and stay in the file.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, NamedTuple

from vsg_core.errors import VsgError
from vsg_core.weights.cache import bytes_text
from vsg_core.weights.names import shown

MAGIC = b"GGUF"
VERSIONS = (2, 3)
# The most dimensions that ggml has.
DIMENSIONS = 4
# Bytes of a key, by the format; characters of a value in a message.
LONGEST_NAME, LONGEST_SHOWN = 65535, 60
# struct's format of the values that have a fixed size, by the number of their type.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# Bytes of the smallest entry: an empty key and one byte; an empty name, no dimensions, a type and an offset.
LEAST_FIELD, LEAST_TENSOR = 13, 24
# Without these transformers builds a model of its own default size.
REQUIRED = ("embedding_length", "block_count", "attention.head_count", "context_length")
PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
BLOCK = re.compile(r"(?:enc\.|dec\.)?blk\.(\d+)\.")


class TensorInfo(NamedTuple):
    """A tensor as the header lists it; `shape` has the fastest dimension first, `type` is ggml's number."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Array:
    """An array of the header, of which only the type of its elements and their number are kept."""

    type: int
    count: int


@dataclass(frozen=True)
class GgufHeader:
    """The fields and tensors that the header of a GGUF file states.

    Args:
        fields: numbers, strings and Array by key.
        data: where the tensors begin, in bytes from the start of the file.
    """

    path: Path
    fields: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    data: int

    @property
    def architecture(self) -> str:
        """The model's architecture; empty if the header has none."""
        return shown(self.fields.get("general.architecture", ""))[:LONGEST_SHOWN]


class _Damaged(Exception):
    """A fault of the bytes; the message says which."""


def is_gguf(path: Path) -> bool:
    """Return whether a file begins as a GGUF does."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def scan(path: Path) -> GgufHeader:
    """Read the header of a GGUF file, without its tensors.

    Raises:
        VsgError: it is not a GGUF file, of a version or byte order that is not read, or damaged.
    """
    try:
        with path.open("rb") as file:
            _check_start(path, file.read(512))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Scan(content).header(path)
    except _Damaged as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise VsgError(f"{path} cannot be read: {error.strerror or error}") from error


def _damaged(path: Path, why: str) -> VsgError:
    size = bytes_text(path.stat().st_size)
    short = why if len(why) <= 300 else f"{why[:300]}..."
    return VsgError(f"{path} ({size}) is truncated or not a GGUF file: download it again ({short})")


def check_model(header: GgufHeader) -> None:
    """Check that the file holds a whole language model whose tensors fit its header and its size.

    Raises:
        VsgError: it holds something else, or a part; the message says what.
    """
    check_whole(header)
    _check_purpose(header)
    _check_layers(header)
    _check_data(header)


def _check_start(path: Path, start: bytes) -> None:
    """Check magic, byte order and version."""
    if not start:
        raise _Damaged("it is empty")
    if start.startswith(b"version https://git-lfs"):
        raise VsgError(
            f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository"
        )
    if start[:4] in (b"lmgg", b"fmgg", b"tjgg", b"ggml", b"ggmf", b"ggjt"):
        raise VsgError(f"{path} is a GGML file, the format before GGUF: get the model as GGUF or safetensors")
    if start[:4] != MAGIC:
        raise _Damaged(f"it begins with {start[:8]!r}, not with {MAGIC!r}")
    if len(start) < 24:
        raise _Damaged("its header ends after the first bytes")
    little, big = (struct.unpack_from(order + "I", start, 4)[0] for order in "<>")
    if little & 0xFFFF == 0 and big in VERSIONS:
        command = _command("gguf-convert-endian", path, "little")
        raise VsgError(f"{path} is big-endian: convert a copy of it in place with `{command}`")
    if little not in VERSIONS:
        raise VsgError(
            f"{path} is of GGUF version {little}, and versions {VERSIONS[0]} and {VERSIONS[1]} are read: "
            "convert the model again with a current llama.cpp"
        )


class _Scan:
    """Reads from the bytes of a file; each reading is checked against its end."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.at = 8

    def header(self, path: Path) -> GgufHeader:
        tensors, fields = self.number("Q"), self.number("Q")
        self.check_count(fields, LEAST_FIELD, "header fields")
        values: dict[str, Any] = {}
        for _ in range(fields):
            key = self.name("a key")
            if key in values:
                raise _Damaged(f"the key {key!r} appears twice")
            values[key] = self.value(key)
        self.check_count(tensors, LEAST_TENSOR, "tensors")
        listed = tuple(self.tensor() for _ in range(tensors))
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise _Damaged(f"general.alignment is {alignment!r}, not a power of two")
        return GgufHeader(path, values, listed, -(-self.at // alignment) * alignment)

    def number(self, form: str) -> Any:
        size = struct.calcsize("<" + form)
        self.check_count(size, 1, "bytes")
        (value,) = struct.unpack_from("<" + form, self.content, self.at)
        self.at += size
        return value

    def string(self, what: str) -> str:
        length = self.number("Q")
        self.check_count(length, 1, f"bytes of {what}")
        text = self.content[self.at : self.at + length]
        self.at += length
        return text.decode("utf-8", "backslashreplace")

    def name(self, what: str) -> str:
        """Read a key or a tensor's name, on one line."""
        (length,) = struct.unpack_from("<Q", self.content[self.at : self.at + 8].ljust(8, b"\0"))
        if length > LONGEST_NAME:
            raise _Damaged(f"its header states {length:,} bytes of {what}")
        return shown(self.string(what))

    def value(self, key: str) -> Any:
        kind = self.number("I")
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.string(key)
        if kind == ARRAY:
            return self.array(key)
        raise _Damaged(f"{key} has the unknown type {kind}")

    def array(self, key: str) -> Array:
        kind, count = self.number("I"), self.number("Q")
        if kind == STRING:
            self.check_count(count, 8, f"elements of {key}")
            self.skip_strings(key, count)
        elif kind in SCALARS:
            size = struct.calcsize("<" + SCALARS[kind])
            self.check_count(count, size, f"elements of {key}")
            self.at += count * size
        else:
            raise _Damaged(f"{key} is an array of the unknown type {kind}")
        return Array(kind, count)

    def skip_strings(self, key: str, count: int) -> None:
        # A vocabulary has a quarter of a million: hence no call per string.
        at, end, length_at = self.at, len(self.content), struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > end:
                break
            at += 8 + length_at(self.content, at)[0]
        if at > end or at + 8 > end:
            raise _Damaged(f"the strings of {key} go past its end")
        self.at = at

    def tensor(self) -> TensorInfo:
        name = self.name("a tensor's name")
        dimensions = self.number("I")
        if not 1 <= dimensions <= DIMENSIONS:
            raise _Damaged(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(self.number("Q") for _ in range(dimensions))
        if 0 in shape:
            raise _Damaged(f"tensor {name!r} has the shape {shape}")
        return TensorInfo(name, shape, self.number("I"), self.number("Q"))

    def check_count(self, count: int, size: int, what: str) -> None:
        left = len(self.content) - self.at
        if count * size > left:
            raise _Damaged(f"its header states {count:,} {what}, and {left:,} bytes are left")


def check_whole(header: GgufHeader) -> None:
    """Refuse a part of a split file, with the command that joins the parts.

    Raises:
        VsgError: the file is one.
    """
    count, path = header.fields.get("split.count", 0), header.path
    if not isinstance(count, int) or count <= 1:
        return
    number = header.fields.get("split.no", 0)
    part = number + 1 if isinstance(number, int) else "?"
    first = path.with_name(PART.sub(rf"-00001-of-\2{path.suffix}", path.name))
    joined = path.with_name(PART.sub(path.suffix, path.name))
    if joined == path:
        joined = path.with_name(f"{path.stem}-joined{path.suffix}")
    missing = _missing_part(path, count)
    hint = f"get {missing} too, then join them" if missing else "join them"
    raise VsgError(
        f"{path} is part {part} of {count} of a split GGUF: {hint} with llama.cpp's "
        f"`{_command('llama-gguf-split', '--merge', first, joined)}` and give {joined}"
    )


def _missing_part(path: Path, count: int) -> str:
    """Return the name of the first part that is not in the same folder; empty if all are, or have other names."""
    if not PART.search(path.name):
        return ""
    for part in range(1, count + 1):
        name = PART.sub(rf"-{part:05}-of-\2{path.suffix}", path.name)
        if not path.with_name(name).is_file():
            return name
    return ""


def _check_purpose(header: GgufHeader) -> None:
    """Refuse files that are not a language model."""
    path, architecture = header.path, header.architecture
    kind = str(header.fields.get("general.type", "model"))[:LONGEST_SHOWN]
    names = [tensor.name for tensor in header.tensors]
    if kind == "imatrix" or any(key.startswith("imatrix.") for key in header.fields):
        raise VsgError(
            f"{path} is an importance matrix, which llama-quantize uses: give the model's own file"
        )
    if kind == "adapter" or any(name.endswith((".lora_a", ".lora_b")) for name in names):
        raise VsgError(
            f"{path} is an adapter, not a model: merge it into its base model with llama.cpp's "
            "`llama-export-lora -m BASE.gguf --lora ADAPTER.gguf -o MERGED.gguf` and give the merged file"
        )
    if kind == "mmproj" or architecture == "clip":
        raise VsgError(f"{path} is the projector of a multimodal model: give the file of its language model")
    if architecture == "controlvector" or (names and all(name.startswith("direction.") for name in names)):
        raise VsgError(f"{path} is a control vector, not a model: give the model's own file")
    if kind != "model":
        raise VsgError(f"{path} has general.type {kind!r}, not 'model': give the file of a language model")
    if not architecture:
        raise VsgError(
            f"{path} does not state its architecture (general.architecture): it is not a language model"
        )
    if not names:
        raise VsgError(f"{path} has a vocabulary and no weights: give the file with the model's weights")


def check_complete(header: GgufHeader) -> None:
    """Check that the header describes the model as far as every language model must.

    Raises:
        VsgError: a setting without which transformers takes that of some other model is missing.
    """
    for key in (f"{header.architecture}.{name}" for name in REQUIRED):
        if key not in header.fields:
            raise VsgError(
                f"{header.path} is a {header.architecture} file without {key}: it is not a whole language model"
            )
    for key, value in header.fields.items():
        recurrent = f"{header.architecture}.ssm.state_size" in header.fields
        heads = key.endswith(".attention.head_count") and not recurrent
        if (isinstance(value, float) and not isfinite(value)) or (heads and value == 0):
            raise VsgError(f"{header.path} states {key} {value}: its header is damaged; download it again")


def _check_layers(header: GgufHeader) -> None:
    """Check that the tensors belong to the layers that the header counts."""
    architecture, path = header.architecture, header.path
    found = {int(match[1]) for tensor in header.tensors if (match := BLOCK.match(tensor.name))}
    layers = _count(header, f"{architecture}.block_count", max(found, default=0) + 1)
    missing = next((layer for layer in range(layers) if layer not in found), None)
    if missing is not None:
        raise VsgError(
            f"{path} states {layers:,} layers ({architecture}.block_count), but has no tensor of layer {missing} "
            f"(blk.{missing}.*): it is not a whole language model"
        )
    if max(found) >= layers:
        raise VsgError(
            f"{path} has tensors of layer {max(found)} (blk.{max(found)}.*), but states {layers:,} layers "
            f"({architecture}.block_count): its header belongs to a different model"
        )
    table = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if table is None:
        raise VsgError(
            f"{path} has no token_embd.weight, the embedding table: it is not a whole language model"
        )
    width = _count(header, f"{architecture}.embedding_length", table.shape[0])
    if table.shape[0] != width:
        raise VsgError(
            f"{path} states {architecture}.embedding_length {width:,}, but token_embd.weight has {table.shape[0]:,} "
            "columns: its header belongs to a different model"
        )


def _count(header: GgufHeader, key: str, default: int) -> int:
    """Return a positive count from the header, small enough to be one.

    Raises:
        VsgError: it is not a count.
    """
    value = header.fields.get(key, default)
    if not isinstance(value, int) or not 0 < value < 2**31:
        raise VsgError(f"{header.path} states {key} {value}: its header is damaged; download it again")
    return value


def _check_data(header: GgufHeader) -> None:
    """Check the tensors' types, and that all of them are in the file, apart from one another."""
    sizes = _type_sizes()
    end, seen = header.path.stat().st_size, 0
    names: set[str] = set()
    for tensor in sorted(header.tensors, key=lambda tensor: tensor.offset):
        _check_type(header.path, tensor, sizes)
        if tensor.name in names:
            raise _damaged(header.path, f"two tensors are named {tensor.name!r}")
        names.add(tensor.name)
        block, size = sizes[tensor.type]
        start = header.data + tensor.offset
        stop = start + tensor.elements // block * size
        if stop > end:
            raise _damaged(header.path, f"{tensor.name} ends at byte {stop:,} of {end:,}")
        if start < seen:
            raise _damaged(header.path, f"{tensor.name} overlaps another tensor")
        seen = stop


def _check_type(path: Path, tensor: TensorInfo, sizes: Mapping[int, tuple[int, int]]) -> None:
    if tensor.type not in sizes:
        raise VsgError(
            f"{tensor.name} in {path} has the tensor type {tensor.type}, which gguf {_gguf_version()} does not know: "
            "a newer version may (`pip install -U gguf`), or get the model in another quantisation"
        )
    block = sizes[tensor.type][0]
    if tensor.shape[0] % block:
        raise VsgError(
            f"{tensor.name} in {path} has rows of {tensor.shape[0]:,} elements, not a multiple of the {block} of a "
            "block: download it again"
        )


def _type_sizes() -> dict[int, tuple[int, int]]:
    """The elements and bytes of a block, by the number of a tensor type."""
    from gguf import GGML_QUANT_SIZES

    return {int(kind): (int(block), int(size)) for kind, (block, size) in GGML_QUANT_SIZES.items()}


def _gguf_version() -> str:
    from importlib.metadata import version

    return version("gguf")


def _command(*words: str | os.PathLike[str]) -> str:
    from shlex import join

    return join(map(str, words))


def type_names(tensors: Iterable[TensorInfo]) -> list[tuple[str, int]]:
    """Return the name of the type, and the number of elements, of every tensor."""
    from gguf import GGMLQuantizationType

    return [(GGMLQuantizationType(tensor.type).name, tensor.elements) for tensor in tensors]
