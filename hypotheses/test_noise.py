"""Does noise still give output?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fixtures.sources import STUDY, TREE
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Trial,
    at_once,
    chat_frame,
    claim,
    doses,
    nearly_always,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

SCALES = doses("noise at {:g} std", (0.5, 1.0, 2.0, 4.0), "standard deviations")
TOKENS = {"random real tokens": "five random tokens of the vocabulary in place of the five vectors"}
# Sequences per scale, and vectors per sequence, as many as in the study
DRAWS, VECTORS = 25, 5
NEW_TOKENS = 10


@claim(
    "Noise embeddings still give output that is not empty",
    source=STUDY("experiments/test_embedding_bypass.py, test 5", TREE + "experiments"),
    headline=True,
    reported="5 noise vectors of the table's standard deviation gave words, such as: Philippines, I have always",
    identity=True,
    rule=nearly_always(trials=100),
    comparisons={**TOKENS, **SCALES},
    no_control="it says only that there is output, and no input is known that must give none; random tokens are a "
    "comparison",
)
def test_noise_still_generates(lm: LanguageModel, generator: torch.Generator) -> Evidence:
    """Feed five vectors of Gaussian noise and nothing else, not even BOS; a reply of only white space is a failure.

    It says that there is output within 10 greedy tokens, not that the output says anything.
    """
    return follow_noise(lm, generator, frame=lambda vectors: vectors)


@claim(
    "Noise embeddings inside the chat frame still give output that is not empty",
    source=STUDY("conversations_and_artifacts/Claude-Code-1.md", TREE + "conversations_and_artifacts"),
    headline=True,
    reported_verdict="refuted",
    reported="the opposite, though noise was not tried there: instruction format + any vector gives empty output",
    identity=True,
    rule=nearly_always(trials=100),
    kinds=["instruct"],
    comparisons={**TOKENS, **SCALES, "the frame alone": "the same request without any vector"},
    no_control="the words of the frame may bring a reply without any vector, which a comparison counts, so no arm in "
    "the frame must be empty",
)
def test_noise_in_the_chat_frame_still_generates(lm: LanguageModel, generator: torch.Generator) -> Evidence:
    """Put the same noise where the study's chat message has its vectors: after a request to decode them.

    The frame's words bring a reply even without vectors, so this measures only that noise does not silence it.
    """
    noisy = follow_noise(lm, generator, frame=lambda vectors: chat_frame(lm, vectors))
    (reply,) = lm.generate([chat_frame(lm, lm.embedding_table[:0])], max_new_tokens=NEW_TOKENS)
    alone = judged(["no vector"], [reply])
    return Evidence(noisy.trials, {**noisy.arms, "the frame alone": alone})


def follow_noise(
    lm: LanguageModel, generator: torch.Generator, frame: Callable[[Tensor], Tensor]
) -> Evidence:
    """Generate after noise at each scale, and after as many sequences of random tokens."""
    noise = [
        lm.noise(DRAWS, VECTORS, generator=generator, scale=dose.value) for dose in SCALES.values()
    ]  # [DRAWS, VECTORS, hidden] each
    picks = lm.random_tokens(len(noise) * DRAWS, VECTORS, generator=generator)  # [100, VECTORS]
    asked = [[frame(vectors) for vectors in kind] for kind in (*noise, lm.embed(picks))]
    *after_noise, after_tokens = at_once(lm.generate, *asked, max_new_tokens=NEW_TOKENS)
    arms = {}
    for (name, dose), replies in zip(SCALES.items(), after_noise, strict=True):
        shown = [f"noise {i + 1} at {dose.value:g} std" for i in range(DRAWS)]
        arms[name] = judged(shown, replies, scale=[dose.value] * DRAWS)
    noisy = [trial for arm in arms.values() for trial in arm]
    arms["random real tokens"] = judged([lm.tokenizer.decode(ids) for ids in picks], after_tokens)
    return Evidence(noisy, arms)


def judged(shown: Sequence[str], replies: Sequence[Generation], **inputs: list[float]) -> list[Trial]:
    """A success is a reply that is not only white space."""
    return trials(shown, output=replies, success=[not reply.is_empty for reply in replies], inputs=inputs)
