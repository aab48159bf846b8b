"""Heavy libraries as modules that are imported at their first use, so that collecting claims stays fast.

`from vsg_core import torch` at the top of a claim file costs nothing until a claim runs. importlib.util.LazyLoader
does not do this: it puts the module into sys.modules at once.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands in for a module and imports it when one of its attributes is first read."""

    def __getattr__(self, name: str) -> Any:
        # Introspection must not import: pytest's issubclass(obj, TestCase), for one, reads __bases__.
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"{self.__name__} has no {name} before it is imported")
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
