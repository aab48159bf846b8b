"""Runs a model in llama.cpp, from the same weights as transformers or from a quantised file as it is.

Needs the extra `llamacpp`. Text never reaches it: sequences are ids or vectors, as for every engine.
"""

import lazy_loader

# Lazy, so that neither torch nor the library is imported before a model is opened.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
