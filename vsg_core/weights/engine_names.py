"""The names under which records of a second engine are kept: MODEL+llama.cpp, next to MODEL of transformers.

A plus sign alone does not tell: a model with an adapter is BASE+ADAPTER.
"""

from __future__ import annotations

import re

from vsg_core.vocabulary import AS_IS, FIRST_ENGINE, EngineName
from vsg_core.weights.names import DIGITS

# MODEL+llama.cpp has the weights in float32; MODEL+llama.cpp-as-is the kernels of a quantised file. Where other weights
# have the name already, it ends with the start of a digest.
_ON_SECOND = re.compile(
    rf"(?P<model>.+)\+(?P<engine>llama\.cpp)(?P<as_is>-as-is)?(?P<digest>-(?:[0-9a-f]{{{DIGITS}}}){{1,2}})?"
)


def name_on(model: str, engine: EngineName, as_is: bool) -> str:
    """Return the name under which a model's records on a second engine are kept."""
    return f"{model}+{engine}" + (f"-{AS_IS}" if as_is else "")


def model_of(name: str) -> str:
    """Return the name of the model in the name of its records: MODEL for MODEL+llama.cpp, else the name itself.

    The digest stays: MODEL-1a2b3c4d for MODEL+llama.cpp-1a2b3c4d.
    """
    found = _ON_SECOND.fullmatch(name)
    return found["model"] + (found["digest"] or "") if found else name


def engine_of(name: str) -> str:
    """Return the engine in the name of a model's records: "llama.cpp", "llama.cpp, weights as is", "transformers"."""
    found = _ON_SECOND.fullmatch(name)
    if not found:
        return FIRST_ENGINE
    return found["engine"] + (", weights as is" if found["as_is"] else "")


def is_as_is(name: str) -> bool:
    """Return whether records of this name are those of a quantised file's own kernels."""
    found = _ON_SECOND.fullmatch(name)
    return found is not None and found["as_is"] is not None


def on_second_engine(name: str) -> bool:
    """Return whether records of this name are those of a second engine."""
    return engine_of(name) != FIRST_ENGINE
