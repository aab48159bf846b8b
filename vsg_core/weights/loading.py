"""Loading a model by registry name, hub id, folder or .gguf file."""

from __future__ import annotations

import gc
import re
import shlex
import sys
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vsg_core.collector import no_collection
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.memory import PACKED_BYTES
from vsg_core.hosted.address import is_hosted
from vsg_core.weights import registry, sources
from vsg_core.weights.adapters import check_adapter, has_tokenizer, splits
from vsg_core.weights.checked import check_key, keep_paths, known_paths
from vsg_core.weights.engine_names import name_on, on_second_engine
from vsg_core.weights.folders import check_folder, config_of, has_chat_template, parameters, weight_files
from vsg_core.weights.forms import folder_form
from vsg_core.weights.gguf_files import about, checked_header, converted, identify, read_header
from vsg_core.weights.gguf_header import PART, check_whole, is_gguf, scan
from vsg_core.weights.hosted_models import (
    address_of,
    describe_hosted,
    open_hosted,
    said_by_server,
    with_asked_kind,
)
from vsg_core.weights.hub import cached
from vsg_core.weights.names import is_commit, shown, slug
from vsg_core.weights.registry import Entry, Hub, Local
from vsg_core.weights.sources import Weights

if TYPE_CHECKING:
    from vsg_core.generator.engine import Packing
    from vsg_core.generator.model.language_model import LanguageModel
    from vsg_core.hosted.text_model import TextModel
    from vsg_core.vocabulary import EngineName, Kind

# OWNER/NAME or OWNER/NAME@REVISION; a revision is a commit, a branch or a tag.
HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)
# A file of a repository, as others write it.
HUB_FILE = re.compile(
    r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)[/:](?P<file>[^:]+\.gguf)", re.ASCII | re.IGNORECASE
)
GGUF = ".gguf"
# Hexadecimal digits of a commit in a name.
COMMIT_DIGITS = 12


def load_model(
    name_or_path: str | Path,
    *,
    dtype: str | None = None,
    device: str = "auto",
    weights: Packing | Literal["as-is"] | None = None,
    engine: EngineName | None = None,
    thinking: bool | None = None,
    fetch: bool = True,
    progress: bool = True,
) -> LanguageModel:
    """Load a model, fetching its weights first if needed.

    Args:
        name_or_path: a registry name, a GGUF file, a local folder, or a hub id, OWNER/NAME or OWNER/NAME@REVISION,
            looked for in this order; or BASE+ADAPTER, one of these and the folder or hub id of a PEFT adapter.
        dtype: "float32" (also None), "bfloat16" or "float16".
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is available; with "auto", a model that no
            card holds is placed over all cards.
        weights: pack the weights with bitsandbytes while loading: "nf4" or "int8"; or "as-is", to compute with a GGUF
            file's own kernels on llama.cpp.
        engine: what computes: "transformers" (also None) or "llama.cpp".
        thinking: turn the reasoning of the chat format on or off; by default it is off, unless a claim asks for it.
        fetch: False to use only weights that are already on this machine.
        progress: show the progress of fetching and converting on stderr.

    Raises:
        WrongUse: there is no such model.
        WeightsUnavailable: every source failed; the message gives the reason for each.
        NotEnoughMemory: checked before anything is fetched or loaded; the message gives the numbers.
        NotApplicable: the chat format cannot do what `thinking` asks for.
    """
    if is_hosted(name_or_path):
        raise WrongUse(
            "a hosted model takes text only: load_text_model() opens it, and a claim asks for `text_model`"
        )
    import_engine()
    from vsg_core.generator.engine.paths import Paths
    from vsg_core.generator.engine.placement import as_device, as_devices, as_dtype, device_text
    from vsg_core.generator.model.language_model import LanguageModel
    from vsg_core.weights.products import use_faster_products

    entry = describe(name_or_path, weights, engine)
    # At the least, for tables, norms and head are not packed.
    each = PACKED_BYTES[entry.packing] if entry.packing else as_dtype(dtype).itemsize
    if entry.parameters:
        as_devices(device, entry.name, int(entry.parameters * each))
    try:
        found = sources.get(entry, fetch=fetch, progress=progress)
    except WeightsUnavailable as error:
        raise WeightsUnavailable(
            error.reason, shlex.join(["vsg", "models", "fetch", str(name_or_path)])
        ) from error
    if entry.engine == "llama.cpp":
        return _load_in_llama_cpp(entry, found, dtype, device, thinking, progress)
    as_devices(device, entry.name, int(parameters(found.folder) * each))
    key = check_key(found.identity, str(as_dtype(dtype)), device_text(as_device(device)))
    known = known_paths(key)
    with foreign_errors(f"{found.folder} cannot be loaded"):
        lm = LanguageModel.from_folder(
            found.folder,
            dtype=dtype,
            device=device,
            weights=entry.packing,
            adapter=found.adapter,
            thinking=thinking,
            name=entry.name,
            family=entry.family,
            kind=entry.kind,
            initial={} if entry.gguf is None else entry.initial,
            identity=found.identity,
            paths=known,
        )
    if known is None and isinstance(lm.engine.paths, Paths):
        keep_paths(key, lm.engine.paths)
    use_faster_products(lm)
    return lm


