"""GGUF files: their headers, and their one-time conversion to a folder of safetensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.generator.engine.memory import check_memory
from vsg_core.weights.cache import building, check_room, disk_faults, known_digest, root, say
from vsg_core.weights.forms import gguf_form
from vsg_core.weights.gguf_header import GgufHeader, check_complete, check_model, scan, type_names
from vsg_core.weights.registry import Gguf, entries

# Increase it when the output of convert_gguf changes for the same file, or when files are refused that it converted.
CONVERTER = 2
# The converter whose output for the registry's own files is the same as that of the present one.
REGISTRY_CONVERTER = 1
# Bytes of a file's stem in the name of its conversion.
LONGEST_STEM = 100
META = "vsg.json"


@dataclass(frozen=True)
class Header:
    """The header of a GGUF file, as far as it describes the model; `form` is, for example, Q4_K_M."""

    architecture: str
    parameters: int
    has_chat_template: bool
    form: str


def identify(path: Path) -> Gguf:
    """Read the name, size and sha256 of a GGUF file.

    Raises:
        VsgError: there is no such file.
    """
    if not path.is_file():
        raise VsgError(f"there is no file {path}")
    return Gguf(path.name, path.stat().st_size, known_digest(path))


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file.

    Raises:
        VsgError: the file does not hold a whole language model; the message says what it is instead.
    """
    header = checked_header(path)
    return Header(
        architecture=header.architecture,
        parameters=sum(tensor.elements for tensor in header.tensors),
        has_chat_template="tokenizer.chat_template" in header.fields,
        form=gguf_form(_file_type(header), type_names(header.tensors)),
    )


def checked_header(path: Path) -> GgufHeader:
    """Read the whole header of a GGUF file that holds a language model. Errors as of `read_header`."""
    header = scan(path)
    check_model(header)
    return header


def _file_type(header: GgufHeader) -> str | None:
    """Return llama.cpp's name for the file's type; None if the header has none or `gguf` does not know it."""
    from gguf import LlamaFileType

    number = header.fields.get("general.file_type")
    return next((known.name for known in LlamaFileType if known.value == number), None)


def stored(gguf: Gguf) -> Path:
    """Return the path of a fetched GGUF file."""
    return root() / "gguf" / f"{_label(gguf)}.gguf"


def converted(gguf: Gguf) -> Path:
    """Return the folder of a GGUF file as converted by the installed transformers."""
    converter = REGISTRY_CONVERTER if gguf.sha256 in _registered() else CONVERTER
    return root() / "models" / f"{_label(gguf)}-c{converter}-transformers{version('transformers')}"


def _registered() -> set[str]:
    return {entry.gguf.sha256 for entry in entries() if entry.gguf}


def about(folder: Path) -> dict[str, Any]:
    """Read the note that `convert` wrote about a conversion.

    Raises:
        VsgError: the note is damaged.
    """
    path = folder / META
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise VsgError(f"{path} cannot be read ({error}): delete {folder} to convert it again") from error


def convert(path: Path, target: Path, parameters: int, note: dict[str, Any], progress: bool) -> None:
    """Write `target`: float32 weights, configuration, tokenizer, and vsg.json with `note`.

    The caller must hold the model's lock.

    Raises:
        VsgError: the file is damaged, or transformers cannot read its architecture.
        DiskFull: the weights do not fit.
    """
    needed = 4 * parameters
    check_room(target, needed, f"converting {path.name}")
    if progress:
        say(f"converting {path.name} ({parameters / 1e6:,.0f} M parameters) to safetensors (only once)")
    from vsg_core.generator.engine import convert_gguf

    with _faults(path), disk_faults(f"converting {path.name}", target, needed), building(target) as folder:
        convert_gguf(path, folder, progress)
        versions = {"converter": CONVERTER, "transformers": version("transformers")}
        date = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({**note, **versions, "date": date}, indent=2)
        (folder / META).write_text(f"{text}\n", encoding="utf-8")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn any error of the libraries that read a GGUF file into one line."""
    try:
        yield
    except (VsgError, KeyboardInterrupt, SystemExit):
        raise
    # A panic in Rust code is not an Exception.
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        reason = " ".join(" ".join(lines).split()) if lines[0].endswith(":") else lines[0]
        if not isinstance(error, (ValueError, NotImplementedError)) or not reason:
            reason = f"{type(error).__name__} {reason}".strip()
        raise VsgError(f"transformers cannot convert {path}: {reason}") from error


def check_convertible(path: Path) -> None:
    """Check, before tensors are read, that transformers can read the file, and that memory holds what it would build.

    Raises:
        VsgError: transformers does not read its architecture, tokenizer, a tensor type or a setting.
        NotEnoughMemory: the model that its header describes is too large.
    """
    from vsg_core.generator.engine import check_gguf, gguf_bytes

    header = checked_header(path)
    check_complete(header)
    with _faults(path):
        check_gguf(path, header.fields, dict(_one_of_each(header)))
        # The tensors are dequantised one after another, and the model takes them over.
        needed = max(gguf_bytes(path), 4 * sum(tensor.elements for tensor in header.tensors))
    check_memory(f"converting {path.name}", needed)


def _one_of_each(header: GgufHeader) -> Iterator[tuple[str, int]]:
    """Yield a tensor of each type: its name and the number of its type."""
    first: dict[int, str] = {}
    for tensor in header.tensors:
        first.setdefault(tensor.type, tensor.name)
    for kind, name in first.items():
        yield name, kind


def _label(gguf: Gguf) -> str:
    stem = Path(gguf.file).stem.encode("utf-8", "replace")[:LONGEST_STEM].decode("utf-8", "ignore")
    return f"{stem}-{gguf.sha256[:12]}"
