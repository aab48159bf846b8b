"""A look at a model's concept tokens, step by step: what they are made of, and where they leave greedy decoding.

It judges nothing: a few fixed prompts to look at, in a file beside the evidence records that the report shows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.mixing.mixture import Mixing
    from vsg_core.generator.model.language_model import LanguageModel
    from vsg_core.generator.writing.decoding import Writer, Written

SCHEMA_VERSION = 1

# Written by hand before any model was asked: the study's three, then an open beginning, one with a single right
# answer that the study's translation frame asks for, and a list that is under way.
PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "The meaning of life is",
    "My favourite food is",
    "The Spanish word 'gato' in English is",
    "The four seasons are spring, summer,",
)
STEPS = 6
TOKENS = 6  # of a distribution, the most probable


@dataclass(frozen=True)
class Seen:
    """One step of either path: what the model expected, and what was written of it."""

    kept: Any  # a ConceptToken, or a token id
    entropy: float  # in bits, of the next-token distribution
    likely: list[tuple[int, float]]  # the most probable tokens with their probabilities


class _Watched:
    """A writer whose every step is kept together with the distribution that it was made from."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def __call__(self, logits: Tensor, rows: Tensor, step: int, hidden: Tensor) -> Written:
        from vsg_core.generator.mixing.mixture import entropy_bits
        from vsg_core.generator.writing.decoding import Written

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
    lm: LanguageModel, prompts: Sequence[str] = PROMPTS, steps: int = STEPS, mixing: Mixing | None = None
) -> list[dict[str, Any]]:
    """Both paths after each prompt: up to `steps` concept tokens, the study's unless told, and as many greedy tokens.

    Returns:
        For each prompt: prompt; soft, its concept tokens with weights, what the mixture leaves out, entropy in
        bits, nearest token and its distance in mean token norms; greedy, its tokens with probability and
        entropy; parts_at, the first step, from 0, at which the heaviest token is not the greedy one, or None.
    """
    from vsg_core.generator.mixing.mixture import STUDY
    from vsg_core.generator.writing.decoding import decode_each
    from vsg_core.generator.writing.writers import ConceptWriter, TokenWriter

    writers = {"soft": _Watched(ConceptWriter(lm, mixing or STUDY)), "greedy": _Watched(TokenWriter(lm))}
    paths = decode_each(lm, [lm.tokenize(prompt) for prompt in prompts], writers, steps)
    return [
        _prompt(lm, prompt, soft.steps, greedy.steps)
        for prompt, soft, greedy in zip(prompts, paths["soft"], paths["greedy"], strict=True)
    ]


def _prompt(lm: LanguageModel, prompt: str, soft: Sequence[Seen], greedy: Sequence[Seen]) -> dict[str, Any]:
    heaviest, tokens = [seen.kept.token_id for seen in soft], [seen.kept for seen in greedy]
    apart = [step for step, pair in enumerate(zip(heaviest, tokens, strict=False)) if pair[0] != pair[1]]
    ended = len(tokens) if len(tokens) < len(heaviest) else None  # greedy decoding ended, soft cannot
    return {
        "prompt": prompt,
        "soft": _soft(lm, soft),
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


def _soft(lm: LanguageModel, steps: Sequence[Seen]) -> list[dict[str, Any]]:
    import torch

    from vsg_core.generator.reading.readers import nearest_tokens

    if not steps:
        return []
    nearest, distances = nearest_tokens(lm, torch.stack([seen.kept.vector for seen in steps]))  # [steps] each
    return [
        {
            "tokens": seen.kept.components(lm, TOKENS),
            "rest": max(0.0, 1.0 - sum(seen.kept.weights[:TOKENS])),
            "entropy": seen.entropy,
            "likely": [[lm.token(i), p] for i, p in seen.likely],
            "nearest": lm.token(token),
            "distance": distance / lm.embedding_norm,
        }
        for seen, token, distance in zip(steps, nearest.tolist(), distances.tolist(), strict=True)
    ]


def microscope_record(
    lm: LanguageModel, model: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """What the report shows of a model's concept tokens, as plain JSON values.

    Args:
        model: as in an evidence record, at least its name.
        about: provenance as in one; when it was begun, what it took are put in.
    """
    from vsg_core.generator.mixing.mixture import STUDY

    # a vocabulary of fewer tokens than the study keeps has them all
    study = replace(STUDY, top_k=min(STUDY.top_k or 0, int(lm.is_token.sum())))
    started, clock = datetime.now(UTC), time.perf_counter()
    tokens, forward = lm.meter.tokens, lm.meter.forward_seconds
    prompts = look(lm, mixing=study)
    took = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - clock,
        "forward_seconds": lm.meter.forward_seconds - forward,
        "tokens": lm.meter.tokens - tokens,
    }
    mixing = {name: value for name, value in asdict(study).items() if value is not None}
    record = {"schema": SCHEMA_VERSION, "model": dict(model), "mixing": mixing, "prompts": prompts}
    return record | {"provenance": {**about, **took}}
