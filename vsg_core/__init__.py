"""Concept tokens, and claims about them, measured on real language models.

The public face: claims, fixtures and notebooks import from here alone. `__init__.pyi` lists the names.
"""

import lazy_loader

# Lazy: `vsg --help` and `pytest --collect-only` must not import torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
