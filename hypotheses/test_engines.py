"""Does another engine compute what transformers computes?"""

from __future__ import annotations

from fixtures.draws import Draw
from fixtures.engines import agreement
from fixtures.pools.openings import Opening
from vsg_core import Evidence, LanguageModel, claim, control, rarely, rate, trials

PROMPTS = 300
COARSER = "weights rounded to 8 bits"


@claim(
    "From the same float32 weights both engines predict the same next token, rounding aside, after ids and after "
    "vectors, in plain prompts and in the chat format",
    identity=True,
    gate=True,
    rule=rate(above=0.98, trials=PROMPTS),
    controls={
        COARSER: control(
            rarely(trials=100),
            "transformers with every weight matrix rounded to 8 bits, in the first 100 prompts; it must show",
        )
    },
)
def test_both_engines_predict_the_same(
    lm: LanguageModel, reference: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Two predictions per prompt: after its ids, and with an even mixture of its two most probable tokens after it.

    Every second prompt is in the chat format, if there is one. The engines agree where no probability differs by more
    than e / 2 and no divergence exceeds e² / 2 nats: what follows from logits that differ by e. e is what float32 may
    cost: sums of n products err by about sqrt(n) roundings of 2^-24, a network of L layers has 7 L of them in a row,
    so e is 2^-24 sqrt(7 L n) times the largest logit, n the hidden size. Beyond it float64 decides: the other engine
    must then be no farther from transformers in float64 than twice as far as transformers in float32 is, and its
    divergence no larger than four times as large.
    """
    openings = [opening.text for opening in draw_openings(PROMPTS)]
    prompts = [lm.chat(text) if place % 2 and lm.has_chat else text for place, text in enumerate(openings)]
    found = agreement(lm, reference, prompts)
    with reference.rounded(8):
        coarser = agreement(lm, reference, prompts[:100], decided=False)
    return Evidence(
        trials(prompts, success=found.agree, value=found.gaps, inputs={"divergence in bits": found.bits}),
        {COARSER: trials(prompts[:100], success=coarser.agree, value=coarser.gaps)},
    )
