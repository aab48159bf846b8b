"""Heavy libraries as modules that are imported at their first use, so that collecting claims stays fast.

`from vsg_core import torch` at the top of a claim file costs nothing until a claim runs. importlib.util.LazyLoader
does not do this: it puts the module into sys.modules at once.
"""

from __future__ import annotations

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


if TYPE_CHECKING:
    import numpy as numpy
    import torch as torch
    from hypothesis import strategies as strategies
else:
    numpy = LazyModule("numpy")
    strategies = LazyModule("hypothesis.strategies")
    torch = LazyModule("torch")
