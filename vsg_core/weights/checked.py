"""Results of self-checks, kept in the cache per weights, dtype, device, library versions and source of the engine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vsg_core.generator import engine
from vsg_core.weights.cache import root

LIBRARIES = ("torch", "transformers", "tokenizers")
# Of these the result depends only where the model was loaded with them.
OPTIONAL = ("bitsandbytes", "peft")


def known_paths(key: str | None) -> engine.Paths | None:
    """Return the result that was kept under a key; None if there is none."""
    if key is None:
        return None
    try:
        return _adapter().validate_json(_file(key).read_bytes())
    except (OSError, ValidationError):
        return None


def keep_paths(key: str | None, paths: engine.Paths) -> None:
    """Keep the result of a self-check; where the cache cannot be written, the next load checks again."""
    if key is None:
        return
    path = _file(key)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(paths.as_dict()), encoding="utf-8")
        temporary.replace(path)


def check_key(identity: Mapping[str, Any], dtype: str, device: str) -> str | None:
    """Digest all that the result of a self-check depends on; None if the weights are not identified."""
    weights = identity.get("sha256") or identity.get("revision")
    if not weights:
        return None
    about = [str(identity.get(name)) for name in ("source", "form")]
    parts = [str(weights), *about, dtype, device, *map(version, LIBRARIES), *_optional(), _engine()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _optional() -> list[str]:
    """The versions of the libraries that pack weights and apply adapters; empty where one is not installed."""
    found = []
    for name in OPTIONAL:
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append("")
    return found


def _file(key: str) -> Path:
    return root() / "checks" / f"{key}.json"


@cache
def _engine() -> str:
    """Digest the source of the engine: with other code the result may be another."""
    files = sorted(Path(engine.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


@cache
def _adapter() -> TypeAdapter[engine.Paths]:
    return TypeAdapter(engine.Paths)
