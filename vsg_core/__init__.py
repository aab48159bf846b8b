"""Concept tokens, and claims about them, measured on real language models."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Names are resolved on first use, so that `vsg --help` and `pytest --collect-only` do not import torch.
_HOME = {
    "LanguageModel": "language_model",
    "Generation": "language_model",
    "load_model": "weights.loading",
    "ClaimTable": "tables",
    "claim": "claims",
    "Evidence": "claims",
    "Trial": "claims",
    "rate": "judging.rules",
    "difference": "judging.rules",
    "equivalence": "judging.rules",
    "always": "judging.rules",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vsg_core' has no attribute {name!r}")
    return getattr(import_module(f"vsg_core.{_HOME[name]}"), name)
