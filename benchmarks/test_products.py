"""Passes of the embedded model with torch's own products and with oneDNN's: see vsg_core/weights/products.py.

Goal: where `load_model` takes oneDNN, it is at least 1.3 times as fast on prompts. Elsewhere the table shows what it
would change.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.engines import engine_of
from vsg_core.weights.products import OneDnnLinear


@pytest.mark.parametrize(
    ("rows", "positions"), [(1, 32), (8, 32), (32, 32), (1, 1), (8, 1), (32, 1), (128, 1)]
)
def test_products(endless, race, rows, positions):
    """Time a pass over prompts, or a step that feeds one position per row."""
    model = engine_of(endless).model
    layers = [layer for layer in model.modules() if type(layer) in (nn.Linear, OneDnnLinear)]
    taken = [type(layer) for layer in layers]
    ids = torch.arange(rows * positions).reshape(rows, positions)

    def compute(kind: type[nn.Linear]) -> int:
        for layer in layers:
            layer.__class__ = kind
        with torch.inference_mode():
            model(ids, use_cache=False, logits_to_keep=1)
        return ids.numel()

    contestants = {"oneDNN": lambda: compute(OneDnnLinear), "torch's own": lambda: compute(nn.Linear)}
    try:
        race(f"{rows} rows of {positions}", contestants, rounds=7)
    finally:
        for layer, kind in zip(layers, taken, strict=True):
            layer.__class__ = kind
