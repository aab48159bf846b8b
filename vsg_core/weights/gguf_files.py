"""GGUF files: what their header says, and their conversion to a folder of safetensors, once."""

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
from vsg_core.weights.registry import Gguf

CONVERTER = 1  # raise it when convert_gguf writes something else from the same bytes
META = "vsg.json"


@dataclass(frozen=True)
class Header:
    """What a GGUF says of the model in it."""

    architecture: str
    parameters: int
    has_chat_template: bool


def identify(path: Path) -> Gguf:
    """Name, size and sha256 of a GGUF file of the user's.

    Raises:
        VsgError: there is no such file.
    """
    if not path.is_file():
        raise VsgError(f"there is no file {path}")
    stat = path.stat()
    return Gguf(path.name, stat.st_size, _digest(path.absolute(), stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    """The sha256 of a file, computed again only when its size or time changed."""
    return digest(path)


def read_header(path: Path) -> Header:
    """
    Raises:
        VsgError: the file is truncated, or no GGUF.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)  # maps the file; a truncated one cannot give every tensor its shape
        return Header(
            architecture=str(reader.fields["general.architecture"].contents()),
            parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
            has_chat_template="tokenizer.chat_template" in reader.fields,
        )
    except Exception as error:  # the reader checks little: what it trips over depends on where the file ends
        size = bytes_text(path.stat().st_size)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise VsgError(f"{path} ({size}) is truncated or not a GGUF file: get it again ({reason})") from error


def stored(gguf: Gguf) -> Path:
    """Where a fetched GGUF is kept."""
    return root() / "gguf" / f"{_label(gguf)}.gguf"


def converted(gguf: Gguf) -> Path:
    """The folder of its conversion by the transformers installed now."""
    return root() / "models" / f"{_label(gguf)}-c{CONVERTER}-transformers{version('transformers')}"


def convert(path: Path, target: Path, parameters: int, about: dict[str, Any], progress: bool) -> None:
    """Write `target`: float32 weights, configuration, tokenizer, and vsg.json with `about`.

    The caller holds the model's lock.

    Raises:
        VsgError: the file is damaged or of an architecture that transformers does not read.
        DiskFull: the weights do not fit.
    """
    needed = 4 * parameters
    check_room(target, needed, f"converting {path.name}")
    if progress:
        say(f"converting {path.name} ({parameters / 1e6:,.0f} M parameters) to safetensors, once")
    from vsg_core.generator.engine import convert_gguf

    with disk_faults(f"converting {path.name}", target, needed), building(target) as folder:
        try:
            convert_gguf(path, folder, progress)
        except (ValueError, KeyError, NotImplementedError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise VsgError(f"transformers cannot convert {path}: {reason}") from error
        versions = {"converter": CONVERTER, "transformers": version("transformers")}
        date = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({**about, **versions, "date": date}, indent=2)
        (folder / META).write_text(f"{text}\n", encoding="utf-8")


def _label(gguf: Gguf) -> str:
    return f"{Path(gguf.file).stem}-{gguf.sha256[:12]}"
