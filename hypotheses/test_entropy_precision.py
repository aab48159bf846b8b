"""Can the entropy of a next-token distribution be had in float16?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, always, attack, claim, entropy_bits, rate, torch
from vsg_core import strategies as st

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"


@claim(
    "Entropy from float16 probabilities clamped at 1e-10, as the study computed it, is NaN after nearly all prompts",
    source="abstractionlair/vector-space-generation, qwen_concept_tokens.py, create_concept_token; its saved output",
    link=f"{REPO}/conversations_and_artifacts/Python-output-qwen_concept_tokens.txt",
    reported="average entropy: nan; blamed on concentrated probabilities, later on the clamp, which underflows to 0",
    rule=rate(above=0.9, trials=100),
    controls={"clamped in float32": rate(below=0.1), "in bits from log-probabilities": rate(below=0.1)},
)
def test_entropy_through_a_float16_clamp_is_nan(lm, open_prompts):
    """Next-token logits at temperature 0.8; rows of the table that are no token are left out, which the study kept.

    The model runs in float32 and its logits are rounded to float16. Controls: the same formula on the same logits in
    float32, and this project's entropy from float32 logarithms of the rounded ones; neither may give NaN.
    """
    logits = lm.next_logits(open_prompts)[:, lm.is_token]  # [prompts, tokens]
    half = logits.half()
    found = {
        "the claim": study_entropy(half),
        "clamped in float32": study_entropy(logits),
        "in bits from log-probabilities": entropy_bits(half / 0.8),
    }
    arms = {
        name: [
            Trial(text, f"{entropy:.4g}", success=entropy != entropy)
            for text, entropy in zip(open_prompts, entropies.tolist(), strict=True)
        ]
        for name, entropies in found.items()
    }
    return Evidence(arms.pop("the claim"), arms)


def study_entropy(logits):
    """[batch, vocab] -> [batch] nats in the logits' own precision: the study's formula, temperature and clamp."""
    probabilities = (logits / 0.8).softmax(-1)
    probabilities[probabilities < 1e-10] = 1e-10
    return -(probabilities * probabilities.log()).sum(-1)


@claim(
    "Entropy in bits from log-probabilities is never NaN and lies within its bounds, however peaked the distribution",
    source="this project, entropy_bits, which stands where the study's formula gave NaN",
    link=f"{REPO}/src/qwen_concept_tokens.py",
    reported="the study asked for monitoring by entropy, and could not monitor",
    rule=always(open_rate=0.01),
    controls={"the study's clamp in float16": rate(below=0.1)},
)
def test_entropy_in_bits_is_never_nan(lm):
    """Attacked with random tokens and temperatures from 1 down to 0.01, on logits rounded to float16.

    A counterexample: NaN, or outside 0 to log2 of the number of tokens by more than 0.001. Control: the study's
    formula on the same logits, success being a finite number.
    """
    from math import isfinite, log2

    token = st.sampled_from(lm.token_ids)
    most = log2(len(lm.token_ids))

    def drawn(cases):
        sequences = [torch.tensor(ids, device=lm.device) for ids, _ in cases]
        temperatures = torch.tensor([t for _, t in cases], device=lm.device).unsqueeze(-1)  # [cases, 1]
        logits = (lm.next_logits(sequences)[:, lm.is_token] / temperatures).half()  # [cases, tokens]
        return logits, [f"{lm.tokenizer.decode(ids)!r} at temperature {t:g}" for ids, t in cases]

    def check(cases):
        logits, texts = drawn(cases)
        return [
            Trial(text, f"{entropy:.4g} bits", success=-1e-3 <= entropy <= most + 1e-3)
            for text, entropy in zip(texts, entropy_bits(logits).tolist(), strict=True)
        ]

    def clamped(cases):
        logits, texts = drawn(cases)
        return [
            Trial(text, f"{entropy:.4g}", success=isfinite(entropy))
            for text, entropy in zip(texts, study_entropy(logits).tolist(), strict=True)
        ]

    cases = st.tuples(st.lists(token, min_size=1, max_size=6), st.sampled_from([0.01, 0.1, 0.5, 0.8, 1.0]))
    return attack(cases, check, controls={"the study's clamp in float16": clamped}, trials=300, batch=20)
