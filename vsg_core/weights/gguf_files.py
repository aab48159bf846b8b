"""GGUF files: their headers, and their one-time conversion to a folder of safetensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.weights.cache import building, bytes_text, check_room, digest, disk_faults, root, say
from vsg_core.weights.forms import gguf_form
from vsg_core.weights.registry import Gguf

# Increase it when the output of convert_gguf changes for the same file.
CONVERTER = 1
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
    stat = path.stat()
    return Gguf(path.name, stat.st_size, _digest(path.absolute(), stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    """Compute the sha256 of a file; recompute it only if the file's size or time changed."""
    return digest(path)


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file.

    Raises:
        VsgError: the file is truncated, or not a GGUF.
    """
    from gguf import GGUFReader

    try:
        # Maps the file; in a truncated one some tensors cannot get their shape.
        reader = GGUFReader(path)
        return Header(
            architecture=str(reader.fields["general.architecture"].contents()),
            parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
            has_chat_template="tokenizer.chat_template" in reader.fields,
            form=gguf_form(
                _file_type(reader),
                [(tensor.tensor_type.name, int(tensor.n_elements)) for tensor in reader.tensors],
            ),
        )
    except Exception as error:
        # The reader checks little, so the error depends on where the file ends.
        size = bytes_text(path.stat().st_size)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise VsgError(
            f"{path} ({size}) is truncated or not a GGUF file: download it again ({reason})"
        ) from error


def _file_type(reader: Any) -> str | None:
    """Return llama.cpp's name for the file's type; None if the header has none or `gguf` does not know it."""
    from gguf import LlamaFileType

    field = reader.fields.get("general.file_type")
    number = None if field is None else int(field.contents())
    return next((known.name for known in LlamaFileType if known.value == number), None)


def stored(gguf: Gguf) -> Path:
    """Return the path of a fetched GGUF file."""
    return root() / "gguf" / f"{_label(gguf)}.gguf"


def converted(gguf: Gguf) -> Path:
    """Return the folder of a GGUF file as converted by the installed transformers."""
    return root() / "models" / f"{_label(gguf)}-c{CONVERTER}-transformers{version('transformers')}"


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

    with disk_faults(f"converting {path.name}", target, needed), building(target) as folder:
        try:
            convert_gguf(path, folder, progress)
        except (ValueError, KeyError, NotImplementedError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise VsgError(f"transformers cannot convert {path}: {reason}") from error
        versions = {"converter": CONVERTER, "transformers": version("transformers")}
        date = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({**note, **versions, "date": date}, indent=2)
        (folder / META).write_text(f"{text}\n", encoding="utf-8")


def _label(gguf: Gguf) -> str:
    return f"{Path(gguf.file).stem}-{gguf.sha256[:12]}"
