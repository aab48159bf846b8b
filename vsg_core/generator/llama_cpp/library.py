"""The library llama-cpp-python: its version, its silence, and the models it opens."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError, WrongUse

# Its structures are declared in Python and must be those of the C library, so no other version is used.
VERSION = "0.3.36"
INSTALL = "pip install 'vector-space-generation[llamacpp]'"
# The level from which llama.cpp's messages say why a call failed.
ERROR = 4
# The last of these messages.
_failures: list[str] = []


def check_library() -> None:
    """Check that llama-cpp-python is installed in the version whose structures are known.

    Raises:
        WrongUse: it is missing, or has another version; the message says how to get it.
    """
    try:
        found = version("llama-cpp-python")
    except PackageNotFoundError:
        raise WrongUse(f"the engine llama.cpp needs llama-cpp-python {VERSION}: {INSTALL}") from None
    if found != VERSION:
        raise WrongUse(f"the engine llama.cpp needs llama-cpp-python {VERSION}, not {found}: {INSTALL}")


@cache
def library() -> Any:
    """Load the library once, without its messages on stderr.

    Raises:
        WrongUse: it is missing, has another version, or cannot be loaded.
    """
    check_library()
    try:
        from llama_cpp import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise WrongUse(
            f"llama-cpp-python {VERSION} cannot be loaded ({str(error).splitlines()[0]}): build it again "
            "(pip install --force-reinstall --no-cache-dir --no-deps llama-cpp-python)"
        ) from error
    # Kept by the cache as an attribute: C calls it as long as the process runs.
    llama_cpp.vsg_log = llama_cpp.llama_log_callback(_note)
    llama_cpp.llama_log_set(llama_cpp.vsg_log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


def _note(level: int, text: bytes, _: Any) -> None:
    if level == ERROR:
        _failures[:] = [*_failures[-3:], text.decode("utf-8", "replace").strip()]


def reason() -> str:
    """Why the last call of the library failed, in its own words; empty if it did not say."""
    text = _failures[-1] if _failures else ""
    return text.split(": ", 1)[-1]


class Weights:
    """The weights of a GGUF file, mapped into memory.

    Raises:
        VsgError: llama.cpp cannot read it; the message has its reason.
    """

    def __init__(self, path: Path) -> None:
        lib = library()
        parameters = lib.llama_model_default_params()
        # The records name one processor's numbers; other devices would need an identity of their own.
        parameters.n_gpu_layers = 0
        # With AMX, weights that were rearranged for it end the process in a segmentation fault on some processors
        # (https://github.com/ggml-org/llama.cpp/issues/20824).
        parameters.use_extra_bufts = "AMX_INT8" not in kernels().split()
        _failures.clear()
        self._model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise VsgError(f"llama.cpp cannot open {path}: {reason() or 'it gives no reason'}")

    @property
    def model(self) -> Any:
        """The library's own.

        Raises:
            VsgError: they were closed.
        """
        if not self._model:
            raise VsgError("the model is closed: open it again")
        return self._model

    def close(self) -> None:
        """Free the memory; closing again does nothing."""
        if self._model:
            library().llama_model_free(self._model)
            self._model = None


def versions() -> str:
    """The versions of the binding and of llama.cpp in it."""
    return f"{VERSION} (llama.cpp {library().llama_version().decode()})"


def kernels() -> str:
    """Name what the library was built with and found on this processor, such as "AVX2 AVX512 FMA LLAMAFILE"."""
    found = library().llama_print_system_info().decode().replace("|", ":").split(":")
    flags = [part.strip().removesuffix(" = 1") for part in found if part.strip().endswith(" = 1")]
    return " ".join(sorted(set(flags)))
