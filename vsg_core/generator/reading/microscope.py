"""A model's concept tokens step by step: their components, and where they depart from greedy decoding.

An illustration for the report, on a few fixed prompts; no verdict depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from vsg_core.generator.mixing.distributions import entropy_bits
from vsg_core.generator.mixing.presets import STUDY, Mixing
from vsg_core.generator.reading.nearest import nearest_tokens
from vsg_core.generator.writing.decoding import Writer, Written, decode_each
from vsg_core.generator.writing.writers import ConceptWriter, TokenWriter
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.model.language_model import LanguageModel

# Written by hand before any model was run: the study's three prompts, an open beginning, the study's translation
# frame, which has a single right answer, and an unfinished list.
PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "The meaning of life is",
    "My favourite food is",
    "The Spanish word 'gato' in English is",
    "The four seasons are spring, summer,",
)
STEPS = 6
TOKENS = 6  # shown per distribution, the most probable ones


@dataclass(frozen=True)
class Seen:
    """One step of either path: the model's next-token distribution, and what was written from it.

    Args:
        kept: a ConceptToken, or a token id.
        entropy: of the next-token distribution, in bits.
        likely: the most probable tokens with their probabilities.
    """

    kept: Any
    entropy: float
    likely: list[tuple[int, float]]


class _Watched:
    """Wraps a writer and keeps, with each step, the distribution it was written from."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        written = self.writer(logits, rows, step, hidden)
        most, ids = logits.softmax(-1).topk(min(TOKENS, logits.shape[-1]))  # [batch, TOKENS]
        kept = [
            Seen(each, entropy, list(zip(i, p, strict=True)))
            for each, entropy, i, p in zip(
                written.kept, entropy_bits(logits).tolist(), ids.tolist(), most.tolist(), strict=True
            )
        ]
        return Written(written.inputs, kept, written.stopped)


def look(
    lm: LanguageModel, prompts: Sequence[str] = PROMPTS, steps: int = STEPS, mixing: Mixing = STUDY
) -> list[dict[str, Any]]:
    """Write up to `steps` concept tokens, and as many greedy tokens, after each prompt.

    Returns:
        Per prompt: `prompt`; `soft`, its concept tokens with weights, the weight not shown, entropy in bits, nearest
        token and its distance in mean token norms; `greedy`, its tokens with probability and entropy; `parts_at`,
        the first step (from 0) whose heaviest token is not the greedy token, or None.
    """
    writers = {"soft": _Watched(ConceptWriter(lm, mixing)), "greedy": _Watched(TokenWriter(lm))}
    paths = decode_each(lm, prompts, writers, steps)
    near = _nearest(lm, [seen for soft in paths["soft"] for seen in soft.steps])
    return [
        _prompt(lm, prompt, soft.steps, greedy.steps, near)
        for prompt, soft, greedy in zip(prompts, paths["soft"], paths["greedy"], strict=True)
    ]


def _nearest(lm: LanguageModel, steps: Sequence[Seen]) -> Iterator[tuple[int, float]]:
    """Find the token nearest to each concept token, with its distance: all at once, as the table is large."""
    if not steps:
        return iter(())
    nearest, distances = nearest_tokens(lm, torch.stack([seen.kept.vector for seen in steps]))  # [steps] each
    return zip(nearest.tolist(), distances.tolist(), strict=True)


def _prompt(
    lm: LanguageModel,
    prompt: str,
    soft: Sequence[Seen],
    greedy: Sequence[Seen],
    near: Iterator[tuple[int, float]],
) -> dict[str, Any]:
    heaviest, tokens = [seen.kept.token_id for seen in soft], [seen.kept for seen in greedy]
    apart = [step for step, pair in enumerate(zip(heaviest, tokens, strict=False)) if pair[0] != pair[1]]
    # Only greedy decoding can end early.
    ended = len(tokens) if len(tokens) < len(heaviest) else None
    return {
        "prompt": prompt,
        "soft": _soft(lm, soft, near),
        "greedy": [
            {
                "token": lm.token(seen.kept),
                "probability": dict(seen.likely)[seen.kept],
                "entropy": seen.entropy,
            }
            for seen in greedy
        ],
        "parts_at": apart[0] if apart else ended,
    }


def _soft(
    lm: LanguageModel, steps: Sequence[Seen], near: Iterator[tuple[int, float]]
) -> list[dict[str, Any]]:
    return [
        {
            "tokens": [[token, weight] for token, weight in seen.kept.mixture.spelled(lm, TOKENS)],
            "rest": max(0.0, 1.0 - sum(seen.kept.mixture.weights[:TOKENS])),
            "entropy": seen.entropy,
            "likely": [[lm.token(i), p] for i, p in seen.likely],
            "nearest": lm.token(token),
            "distance": distance / lm.embedding_norm,
        }
        for seen, (token, distance) in zip(steps, near, strict=False)
    ]


def microscope_record(lm: LanguageModel) -> dict[str, Any]:
    """Look at the fixed PROMPTS with the study's settings, as plain JSON values.

    Returns:
        `mixing`, the settings in use, and `prompts`, as `look` returns them.
    """
    # The study keeps 50 tokens; a smaller vocabulary keeps all of its own
    study = replace(STUDY, top_k=min(STUDY.top_k or 0, len(lm.token_ids)))
    mixing = {name: value for name, value in asdict(study).items() if value is not None}
    return {"mixing": mixing, "prompts": look(lm, mixing=study)}
