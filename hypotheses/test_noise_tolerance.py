"""How much noise does a model bear among its tokens?"""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.draws import Draw
from fixtures.prompts import Fact
from fixtures.sources import FILE, STUDY
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Trial,
    at_least,
    at_once,
    claim,
    control,
    doses,
    js_divergence_bits,
    mentions,
    more,
    mostly,
    not_mostly,
    rate,
    torch,
    trials,
)
from vsg_core import numpy as np

BYPASS, LOG = "experiments/test_embedding_bypass.py", "conversations_and_artifacts/Claude-Code-1.md"
NO_SUBJECT = "noise in the subject's place"
SCALES = doses("noise at {:g} std", (0.125, 0.25, 0.5, 1.0, 2.0), "standard deviations")
# Facts that are asked for, and the new tokens in which an answer must come
FACTS, ANSWER_TOKENS = 150, 12


@claim(
    "Noise moves the next-token distribution further the larger its scale: by over 0.05 bits per doubling on average, "
    "over four doublings",
    source=STUDY(
        f"{BYPASS}, test 3; Gaussian noise on soft tokens: Butt et al., arXiv 2509.19170", FILE + BYPASS
    ),
    reported="one scale only, the table's standard deviation, on two vectors: the model went on regardless",
    identity=True,
    rule=more(than=0.05),
    unit="bits per doubling",
    comparisons=SCALES,
    no_control="the slope compares one draw of noise with itself at five scales; noise of scale 0 moves "
    "nothing, by arithmetic",
)
def test_tolerance_to_noise_falls_with_its_scale(
    lm: LanguageModel, open_prompts: list[str], generator: torch.Generator
) -> Evidence:
    """Value, in bits per doubling: the slope of the divergence from the noiseless distribution over log2 of the scale.

    Gaussian noise on the embedding of every token of the prompt, BOS included, from an eighth to twice the
    standard deviation of the table's entries: one draw per prompt, the same at each scale. Jensen-Shannon
    divergence in bits, least squares; 0.05 per doubling is a fifth of the largest possible over these scales.
    """
    prompts = open_prompts[:60]
    embedded = [lm.embed_text(prompt) for prompt in prompts]  # each [seq, hidden]
    noise = [lm.noise(len(vectors), generator=generator) for vectors in embedded]
    clean = lm.next_logits(embedded).softmax(-1)  # [prompts, vocab]
    arms, moved = {}, {}
    for name, dose in SCALES.items():
        added = [vectors + dose.value * drawn for vectors, drawn in zip(embedded, noise, strict=True)]
        noisy = lm.next_logits(added).softmax(-1)  # [prompts, vocab]
        bits = js_divergence_bits(clean, noisy).tolist()
        arms[name] = trials(prompts, output=map(lm.token, noisy.argmax(-1).tolist()), value=bits)
        moved[f"bits at {dose.value:g} std"] = bits
    doublings = np.log2([dose.value for dose in SCALES.values()])
    slopes = np.polyfit(doublings, np.array(list(moved.values())), 1)[0]  # [prompts]
    tops = map(lm.token, clean.argmax(-1).tolist())
    return Evidence(trials(prompts, output=tops, value=slopes, inputs=moved), arms)


@claim(
    "A factual prompt that a model answers still gets its answer with two vectors of noise among its tokens, in most "
    "cases",
    source=STUDY(f"{BYPASS}, test 3; {LOG}", FILE + LOG),
    reported="the model was said to ignore the noise; the one output, 正确 (correct), had been sliced",
    rule=mostly(),
    positive_controls={"the prompt alone": control(rate(above=0.2, trials=100), "all prompts without noise")},
    controls={
        NO_SUBJECT: control(
            not_mostly(),
            "two vectors of noise in the place of the prompt's subject: with it gone, the answer must be gone in most "
            "cases, or it is guessed from the rest",
        )
    },
    comparisons={"two random tokens instead": "two random tokens in place of the noise"},
)
def test_mixed_real_and_noise_still_answers(
    lm: LanguageModel, draw_facts: Draw[Fact], generator: torch.Generator
) -> Evidence:
    """Put noise of the table's standard deviation between two of the prompt's tokens, at random; 12 greedy tokens.

    Only prompts that the model answers without noise. Two random tokens show what any intrusion does.
    """
    facts = draw_facts(FACTS)
    prompts = [lm.tokenize(fact.prompt) for fact in facts]
    replies = lm.generate(prompts, max_new_tokens=ANSWER_TOKENS)
    alone = judged(facts, replies, [fact.prompt for fact in facts])
    right = [row for row, trial in enumerate(alone) if trial.success]
    answered = at_least(40, right, f"of {len(facts)} facts are answered by {lm.name} without noise")
    known, kept = [facts[row] for row in answered], [prompts[row] for row in answered]
    places = [int(torch.randint(1, len(ids), (), generator=generator)) for ids in kept]
    halves = [(ids[:place], ids[place:]) for ids, place in zip(kept, places, strict=True)]
    tokens = lm.random_tokens(len(kept), 2, generator=generator)  # [known, 2]
    noisy = [lm.join(a, lm.noise(2, generator=generator), b) for a, b in halves]
    intruded = [torch.cat([a, two, b]) for (a, b), two in zip(halves, tokens, strict=True)]
    around = [around_subject(fact) for fact in known]
    no_subject = [lm.join(a, lm.noise(2, generator=generator), b) for a, b in around]
    texts = [(lm.decode(a), lm.decode(b)) for a, b in halves]
    words = [f"{a}{lm.tokenizer.decode(two)}{b}" for (a, b), two in zip(texts, tokens, strict=True)]
    replies, without_subject, of_intruded = at_once(
        lm.generate, noisy, no_subject, intruded, max_new_tokens=ANSWER_TOKENS
    )
    return Evidence(
        judged(known, replies, [f"{a} [2 vectors of noise]{b}" for a, b in texts]),
        {
            "the prompt alone": alone,
            NO_SUBJECT: judged(known, without_subject, [f"{a} [2 vectors of noise]{b}" for a, b in around]),
            "two random tokens instead": judged(known, of_intruded, words),
        },
    )


def around_subject(fact: Fact) -> tuple[str, str]:
    """The prompt before its subject, which is between two words, and after it."""
    before, _, after = fact.prompt.rpartition(f" {fact.subject} ")
    return before, f" {after}"


def judged(facts: Sequence[Fact], replies: Sequence[Generation], shown: Sequence[str]) -> list[Trial]:
    """A success has the fact's answer as written: May is a month."""
    rows = zip(facts, replies, strict=True)
    said = [mentions(reply.answer, [fact.answer], plural=False, any_case=False) for fact, reply in rows]
    return trials(shown, output=replies, success=said, inputs={"answer": [fact.answer for fact in facts]})
