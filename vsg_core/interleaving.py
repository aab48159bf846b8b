"""Interleaved generation: some vectors, read back as tokens, and on from those (the study's docs/hypothesis.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vsg_core.errors import WrongUse
from vsg_core.mixture import PLAIN, Mixing
from vsg_core.readers import nearest_tokens
from vsg_core.writers import ConceptToken, write_concepts

if TYPE_CHECKING:
    from vsg_core.language_model import LanguageModel


@dataclass
class Interleaved:
    """What was written after one sequence."""

    concepts: list[ConceptToken] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)  # as each of them was read back: what the model went on from


def interleave(
    lm: LanguageModel, sequences: Sequence[Tensor], n: int, rounds: int, mixing: Mixing = PLAIN
) -> list[Interleaved]:
    """`rounds` times: write `n` concept tokens, read each back as its nearest token, go on from the tokens.

    Only within a round does the model see vectors; `n` = 1 is greedy decoding wherever the nearest token is the
    most probable one.

    Args:
        sequences: ids [seq] each.

    Raises:
        WrongUse: fewer than 1 vector a round, or no room for all rounds in the model's context.
    """
    if n < 1:
        raise WrongUse(f"n is {n}: give at least 1 vector a round")
    written = [Interleaved() for _ in sequences]
    contexts = list(sequences)
    for _ in range(rounds):
        for row, trace in enumerate(write_concepts(lm, contexts, n, mixing)):
            ids, _ = nearest_tokens(lm, torch.stack([concept.vector for concept in trace.steps]))
            contexts[row] = torch.cat([contexts[row].to(ids), ids])
            written[row].concepts += trace.steps
            written[row].ids += ids.tolist()
    return written
