"""The hidden states after each layer, seen while llama.cpp computes them."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

# The node after each layer, followed by the layer's number.
NODE = b"l_out-"


class LayerWatch:
    """Copies what a pass has after each layer, once `looks` is true.

    Args:
        hidden: size of the hidden states.

    Attributes:
        seen: [rows, hidden] float32 after each layer so far, before the final norm.
    """

    def __init__(self, hidden: int) -> None:
        from llama_cpp._ggml import libggml

        self._lib: Any = libggml
        self._lib.ggml_get_name.restype = ctypes.c_char_p
        self._lib.ggml_get_name.argtypes = [ctypes.c_void_p]
        self._lib.ggml_nelements.restype = ctypes.c_int64
        self._lib.ggml_nelements.argtypes = [ctypes.c_void_p]
        self._lib.ggml_backend_tensor_get.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
        ]  # fmt: skip
        self._hidden = hidden
        self.looks = False
        self.seen: list[Tensor] = []

    def __call__(self, node: int, ask: bool, _: Any) -> bool:
        """Say whether a node is wanted, if asked; copy it otherwise, and let the pass go on."""
        wanted = self.looks and self._lib.ggml_get_name(node).startswith(NODE)
        if wanted and not ask:
            values = torch.empty(self._lib.ggml_nelements(node) // self._hidden, self._hidden)
            self._lib.ggml_backend_tensor_get(
                node, values.data_ptr(), 0, values.numel() * values.element_size()
            )
            self.seen.append(values)
        return bool(wanted or not ask)
