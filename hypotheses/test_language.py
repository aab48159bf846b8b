"""Do mixtures make a model answer in another language?"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.sources import STUDY
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Trial,
    at_once,
    cannot,
    claim,
    control,
    mostly,
    presets,
    rate,
    torch,
    trials,
    write_concepts,
)

if TYPE_CHECKING:
    from torch import Tensor

TOP, NOISE, CYRILLIC = "their top-1 tokens", "noise of the same norms", "mixtures of Cyrillic names"
# Of a name and the next one; about as uneven as the study's own concept tokens.
WEIGHTS = (0.6, 0.4)


@claim(
    "Asked to repeat two concept tokens, the model leaves the Latin script in over 5 more replies of 100 than asked to "
    "repeat their top-1 tokens",
    source=STUDY("README, Results; its saved output", "#results"),
    reported="words came out, not always in English: Chinese from two concept tokens in the completion frame",
    rule=rate(above=0.05, over=TOP, trials=100),
    positive_controls={
        CYRILLIC: control(
            mostly(),
            "mixtures of the tokens of two city names in Cyrillic letters, which must make the model leave it there",
        )
    },
    controls={
        NOISE: control(
            cannot(over=TOP),
            "noise in place of each mixture, which must not do the same: else any vector would",
        )
    },
    comparisons={TOP: "each mixture's heaviest token in its place"},
)
def test_mixtures_cause_non_english_output(
    lm: LanguageModel, draw_openings: Draw[Opening], city_names: list[str], generator: torch.Generator
) -> Evidence:
    """Put two of the study's concept tokens after "Repeat the word:", twice, and write 8 greedy tokens.

    The study's frame asks for plain English, and keeps even noise to it; this one names no language. A reply counts
    with one letter whose Unicode name is not a Latin one's, which detects Chinese or Cyrillic, not French. The study
    sampled, under a repetition penalty, and cut its replies; greedy and uncut, the mixture alone is at work.
    """
    prompts = [opening.text for opening in draw_openings(100)]
    traces = write_concepts(lm, prompts, n=2, mixing=presets.STUDY)
    mixtures = torch.stack([torch.stack([step.vector for step in trace.steps]) for trace in traces])
    tops = torch.tensor([[step.token_id for step in trace.steps] for trace in traces])  # [prompts, 2]
    noise = lm.noise_like(mixtures, generator)  # [prompts, 2, hidden]
    first, second = ([trace.steps[i].mixture.spelled(lm) for trace in traces] for i in (0, 1))
    names = [name for name in city_names if "CYRILLIC" in scripts(name)]
    pairs = list(zip(names, names[1:] + names[:1], strict=True))
    mixed = [mixed_names(lm, *pair) for pair in pairs]

    asked = [[repeated(lm, two) for two in vectors] for vectors in (mixtures, lm.embed(tops), noise, mixed)]
    of_mixtures, of_tops, of_noise, of_names = at_once(lm.generate, *asked, max_new_tokens=8)

    def judged(
        replies: list[Generation], mixture: list[Any] | None = None, **inputs: list[Any]
    ) -> list[Trial]:
        return trials(
            prompts, output=replies, success=map(left_latin, replies), mixture=mixture, inputs=inputs
        )

    return Evidence(
        judged(of_mixtures, first, **{"second mixture": second}),
        {
            TOP: judged(of_tops, tokens=[[lm.token(i) for i in two] for two in tops.tolist()]),
            NOISE: judged(of_noise, norms=noise.norm(dim=-1).tolist()),
            CYRILLIC: trials(
                [" / ".join(pair) for pair in pairs], output=of_names, success=map(left_latin, of_names)
            ),
        },
    )


def repeated(lm: LanguageModel, vectors: Tensor) -> Tensor:
    """Ask for the vectors [n, hidden] again, after showing them twice: embeddings [seq, hidden]."""
    return lm.join("Repeat the word:", vectors, ",", vectors, ",")


def mixed_names(lm: LanguageModel, name: str, other: str) -> Tensor:
    """Mix the tokens of two names place by place, as far as the shorter one goes: [n, hidden]."""
    ids = [lm.tokenize(f" {one}", special=False) for one in (name, other)]
    shorter = min(map(len, ids))
    first, second = (lm.embed(own[:shorter]) for own in ids)
    return WEIGHTS[0] * first + WEIGHTS[1] * second


def left_latin(reply: Generation) -> bool:
    """Return whether a reply has a letter of another script."""
    return bool(scripts(reply.answer) - {"LATIN"})


def scripts(text: str) -> set[str]:
    """Name the scripts of a text's letters by the first word of a Unicode name, or LATIN if that is anywhere in it."""
    names = [unicodedata.name(letter, "NAMELESS") for letter in text if letter.isalpha()]
    return {"LATIN" if "LATIN " in name else name.split()[0] for name in names}
