"""How much noise does a model bear among its tokens?"""

from __future__ import annotations

import re

from vsg_core import Evidence, Trial, claim, difference, js_divergence_bits, rate, torch
from vsg_core import numpy as np

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
BYPASS = "abstractionlair/vector-space-generation, experiments/test_embedding_bypass.py"
SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)  # times the standard deviation of the embedding table's entries


@claim(
    "A model's tolerance to noise grows weaker with the noise's scale: over four doublings each moves the next-token "
    "distribution over 0.05 bits further on average",
    source=f"{BYPASS}, test 3; Gaussian noise on soft tokens: Butt et al., arXiv 2509.19170",
    link=f"{REPO}/experiments/test_embedding_bypass.py",
    reported="one scale only, the table's standard deviation, on two vectors: the model went on regardless",
    rule=difference(above=0.05),
    comparisons=[f"noise at {scale:g} std" for scale in SCALES],
)
def test_tolerance_to_noise_falls_with_its_scale(lm, open_prompts, generator):
    """Value, in bits a doubling: the slope of the divergence from the noiseless distribution over log2 of the scale.

    Gaussian noise on the embedding of every token of the prompt, BOS included, from an eighth to twice the
    standard deviation of the table's entries: one draw a prompt, the same at each scale. Jensen-Shannon
    divergence in bits, least squares; 0.05 a doubling makes a fifth of the largest possible over these scales.
    The comparisons are the curve: the divergence itself at each scale.
    """
    prompts = open_prompts[:60]
    embedded = [lm.embed_text(prompt) for prompt in prompts]  # each [seq, hidden]
    draws = [lm.noise(len(e), generator=generator) for e in embedded]
    true = lm.next_logits(embedded).softmax(-1)  # [prompts, vocab]
    moved, tops = [], []
    for scale in SCALES:
        noisy = lm.next_logits([e + scale * d for e, d in zip(embedded, draws, strict=True)]).softmax(-1)
        moved.append(js_divergence_bits(true, noisy).tolist())
        tops.append([lm.token(i) for i in noisy.argmax(-1).tolist()])
    slopes = np.polyfit(np.log2(SCALES), np.array(moved), 1)[0]  # [prompts]
    arms = {
        f"noise at {scale:g} std": [
            Trial(prompt, top, value=bits) for prompt, top, bits in zip(prompts, names, row, strict=True)
        ]
        for scale, names, row in zip(SCALES, tops, moved, strict=True)
    }
    rows = zip(prompts, slopes, true.argmax(-1).tolist(), zip(*moved, strict=True), strict=True)
    trials = [
        Trial(
            prompt,
            lm.token(top),
            value=slope,
            inputs={f"bits at {s:g} std": b for s, b in zip(SCALES, bits, strict=True)},
        )
        for prompt, slope, top, bits in rows
    ]
    return Evidence(trials, arms)


@claim(
    "A factual prompt with two vectors of noise among its tokens still gets its answer, in most of the cases in which "
    "it does without them",
    source=f"{BYPASS}, test 3; conversations_and_artifacts/Claude-Code-1.md",
    link=f"{REPO}/conversations_and_artifacts/Claude-Code-1.md",
    reported="the model was said to ignore the noise; the one output, 正确 (correct), had been sliced",
    rule=rate(above=0.5),
    positive_controls={"the prompt alone": rate(above=0.3, trials=100)},
    controls={"noise alone": rate(below=0.1)},
    comparisons=["two random tokens instead"],
)
def test_mixed_real_and_noise_still_answers(lm, facts, generator):
    """Noise of the table's standard deviation between two of the prompt's tokens, drawn at random; 12 greedy tokens.

    Asked are the prompts that the model answers without noise, at least 40 of 100 where the positive control holds.
    Control: as many vectors of noise as the prompt has tokens, which must not bring the answer. Beside it, two
    random tokens at the same place: noise may do no more harm than any intrusion.
    """
    prompts = [lm.tokenize(fact.prompt) for fact in facts]

    def ask(asked, sequences, shown):
        replies = lm.generate(sequences, max_new_tokens=12)  # "located in the city of Berlin"
        return [
            Trial(text, reply.text, success=says(reply.text, fact.answer), inputs={"answer": fact.answer})
            for fact, reply, text in zip(asked, replies, shown, strict=True)
        ]

    alone = ask(facts, prompts, [fact.prompt for fact in facts])
    known = [i for i, trial in enumerate(alone) if trial.success]
    asked, kept = [facts[i] for i in known], [prompts[i] for i in known]
    places = [int(torch.randint(1, len(prompt), (), generator=generator)) for prompt in kept]
    picks = lm.random_tokens(len(kept), 2, generator=generator)  # [kept, 2]
    mixed = [
        lm.join(p[:at], lm.noise(2, generator=generator), p[at:]) for p, at in zip(kept, places, strict=True)
    ]
    intruded = [torch.cat([p[:at], two, p[at:]]) for p, at, two in zip(kept, places, picks, strict=True)]
    halves = [(lm.decode(p[:at]), lm.decode(p[at:])) for p, at in zip(kept, places, strict=True)]
    between = [f"{a} [2 vectors of noise]{b}" for a, b in halves]
    words = [f"{a}{lm.tokenizer.decode(two)}{b}" for (a, b), two in zip(halves, picks, strict=True)]
    only = [lm.noise(len(prompt), generator=generator) for prompt in prompts[:50]]
    return Evidence(
        ask(asked, mixed, between) if asked else [],
        {
            "the prompt alone": alone,
            "noise alone": ask(facts[:50], only, [f"{len(n)} vectors of noise" for n in only]),
            "two random tokens instead": ask(asked, intruded, words) if asked else [],
        },
    )


def says(text, answer):
    """Whether the answer stands as a whole word in the text, capitals included: May is a month."""
    return re.search(rf"\b{re.escape(answer)}\b", text) is not None
