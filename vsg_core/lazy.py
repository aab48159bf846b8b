"""Heavy libraries, imported at their first use and without pauses, so that commands answer at once.

`from vsg_core import torch` at the top of a claim file costs nothing until a claim runs. importlib.util.LazyLoader
does not do this: it puts the module into sys.modules at once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands in for a module and imports it when one of its public attributes is first read."""

    def __getattr__(self, name: str) -> Any:
        # Introspection must not import: while collecting, pytest reads __bases__ and _mock_name of every object.
        if name.startswith("_") and name != "__version__":
            raise AttributeError(
                f"the lazy module {self.__name__} hides {name}: import {self.__name__} itself"
            )
        return getattr(import_module(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(import_module(self.__name__))


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the garbage collector: it would look at each of a million new objects many times, and free none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                # Moves all objects to the oldest generation, else the next collection would look at the new ones.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


if TYPE_CHECKING:
    import numpy as numpy
    import torch as torch
    from hypothesis import strategies as strategies
else:
    numpy = LazyModule("numpy")
    strategies = LazyModule("hypothesis.strategies")
    torch = LazyModule("torch")
