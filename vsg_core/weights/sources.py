"""Getting the weights of a registry entry from the first source that has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.vocabulary import is_quantised
from vsg_core.weights import gguf_files, hub
from vsg_core.weights.adapters import check_adapter, joined_digest
from vsg_core.weights.cache import DiskFull, digest, lock, say
from vsg_core.weights.folders import folder_digest
from vsg_core.weights.forms import WeightsForm, folder_form
from vsg_core.weights.registry import Entry, Gguf, Hosted, Hub, Local, Source, Wheels


@dataclass(frozen=True)
class Weights:
    """A model on this machine, ready to load.

    Args:
        folder: config.json, safetensors and tokenizer.
        source: where they came from, in words.
        form: the form of the published weights, before any conversion.
        revision: the commit on the hub, if they came from there.
        sha256: that of the GGUF or of a local folder's files; None if the revision identifies the bytes. With an
            adapter, it identifies both.
        adapter: the folder of a PEFT adapter.
    """

    folder: Path
    source: str
    form: WeightsForm
    revision: str | None = None
    sha256: str | None = None
    adapter: Path | None = None

    @property
    def identity(self) -> dict[str, str | bool | None]:
        """The fields of a record about weights: form, quantised, tied, file, sha256, revision and source."""
        origin = {"sha256": self.sha256, "revision": self.revision, "source": self.source}
        return {**asdict(self.form), "quantised": self.form.quantised, **origin}


def is_local(entry: Entry) -> bool:
    """Return whether the weights are on this machine, converted or not.

    Does not use the network, and takes milliseconds.
    """
    if entry.adapter and _adapter_here(entry.adapter) is None:
        return False
    return _base_here(entry)


def _base_here(entry: Entry) -> bool:
    # A server's are where it is.
    own = isinstance(entry.sources[0], (Local, Hosted))
    return own or _ready_folder(entry) is not None or _local_gguf(entry) is not None


def identity_of(entry: Entry) -> str:
    """Identify the weights by their sha256, or by the commit on the hub; empty if they are not on this machine."""
    base = _base_identity(entry)
    if entry.adapter is None or not base:
        return base
    folder = _adapter_here(entry.adapter)
    return joined_digest(base, _adapter_identity(entry.adapter, folder)) if folder else ""


def _base_identity(entry: Entry) -> str:
    first = entry.sources[0]
    if isinstance(first, Local) and first.path.is_dir():
        return folder_digest(first.path)
    if entry.gguf:
        return entry.gguf.sha256
    folder = _ready_folder(entry)
    return hub.commit_of(folder) if folder else ""


def get(entry: Entry, *, fetch: bool = True, progress: bool = True) -> Weights:
    """Return the weights, and those of an adapter, fetching and converting them if necessary.

    Processes that need the same model take turns: the second uses what the first prepared.

    Raises:
        WeightsUnavailable: every source failed, and the message has every reason; or `fetch` is False.
        VsgError: they are damaged, or do not fit on the disk or into memory.
    """
    if entry.is_hosted:
        raise WrongUse(
            f"{entry.name} is {entry.sources[0]}: its weights are the server's, and there are none to get"
        )
    weights = _packed(_get_base(entry, fetch, progress), entry)
    if entry.adapter is None:
        return weights
    folder = _get_adapter(entry.adapter, entry.name, fetch, progress)
    base = weights.sha256 or weights.revision or ""
    return replace(
        weights,
        source=f"{weights.source} + {entry.adapter}",
        sha256=joined_digest(base, _adapter_identity(entry.adapter, folder)),
        adapter=folder,
    )


def _packed(weights: Weights, entry: Entry) -> Weights:
    """Name the form that the weights have once they are packed; the one before only where it was quantised too."""
    if entry.packing is None:
        return weights
    form = packed_form(entry.packing, weights.form.form)
    return replace(weights, form=replace(weights.form, form=form))


def packed_form(packing: str, form: str | None) -> str:
    """Return the form of packed weights: nf4, or "nf4 of Q4_K_M" where they had been quantised before."""
    return f"{packing} of {form}" if form and is_quantised(form) else packing


def _adapter_here(adapter: Hub | Local) -> Path | None:
    """Return the folder of an adapter, if it is on this machine."""
    return adapter.path if isinstance(adapter, Local) else hub.cached(adapter, None, adapter=True)


def _adapter_identity(adapter: Hub | Local, folder: Path) -> str:
    return folder_digest(folder) if isinstance(adapter, Local) else hub.commit_of(folder)


def _get_adapter(adapter: Hub | Local, name: str, fetch: bool, progress: bool) -> Path:
    if folder := _adapter_here(adapter):
        check_adapter(folder)
        return folder
    if isinstance(adapter, Local) or not fetch:
        raise WeightsUnavailable(f"the adapter of {name} is not on this machine")
    try:
        return hub.fetch(adapter, None, progress, adapter=True)
    except DiskFull:
        raise
    except VsgError as error:
        raise WeightsUnavailable(
            f"the adapter of {name} is unavailable: {adapter}: {error.reason}"
        ) from error


def _get_base(entry: Entry, fetch: bool, progress: bool) -> Weights:
    first = entry.sources[0]
    if isinstance(first, Local) and first.path.is_dir():
        return Weights(first.path, str(first), folder_form(first.path), sha256=folder_digest(first.path))
    if ready := _ready(entry):
        return ready
    if not fetch and not _base_here(entry):
        raise WeightsUnavailable(f"the weights of {entry.name} are not on this machine")
    with lock(entry.name):
        if not _base_here(entry):
            _fetch(entry, progress)
        if entry.gguf and not _ready_folder(entry):
            _convert(entry, entry.gguf, progress)
        ready = _ready(entry)
    if ready is None:
        raise VsgError(f"{entry.name} was fetched, but its weights have disappeared: fetch it again")
    return ready


def _ready_folder(entry: Entry) -> Path | None:
    """Return the folder to load, if it is on this machine."""
    if entry.gguf:
        folder = gguf_files.converted(entry.gguf)
        return folder if folder.is_dir() else None
    found = (hub.cached(source, None) for source in entry.sources if isinstance(source, Hub))
    return next((folder for folder in found if folder), None)


def _ready(entry: Entry) -> Weights | None:
    """Return the weights if they need neither fetching nor conversion."""
    folder = _ready_folder(entry)
    if folder is None:
        return None
    form = folder_form(folder)
    if entry.gguf:
        note = gguf_files.about(folder)
        form = WeightsForm(note.get("form") or _stated_form(entry), form.tied, entry.gguf.file)
        return Weights(folder, note["source"], form, note["revision"], entry.gguf.sha256)
    source = next(
        source for source in entry.sources if isinstance(source, Hub) and hub.cached(source, None) == folder
    )
    return Weights(folder, str(source), form, hub.commit_of(folder))


def _stated_form(entry: Entry) -> str:
    """Return the form stated by the registry or else by the file's header, for conversions that did not note it.

    Raises:
        VsgError: neither is available.
    """
    if entry.form:
        return entry.form
    if (local := _local_gguf(entry)) is None:
        raise VsgError(f"the form of the weights of {entry.name} is unknown: fetch it again")
    return gguf_files.read_header(local[0]).form


def _local_gguf(entry: Entry) -> tuple[Path, Source] | None:
    """Return the GGUF and its source, if it is on this machine."""
    if entry.gguf:
        for source in entry.sources:
            path = _gguf_path(source, entry.gguf)
            if path and path.is_file():
                return path, source
    return None


def published_gguf(entry: Entry) -> Path:
    """Return the GGUF file of fetched weights, as it was published.

    Raises:
        VsgError: it is not on this machine any more.
    """
    if (local := _local_gguf(entry)) is None:
        raise VsgError(
            f"the GGUF file of {entry.name} is not on this machine: delete its folder and fetch it again"
        )
    return local[0]


def _gguf_path(source: Source, gguf: Gguf) -> Path | None:
    match source:
        case Hub():
            return hub.cached(source, gguf.file)
        case Wheels():
            return gguf_files.stored(gguf)
        case Local():
            return source.path
        case Hosted():
            return None


def _fetch(entry: Entry, progress: bool) -> None:
    """Try the sources in order."""
    reasons = []
    for source in entry.sources:
        try:
            _fetch_from(source, entry, progress)
            return
        except DiskFull:
            raise
        except VsgError as error:
            reasons.append(f"{source}: {error.reason}")
            if progress and source is not entry.sources[-1]:
                say(f"could not get {entry.name} from {source}: {error.reason}; trying the next source")
    raise WeightsUnavailable(f"the weights of {entry.name} are unavailable: {'; '.join(reasons)}")


def _fetch_from(source: Source, entry: Entry, progress: bool) -> None:
    match source, entry.gguf:
        case Hub(), gguf:
            hub.fetch(source, gguf.file if gguf else None, progress)
        case Wheels(), Gguf() as gguf:
            # It imports an HTTP client, which `vsg models` does not need.
            from vsg_core.weights import wheels

            wheels.fetch(entry.name, source, gguf, gguf_files.stored(gguf), progress)
        case _:
            raise VsgError("this source has nothing to download")


def _convert(entry: Entry, gguf: Gguf, progress: bool) -> None:
    if (local := _local_gguf(entry)) is None:
        raise VsgError(f"{gguf.file} was fetched, but has disappeared: fetch {entry.name} again")
    path, source = local
    if not isinstance(source, Local) and (actual := digest(path)) != gguf.sha256:
        raise VsgError(f"sha256 of {path} is {actual}, but the registry pins {gguf.sha256}: delete the file")
    header = gguf_files.read_header(path)
    if entry.form and header.form != entry.form:
        raise VsgError(
            f"{path} holds {header.form} weights, but the registry states {entry.form}: correct the registry"
        )
    gguf_files.check_convertible(path)
    note = {
        "name": entry.name,
        "source": str(source),
        "revision": hub.commit_of(path) if isinstance(source, Hub) else None,
        "gguf": gguf.file,
        "form": header.form,
        "sha256": gguf.sha256,
    }
    gguf_files.convert(path, gguf_files.converted(gguf), header.parameters, note, progress)
