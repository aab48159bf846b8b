"""The one room that talks to transformers' model classes.

Everything an architecture may do differently with embeddings is settled here: position ids, attention masks,
caches, embedding scale, padded vocabulary rows, encoder and decoder. Nothing else knows about it.
"""

from vsg_core.engine.files import convert_gguf, open_model, open_tokenizer
from vsg_core.engine.forward import Engine, State
from vsg_core.engine.inside import (
    float64,
    head_table,
    last_hidden_states,
    lens,
    library_scores,
    position_table,
    untrained,
)

__all__ = [
    "Engine", "State", "convert_gguf", "float64", "head_table", "last_hidden_states", "lens", "library_scores",
    "open_model", "open_tokenizer", "position_table", "untrained",
]  # fmt: skip
