"""Weights from the Hugging Face hub: safetensors or one GGUF at a pinned revision, never code.

Downloads use the user's own token and go to huggingface_hub's own cache, where other tools find them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from vsg_core.errors import VsgError, WeightsUnavailable, first_line_of
from vsg_core.weights.adapters import check_adapter, is_adapter
from vsg_core.weights.cache import bytes_text, check_room, digest, disk_faults, say
from vsg_core.weights.folders import FILES, check_folder, is_complete
from vsg_core.weights.registry import Hub

# Seconds to the first answer; the client's own default is five attempts of ten seconds.
TIMEOUT = 5.0

# Why the hub could not be reached; it is tried once per process.
_unreachable: str | None = None


def cached(source: Hub, file: str | None, adapter: bool = False) -> Path | None:
    """Find the file, or the complete model folder, in huggingface_hub's cache, without using the network.

    Args:
        file: a GGUF of the repository; None for the folder that holds its safetensors.
        adapter: the folder holds a PEFT adapter.
    """
    folder = _snapshot(source)
    if adapter:
        return folder if is_adapter(folder) else None
    if file:
        return folder / file if (folder / file).is_file() else None
    return folder if is_complete(folder) else None


def commit_of(path: Path) -> str:
    """Return the commit that a file or folder in huggingface_hub's cache belongs to."""
    steps = zip(path.parts, path.parts[1:], path.parts[2:], strict=False)
    return next(commit for repo, room, commit in steps if repo.startswith("models--") and room == "snapshots")


def fetch(source: Hub, file: str | None, progress: bool, adapter: bool = False) -> Path:
    """Download the file, or the safetensors with their configuration and tokenizer, and verify their sha256.

    Raises:
        VsgError: the hub cannot be reached or lacks part of the model; the message says which.
        DiskFull: the files do not fit.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    cache = Path(constants.HF_HUB_CACHE)
    with _failures(source):
        files = _wanted(source, file)
        size = sum(listed.size or 0 for listed in files)
        check_room(cache, size, f"{source.repo} from the hub")
        if progress:
            say(f"fetching {bytes_text(size)} from {source}")
        bars = nullcontext() if progress else _without_bars()
        with bars, disk_faults(f"downloading {source.repo}", cache, size):
            if file:
                path = Path(hf_hub_download(source.repo, file, revision=source.revision))
            else:
                names = [listed.rfilename for listed in files]
                path = Path(snapshot_download(source.repo, revision=source.revision, allow_patterns=names))
    for listed in files:
        _verify(_snapshot(source) / listed.rfilename, listed)
    if adapter:
        check_adapter(path)
    elif not file:
        check_folder(path)
    return path


def _snapshot(source: Hub) -> Path:
    repo = Path(constants.HF_HUB_CACHE) / f"models--{source.repo.replace('/', '--')}"
    ref = repo / "refs" / source.revision
    return repo / "snapshots" / (ref.read_text().strip() if ref.is_file() else source.revision)


def _wanted(source: Hub, file: str | None) -> list[Any]:
    """List the files to download, with their sizes and, for large files, the sha256 stated by the hub."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(source.repo, revision=source.revision, files_metadata=True, timeout=TIMEOUT)
    files = info.siblings or []
    where = f"{source.repo} at {info.sha}"
    if file:
        matching = [listed for listed in files if listed.rfilename == file]
        if not matching:
            raise WeightsUnavailable(f"{where} has no {file}")
        return matching
    names = [listed.rfilename for listed in files if "/" not in listed.rfilename]
    wanted = {name for name in names if any(fnmatch(name, pattern) for pattern in FILES)}
    if not any(name.endswith(".safetensors") for name in wanted):
        gguf = next((listed.rfilename for listed in files if listed.rfilename.endswith(".gguf")), None)
        hint = f"download {gguf} and give its path" if gguf else "no other format is loaded"
        raise WeightsUnavailable(f"{where} has no safetensors weights: {hint}")
    return [listed for listed in files if listed.rfilename in wanted]


def _verify(path: Path, listed: Any) -> None:
    if listed.lfs and (found := digest(path)) != listed.lfs.sha256:
        raise WeightsUnavailable(
            f"sha256 of {path} is {found}, but the hub states {listed.lfs.sha256}: "
            f"delete {path.resolve()} and try again"
        )


@contextmanager
def _failures(source: Hub) -> Iterator[None]:
    """Turn errors of the hub's client into one line; an unreachable hub is not tried again in this process."""
    from huggingface_hub import errors

    global _unreachable
    # OSError, and the base error of the HTTP library that this version uses.
    network: tuple[Any, ...] = errors.HfHubHTTPError.__bases__
    if _unreachable:
        raise WeightsUnavailable(_unreachable)
    try:
        yield
    except VsgError:
        raise
    except errors.GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{source.repo}"
        raise WeightsUnavailable(
            f"{source.repo} is gated: accept its licence at {page}, then `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsUnavailable(f"{source.repo} has no revision {source.revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsUnavailable(
            f"no repository {source.repo} on {constants.ENDPOINT} (or it is private: `hf auth login`)"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise WeightsUnavailable("HF_HUB_OFFLINE is set") from error
    except errors.HfHubHTTPError as error:
        raise WeightsUnavailable(f"{constants.ENDPOINT} answered {error.response.status_code}") from error
    # No such host, no connection, a timeout.
    except network as error:
        _unreachable = (
            f"no connection to {constants.ENDPOINT} ({type(error).__name__}: {first_line_of(error)})"
        )
        raise WeightsUnavailable(_unreachable) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    were = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were:
            enable_progress_bars()
