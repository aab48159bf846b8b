"""The one room that talks to transformers' model classes.

Everything an architecture may do differently with embeddings is settled here: position ids, attention masks,
caches, embedding scale, padded vocabulary rows, encoder and decoder. Nothing else knows about it.
"""

import lazy_loader

# Lazy: a memory check must not import torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