def _load_in_llama_cpp(
    entry: Entry, found: Weights, dtype: str | None, device: str, thinking: bool | None, progress: bool
) -> LanguageModel:
    """Load fetched weights in llama.cpp, with transformers' tokenizer.

    Raises:
        WrongUse: llama.cpp is missing, or asked for what only transformers can do here.
        VsgError: it would compute another model.
    """
    from vsg_core.generator.engine.files import open_tokenizer
    from vsg_core.generator.llama_cpp import LlamaCpp
    from vsg_core.generator.llama_cpp.library import check_library
    from vsg_core.generator.model.language_model import LanguageModel
    from vsg_core.generator.model.special_tokens import special_tokens
    from vsg_core.weights.llama_cpp_files import float32_gguf

    # Before gigabytes are written for it.
    check_library()
    if dtype not in (None, "float32"):
        raise WrongUse(f"llama.cpp computes in float32 here, not in {dtype}: leave --dtype out")
    if device not in ("auto", "cpu"):
        raise WrongUse(f"llama.cpp computes on the processor here, not on {device}: leave --device out")
    path = sources.published_gguf(entry) if entry.as_is else float32_gguf(found.folder, progress)
    form = found.form.form if entry.as_is else "F32"
    tokenizer = open_tokenizer(found.folder)
    return LanguageModel(
        LlamaCpp(path, found.folder, form, special=special_tokens(tokenizer).values()),
        tokenizer,
        name=entry.name,
        family=entry.family,
        kind=entry.kind,
        identity=found.identity,
        thinking=thinking,
    )


def load_text_model(name_or_path: str | Path, **options: Any) -> TextModel:
    """Open a model that is asked in text alone: a hosted one, openai:NAME@URL, or any that `load_model` takes.

    Args:
        options: those of `load_model`, for a model of this machine.

    Raises:
        VsgError: as `load_model`, or the server does not answer.
    """
    entry = describe(name_or_path)
    if entry.is_hosted:
        return open_hosted(with_asked_kind(entry))
    from vsg_core.hosted.local import LocalTextModel

    return LocalTextModel(load_model(name_or_path, **options))


@cache
def import_engine() -> None:
    """Import torch and transformers, and keep the garbage collector from their million objects.

    It would look at them many times while they are imported, after each model and when the process ends: 4 seconds in
    all, to find that they are still needed. Where transformers is in use already, there may be models, which the
    collector must be able to free.
    """
    first = "transformers" not in sys.modules
    with no_collection():
        import_module("vsg_core.generator.engine.files")
    if first:
        gc.freeze()


def weights_here(entry: Entry) -> bool:
    """Return whether the weights are on this machine, without using the network."""
    return sources.is_local(entry)


def weights_id(entry: Entry) -> str:
    """Identify the weights as a record does, by sha256 or the hub's commit; empty if they are not on this machine.

    The first time it reads all files of a local model. A hosted model is known by what its server says and by
    what it writes, which are asked once.
    """
    if entry.is_hosted:
        return said_by_server(entry)
    return sources.identity_of(entry)


def target_of(entry: Entry, name_or_path: str | Path) -> str:
    """Return what `load_model` takes for a described model from any working directory."""
    if entry.is_hosted:
        return address_of(entry).target
    if entry.adapter is not None:
        return _adapted_target(entry, str(name_or_path))
    path = _path(name_or_path)
    return str(path) if path and isinstance(entry.sources[0], Local) else str(name_or_path)


def _adapted_target(entry: Entry, name: str) -> str:
    """Return BASE+ADAPTER with absolute paths, for the split of the name that was described."""
    for base, given in splits(name):
        path = _path(given)
        local = isinstance(entry.adapter, Local) and path == entry.adapter.path
        if local or (isinstance(entry.adapter, Hub) and given.partition("@")[0] == entry.adapter.repo):
            return f"{target_of(_describe(base), base)}+{path if local else given}"
    return name


