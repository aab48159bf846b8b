"""The ways of computing that a model's self-check found exact; the engine takes no other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Batches = Literal["padded", "equal", "single"]
WORDS: dict[Batches, str] = {
    "padded": "left-padded batches",
    "equal": "batches of equal lengths",
    "single": "one sequence at a time",
}


@dataclass(frozen=True)
class Paths:
    """The ways that are exact for a model.

    They give, within rounding, the numbers of one pass over each sequence alone, from its ids.

    Args:
        batches: which sequences may run together.
        cached: steps use the cache; without it each step computes the whole sequence again.
        shared: the beginning that several sequences share is computed once, and states join into one batch.
        limit: positions up to which all this was checked, None if there is no border beyond them. A longer sequence
            runs alone and without a cache.
        hidden: the last hidden state is known, as the model's head saw it.
        lens: final norm and head give the model's own logits.
        states: hidden states are known by layer.
        static: on a graphics card, steps replay a CUDA graph.
    """

    batches: Batches = "padded"
    cached: bool = True
    shared: bool = True
    limit: int | None = None
    hidden: bool = True
    lens: bool = True
    states: bool = True
    static: bool = False

    @property
    def is_fast(self) -> bool:
        """Return whether no slower way is needed."""
        return self.batches == "padded" and self.cached and self.shared and self.limit is None

    def allow(self, positions: int) -> bool:
        """Return whether a sequence of that many positions is within what was checked."""
        return self.limit is None or positions <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values, for a file."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [WORDS[self.batches], "a cache" if self.cached else "no cache"]
        parts += ["shared beginnings"] if self.shared else []
        parts += ["CUDA graphs"] if self.static else []
        within = f", up to {self.limit} positions" if self.limit is not None else ""
        return ", ".join(parts) + within


# Exact by construction: what the self-check compares with.
SLOWEST = Paths("single", cached=False, shared=False, hidden=False, lens=False, states=False)
