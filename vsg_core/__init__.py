"""Concept tokens, and claims about them, measured on real language models.

The public face: claims, fixtures and notebooks import from here alone, at the top of the file. `__init__.pyi` lists
the names. Nothing is imported until it is asked for, and no name of this list imports torch or transformers: the
modules behind them use `torch` from `vsg_core.lazy`, which is imported when a claim first uses it. So a claim file may
begin with

    from vsg_core import LanguageModel, presets, torch, write_concepts

and `vsg --help` and `pytest --collect-only` still answer at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