def describe(
    name_or_path: str | Path,
    weights: Packing | Literal["as-is"] | None = None,
    engine: EngineName | None = None,
) -> Entry:
    """Describe a model without loading it or using the network.

    With packed weights, or on llama.cpp, it has a name of its own: one name stands for one set of weights, computed in
    one way.

    A model outside the registry gets a slug of its name, the registry's family that its name or architecture
    suggests, and the kind "instruct" if it has a chat template. For a hub id whose weights are not downloaded,
    family and kind are guessed from the name. A folder without safetensors stands for its only GGUF file.

    Args:
        weights, engine: as `load_model` takes them.

    Raises:
        WrongUse: it is none of the four; the message suggests similar names. Or the engine cannot run it so.
        VsgError: the folder or file is damaged, or its path cannot be used.
    """
    return computed(_describe(name_or_path), weights, engine)


def computed(
    entry: Entry, weights: Packing | Literal["as-is"] | None, engine: EngineName | None = None
) -> Entry:
    """Describe a model as it is computed: with packed weights, or on another engine.

    Raises:
        WrongUse: the engine cannot run it so.
    """
    check_engine(weights, engine)
    if entry.is_hosted and (weights or engine):
        raise WrongUse(
            f"{entry.name} is {entry.sources[0]}, and its weights are the server's: leave --weights and --engine out"
        )
    if engine == "llama.cpp":
        return _on_llama_cpp(entry, as_is=weights == "as-is")
    if weights is None or weights == "as-is":
        return entry
    form = sources.packed_form(weights, entry.form)
    return replace(entry, name=f"{entry.name}-{weights}", form=form, packing=weights)


def check_engine(weights: Packing | Literal["as-is"] | None, engine: EngineName | None) -> None:
    """Check that an engine can compute with weights of a kind.

    Raises:
        WrongUse: it cannot.
    """
    if engine == "llama.cpp" and weights not in (None, "as-is"):
        raise WrongUse(f"llama.cpp cannot compute with {weights} weights: leave --weights out, or give as-is")
    if engine != "llama.cpp" and weights == "as-is":
        raise WrongUse("transformers cannot compute with weights as-is: add --engine llama.cpp")


def _on_llama_cpp(entry: Entry, as_is: bool) -> Entry:
    if entry.adapter is not None:
        raise WrongUse(f"llama.cpp cannot run {entry.name} with its adapter: give a folder with both merged")
    if as_is and entry.gguf is None:
        raise WrongUse(f"{entry.name} has no GGUF file whose kernels could run: leave --weights as-is out")
    name = name_on(entry.name, "llama.cpp", as_is)
    return replace(entry, name=name, engine="llama.cpp", as_is=as_is)


def _describe(name_or_path: str | Path) -> Entry:
    if is_hosted(name_or_path):
        return describe_hosted(str(name_or_path), _family)
    name, path = str(name_or_path), _path(name_or_path)
    if name in {known.name for known in registry.entries()}:
        return registry.entry(name)
    if path and path.is_dir():
        return _folder(path)
    if path and path.is_file():
        return _file(path)
    if adapted := _with_adapter(name):
        return adapted
    if found := HUB_FILE.fullmatch(name):
        command = shlex.join(["hf", "download", found["repo"], found["file"]])
        raise VsgError(
            f"there is no file {shown(name)}; get one from the hub with `{command}` and give the path that it prints"
        )
    if path and path.suffix.lower() == GGUF:
        raise VsgError(f"there is no file {shown(path)}")
    if (found := HUB_ID.fullmatch(name)) and ".." not in name:
        return _hub(found["repo"], found["revision"])
    return registry.entry(name)


def _with_adapter(name: str) -> Entry | None:
    """Describe BASE+ADAPTER; None if a name cannot be read so.

    Raises:
        WrongUse: the base is not a model.
        VsgError: base or adapter is damaged.
    """
    for base, given in splits(name):
        path = _path(given)
        if path and path.is_dir():
            return _adapted(_describe(base), Local(path))
    for base, given in splits(name):
        if (found := HUB_ID.fullmatch(given)) and ".." not in given:
            return _adapted(_describe(base), Hub(found["repo"], found["revision"] or "main"))
    return None


def _adapted(base: Entry, adapter: Hub | Local) -> Entry:
    """Describe a model with an adapter: named by both, of the base's family and size."""
    if isinstance(adapter, Local):
        check_adapter(adapter.path)
        own = slug(adapter.path.name)
    else:
        own = slug(adapter.repo.replace("/", "--"))
        own = own if adapter.revision == "main" else f"{own}@{_shown_revision(adapter.revision)}"
    if on_second_engine(f"{base.name}+{own}"):
        own += "-adapter"
    here = adapter.path if isinstance(adapter, Local) else cached(adapter, None, adapter=True)
    chat = here is not None and has_tokenizer(here) and has_chat_template(here)
    kind: Kind = "instruct" if chat else base.kind
    return replace(base, name=f"{base.name}+{own}", adapter=adapter, kind=kind, series=None, note=None)


