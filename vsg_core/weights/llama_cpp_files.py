"""Float32 GGUF files for llama.cpp, written once and kept in the cache.

In the cache: llama.cpp/LABEL-KEY/model.gguf, where LABEL is the model's folder and the start of a sha256, and KEY names
what wrote it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from vsg_core.weights.cache import building, check_room, disk_faults, known_digest, lock, root, say

FILE = "model.gguf"


def float32_gguf(folder: Path, progress: bool = False) -> Path:
    """Return the float32 GGUF file of a folder of safetensors, and write it first if it is not in the cache.

    Raises:
        VsgError: llama.cpp would compute another model.
        DiskFull: the file does not fit.
    """
    from vsg_core.generator.engine.headers import tensors
    from vsg_core.generator.llama_cpp import WRITER, write_float32_gguf
    from vsg_core.generator.llama_cpp.writing import check_architecture, read_config

    check_architecture(folder, read_config(folder))
    target = root() / "llama.cpp" / f"{folder.name}-{_digest(folder)[:12]}-w{WRITER}"
    path = target / FILE
    if path.is_file():
        return path
    with lock(target.name):
        if path.is_file():
            return path
        needed, what = 4 * sum(tensor.elements for tensor in tensors(folder)), f"writing {target.name}"
        check_room(target, needed, what)
        if progress:
            say(f"writing {folder.name} as float32 GGUF for llama.cpp (only once)")
        with disk_faults(what, target, needed), building(target) as new:
            write_float32_gguf(folder, new / FILE)
    return path


def _digest(folder: Path) -> str:
    """Compute one sha256, in hex, over weights and configuration."""
    from vsg_core.generator.engine.headers import weight_files

    parts = [known_digest(path) for path in (folder / "config.json", *weight_files(folder))]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
