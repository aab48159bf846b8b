"""The one room that talks to transformers' model classes, and the one that imports torch when it is loaded.

It handles every difference between architectures: position ids, attention masks, caches, embedding scale, padded
vocabulary rows, encoder and decoder.
"""

import lazy_loader

# Lazy, so that collecting claims and checking memory import neither torch nor transformers.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