def _shown_revision(revision: str) -> str:
    return revision[:COMMIT_DIGITS] if is_commit(revision) else slug(revision)


def _path(name_or_path: str | Path) -> Path | None:
    """Return the absolute path of what exists under this name; None if nothing does, or nothing can.

    Raises:
        VsgError: it exists, but records and messages cannot hold its path.
    """
    try:
        # `..` goes up from where a link points, as in the file system.
        path = Path(name_or_path).expanduser()
        path = path.resolve() if ".." in path.parts else path.absolute()
        exists = path.exists()
    # No such user, a NUL in it.
    except (RuntimeError, ValueError):
        return None
    except OSError as error:
        raise VsgError(f"{shown(name_or_path)} cannot be read: {error.strerror}") from error
    if exists and shown(path) != str(path):
        raise VsgError(f"the path {shown(path)} has control characters or is not UTF-8: rename it")
    return path


def _folder(path: Path) -> Entry:
    """Describe a model folder: its safetensors, else its only GGUF file."""
    files = sorted(each.name for each in _listed(path))
    ggufs = [name for name in files if name.lower().endswith(GGUF)]
    if not ggufs or any(name.endswith((".safetensors", ".safetensors.index.json")) for name in files):
        return _ad_hoc(_own(path.name), Local(path), path)
    if len(ggufs) > 1:
        if PART.search(ggufs[0]):
            check_whole(scan(path / ggufs[0]))
        raise VsgError(
            f"{path} has {len(ggufs)} GGUF files and no safetensors: give the path of one of {', '.join(ggufs)}"
        )
    return _file(path / ggufs[0])


def _listed(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        raise VsgError(f"{path} cannot be read: {error.strerror}") from error


def _file(path: Path) -> Entry:
    if path.suffix.lower() != GGUF and not is_gguf(path):
        raise WrongUse(f"{path} is a file, but not a GGUF file: give a .gguf file or a model's folder")
    # Before its digest, which takes seconds for a large file.
    checked_header(path)
    gguf = identify(path)
    name, source = _own(path.stem if path.suffix.lower() == GGUF else path.name), Local(path)
    if (folder := converted(gguf)).is_dir():
        form = about(folder).get("form") or read_header(path).form
        return replace(_ad_hoc(name, source, folder), gguf=gguf, form=form)
    header = read_header(path)
    return Entry(
        name=name,
        family=_family(name, header.architecture),
        kind="instruct" if header.has_chat_template else "base",
        sources=(source,),
        size=gguf.size,
        parameters=header.parameters,
        form=header.form,
        gguf=gguf,
        architecture=header.architecture,
    )


def _hub(repo: str, revision: str | None) -> Entry:
    for known in registry.entries():
        for source in known.sources:
            if (
                isinstance(source, Hub)
                and source.repo.lower() == repo.lower()
                and revision in (None, source.revision)
            ):
                return known
    source, name = Hub(repo, revision or "main"), slug(repo.replace("/", "--"))
    if revision:
        name = f"{name}@{_shown_revision(revision)}"
    if folder := cached(source, None):
        return _ad_hoc(name, source, folder)
    chat = re.search(r"instruct|chat|(^|[-_])it($|[-_])", repo.lower()) is not None
    return Entry(name=name, family=_family(name, ""), kind="instruct" if chat else "base", sources=(source,))


def _ad_hoc(name: str, source: Hub | Local, folder: Path) -> Entry:
    """Describe a model folder from its configuration and headers."""
    check_folder(folder)
    config = config_of(folder)
    architecture = config.get("model_type", "")
    return Entry(
        name=name,
        family=_family(name, architecture),
        kind="instruct" if has_chat_template(folder) else "base",
        sources=(source,),
        size=sum(path.stat().st_size for path in weight_files(folder)),
        parameters=parameters(folder),
        form=folder_form(folder).form,
        architecture=architecture or None,
        encoder_decoder=bool(config.get("is_encoder_decoder")),
    )


def _own(text: str) -> str:
    """Name a user's own file or folder; never like a registry entry, whose name identifies pinned bytes."""
    name = slug(text)
    return f"{name}-local" if name in {known.name for known in registry.entries()} else name


def _family(name: str, architecture: str) -> str:
    """Return the registry's family that the name contains, else the only one with this architecture.

    If several or none have it, return the architecture as an identifier.
    """
    plain = re.sub(r"[^a-z0-9]", "", name)
    named = [family for family in registry.families() if family.replace("_", "") in plain]
    if named:
        return max(named, key=len)
    alike = {known.family for known in registry.entries() if known.architecture == architecture}
    if len(alike) == 1:
        return alike.pop()
    word = re.sub(r"\W", "_", architecture) or "other"
    return word if word.isidentifier() else f"_{word}"
