"""Can the entropy of a next-token distribution be computed in float16?"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

from fixtures.sources import QWEN_CODE, QWEN_OUTPUT, STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Source,
    Trial,
    always,
    attack,
    claim,
    control,
    entropy_bits,
    nearly_always,
    rarely,
    torch,
    trials,
)
from vsg_core import strategies as st

if TYPE_CHECKING:
    from torch import Tensor

Cases = list[tuple[list[int], float]]


@claim(
    "Entropy from float16 probabilities clamped at 1e-10, as the study computed it, is NaN after nearly all prompts",
    source=STUDY("qwen_concept_tokens.py, create_concept_token; its saved output", QWEN_OUTPUT),
    reported="average entropy: nan; blamed on concentrated probabilities, later on the clamp, which underflows to 0",
    identity=True,
    rule=nearly_always(trials=100),
    controls={
        "clamped in float32": control(rarely(), "the study's formula on the same logits in float32"),
        "in bits from log-probabilities": control(rarely(), "this project's entropy of the rounded logits"),
    },
)
def test_entropy_through_a_float16_clamp_is_nan(lm: LanguageModel, open_prompts: list[str]) -> Evidence:
    """Count prompts whose next-token entropy at temperature 0.8 is NaN.

    The model runs in float32 and its logits are rounded to float16. Rows of the table that are not tokens, which
    the study kept, are left out.
    """
    logits = lm.next_logits(open_prompts)[:, lm.is_token]  # [prompts, tokens]
    half = logits.half()

    def arm(entropies: Tensor) -> list[Trial]:
        shown = [f"{entropy:.4g}" for entropy in entropies.tolist()]
        return trials(open_prompts, output=shown, success=entropies.isnan())

    return Evidence(
        arm(study_entropy(half)),
        {
            "clamped in float32": arm(study_entropy(logits)),
            "in bits from log-probabilities": arm(entropy_bits(half / 0.8)),
        },
    )


def study_entropy(logits: Tensor) -> Tensor:
    """[batch, vocab] -> [batch] nats in the logits' own precision: the study's formula, temperature and clamp."""
    probabilities = (logits / 0.8).softmax(-1)
    probabilities[probabilities < 1e-10] = 1e-10
    return -(probabilities * probabilities.log()).sum(-1)


@claim(
    "Entropy in bits from log-probabilities is never NaN and lies within its bounds, however peaked the distribution",
    source=Source("this project, entropy_bits; the study's formula gave NaN", f"{STUDY.link}{QWEN_CODE}"),
    reported="the study asked for monitoring by entropy, and could not monitor",
    identity=True,
    rule=always(),
    controls={
        "the study's clamp in float16": control(rarely(), "on the same logits; a finite number is a success")
    },
)
def test_entropy_in_bits_is_never_nan(lm: LanguageModel) -> Evidence:
    """Attacked with up to six random tokens and temperatures from 1 down to 0.01, on logits rounded to float16.

    A counterexample is NaN, or more than 0.001 outside the range from 0 to log2 of the number of tokens.
    """
    texts = st.lists(st.sampled_from(lm.token_ids), min_size=1, max_size=6)
    cases = st.tuples(texts, st.sampled_from([0.01, 0.1, 0.5, 0.8, 1.0]))
    most = log2(len(lm.token_ids)) + 1e-3

    def logits(cases: Cases) -> Tensor:
        after = lm.next_logits([torch.tensor(ids, device=lm.device) for ids, _ in cases])[:, lm.is_token]
        temperatures = torch.tensor([t for _, t in cases], device=lm.device).unsqueeze(-1)  # [cases, 1]
        return (after / temperatures).half()  # [cases, tokens]

    def check(cases: Cases) -> list[Trial]:
        bits = entropy_bits(logits(cases)).tolist()
        within = [-1e-3 <= entropy <= most for entropy in bits]
        return trials(spelled(lm, cases), output=[f"{entropy:.4g} bits" for entropy in bits], success=within)

    def clamped(cases: Cases) -> list[Trial]:
        nats = study_entropy(logits(cases))
        shown = [f"{entropy:.4g}" for entropy in nats.tolist()]
        return trials(spelled(lm, cases), output=shown, success=nats.isfinite())

    return attack(cases, check, controls={"the study's clamp in float16": clamped}, batch=20)


def spelled(lm: LanguageModel, cases: Cases) -> list[str]:
    """Describe each case as its text and its temperature."""
    return [f"{lm.tokenizer.decode(ids)!r} at temperature {t:g}" for ids, t in cases]
