"""Does noise still give output?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from fixtures.sources import STUDY, TREE
from vsg_core import Evidence, LanguageModel, Trial, chat_frame, claim, doses, nearly_always, torch, trials

if TYPE_CHECKING:
    from torch import Tensor

SCALES = doses("noise at {:g} std", (0.5, 1.0, 2.0, 4.0), "standard deviations")
TOKENS = {"random real tokens": "five random tokens of the vocabulary in place of the five vectors"}
# Sequences per scale, and vectors per sequence, as many as in the study
DRAWS, VECTORS = 25, 5


@claim(
    "Noise embeddings still give output that is not empty",
    source=STUDY("experiments/test_embedding_bypass.py, test 5", TREE + "experiments"),
    headline=True,
    reported="5 noise vectors of the table's standard deviation gave words, such as: Philippines, I have always",
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
    alone = continued(lm, ["no vector"], [chat_frame(lm, lm.embedding_table[:0])])
    return Evidence(noisy.trials, {**noisy.arms, "the frame alone": alone})


def follow_noise(
    lm: LanguageModel, generator: torch.Generator, frame: Callable[[Tensor], Tensor]
) -> Evidence:
    """Generate after noise at each scale, and after as many sequences of random tokens."""
    arms = {}
    for name, dose in SCALES.items():
        noise = lm.noise(DRAWS, VECTORS, generator=generator, scale=dose.value)
        shown = [f"noise {i + 1} at {dose.value:g} std" for i in range(DRAWS)]
        arms[name] = continued(lm, shown, map(frame, noise), scale=[dose.value] * DRAWS)
    noisy = [trial for arm in arms.values() for trial in arm]
    picks = lm.random_tokens(len(noisy), VECTORS, generator=generator)  # [100, VECTORS]
    arms["random real tokens"] = continued(
        lm, [lm.tokenizer.decode(ids) for ids in picks], [frame(vectors) for vectors in lm.embed(picks)]
    )
    return Evidence(noisy, arms)


def continued(
    lm: LanguageModel, shown: Sequence[str], sequences: Iterable[Tensor], **inputs: list[float]
) -> list[Trial]:
    """Continue each sequence by 10 greedy tokens; a success is a reply that is not only white space."""
    written = lm.generate(list(sequences), max_new_tokens=10)
    return trials(shown, output=written, success=[not one.is_empty for one in written], inputs=inputs)
