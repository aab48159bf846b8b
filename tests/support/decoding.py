"""Pieces that tests of decoding share: random ids, a writer whose rows end at chosen steps, the bound for logits."""

from __future__ import annotations

from typing import Any

import torch

from tests.support.architectures import TOKENS
from vsg_core import LanguageModel
from vsg_core.generator.writing.writers import TokenWriter

# Arguments of torch.testing.assert_close for what differs by rounding only.
CLOSE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4}


def ids(*shape: int, seed: int = 0) -> torch.Tensor:
    """Draw ids of ordinary tokens of the tiny models."""
    return torch.randint(3, TOKENS, shape, generator=torch.Generator().manual_seed(seed))


class Ending(TokenWriter):
    """Ends the row of each sequence at a step of its own."""

    def __init__(self, lm: LanguageModel, ends: list[int]) -> None:
        super().__init__(lm)
        self.ends = ends

    def __call__(self, logits, rows, step, hidden=None):
        out = super().__call__(logits, rows, step, hidden)
        out.stopped = ["end" if step >= self.ends[row] else None for row in rows.tolist()]
        return out
