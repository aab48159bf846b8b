"""Do mixtures make a model answer in another language?"""

from __future__ import annotations

import unicodedata
from typing import Any

from fixtures.replies import CopiedName
from fixtures.sources import STUDY
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Trial,
    at_once,
    cannot,
    claim,
    completion_frame,
    control,
    mostly,
    presets,
    rate,
    torch,
    trials,
    write_concepts,
)

TOP, NOISE, WRITES_CYRILLIC = "their top-1 tokens", "noise of the same norms", "copies names in Cyrillic"


@claim(
    "Asked for plain English, concept tokens make over 5 more replies of 100 leave the Latin script than their top-1 "
    "tokens do",
    source=STUDY("README, Results; its saved output", "#results"),
    reported="words came out, not always in English: Chinese from two concept tokens in the completion frame",
    rule=rate(above=0.05, over=TOP, trials=100),
    positive_controls={WRITES_CYRILLIC: control(mostly(), "prompts that repeat a name in Cyrillic letters")},
    controls={
        NOISE: control(
            cannot(over=TOP),
            "noise in place of each mixture, which must not do the same: else any vector would",
        )
    },
    comparisons={TOP: "each mixture's heaviest token in its place"},
)
def test_mixtures_cause_non_english_output(
    lm: LanguageModel, open_prompts: list[str], copied_names: list[CopiedName], generator: torch.Generator
) -> Evidence:
    """Put two of the study's concept tokens in its frame, "The meaning of ... in plain English is"; 8 greedy tokens.

    That is the frame of experiments/qwen_completion_translation.py; the saved Chinese came from one with "is:". A
    reply counts with one letter whose Unicode name is not a Latin one's, which detects Chinese or Cyrillic, not
    French. The frame asks for English and keeps even noise to it; what mixtures do without one is not measured. The
    study sampled, under a repetition penalty, and cut its replies; greedy and uncut, the mixture alone is at work.
    """
    traces = write_concepts(lm, open_prompts, n=2, mixing=presets.STUDY)
    mixtures = torch.stack([torch.stack([step.vector for step in trace.steps]) for trace in traces])
    tops = torch.tensor([[step.token_id for step in trace.steps] for trace in traces])  # [prompts, 2]
    noise = torch.nn.functional.normalize(torch.randn(mixtures.shape, generator=generator), dim=-1)
    noise = noise.to(mixtures) * mixtures.norm(dim=-1, keepdim=True)  # [prompts, 2, hidden]
    first, second = ([trace.steps[i].mixture.spelled(lm) for trace in traces] for i in (0, 1))

    asked = [[completion_frame(lm, two) for two in vectors] for vectors in (mixtures, lm.embed(tops), noise)]
    of_mixtures, of_tops, of_noise = at_once(lm.generate, *asked, max_new_tokens=8)

    def judged(
        replies: list[Generation], mixture: list[Any] | None = None, **inputs: list[Any]
    ) -> list[Trial]:
        left = [bool(scripts(reply.answer) - {"LATIN"}) for reply in replies]
        return trials(open_prompts, output=replies, success=left, mixture=mixture, inputs=inputs)

    cyrillic = [copied for copied in copied_names if "CYRILLIC" in scripts(copied.name)]
    return Evidence(
        judged(of_mixtures, first, **{"second mixture": second}),
        {
            TOP: judged(of_tops, tokens=[[lm.token(i) for i in two] for two in tops.tolist()]),
            NOISE: judged(of_noise, norms=noise.norm(dim=-1).tolist()),
            WRITES_CYRILLIC: trials(
                [copied.prompt for copied in cyrillic],
                output=[copied.reply for copied in cyrillic],
                success=["CYRILLIC" in scripts(copied.reply.answer) for copied in cyrillic],
            ),
        },
    )


def scripts(text: str) -> set[str]:
    """Name the scripts of a text's letters by the first word of a Unicode name, or LATIN if that is anywhere in it."""
    names = [unicodedata.name(letter, "NAMELESS") for letter in text if letter.isalpha()]
    return {"LATIN" if "LATIN " in name else name.split()[0] for name in names}
