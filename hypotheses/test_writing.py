"""What does a concept token say about the model's own distribution?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.prompts import Fact
from fixtures.sources import QWEN_OUTPUT, STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Mixing,
    Source,
    Trial,
    claim,
    control,
    entropy_bits,
    more,
    nearly_always,
    presets,
    rate,
    top_k_weights,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "' Paris' (0.77), ' located' (0.08), ' a' (0.04), printed as top weights and read as the model's uncertainty"
UNSHARPENED = "temperature and top 50 alone"
UNSHARPENED_SENTENCE = "the study's weights without their power of 1.5"


@claim(
    "The study's weights overstate the model's confidence in its top token, by more than 10 points on average",
    source=STUDY("src/qwen_concept_tokens.py: top_tokens", QWEN_OUTPUT),
    reported=WEIGHTS,
    identity=True,
    rule=more(than=0.1),
    unit="probability",
    comparisons={UNSHARPENED: UNSHARPENED_SENTENCE},
    no_control="that the weight is no smaller is arithmetic for any model, and only its size is claimed; a comparison "
    "leaves the sharpening out",
)
def test_study_weights_overstate_the_top_token(
    lm: LanguageModel, open_prompts: list[str], open_logits: Tensor
) -> Evidence:
    """Value: weight of the heaviest token under temperature 0.8, top 50 and power 1.5, minus its probability.

    That the weight is no smaller is arithmetic: together the three raise probabilities to the power 1.875 and
    leave the rest out. By how much depends on the model, so the bound is 10 points of probability.
    """
    top = open_logits.softmax(-1).max(-1)
    tokens, likely = [lm.token(token) for token in top.indices.tolist()], top.values.tolist()

    def arm(mixing: Mixing) -> list[Trial]:
        heaviest = top_k_weights(open_logits, mixing)[0][:, 0].tolist()
        return trials(
            open_prompts,
            output=tokens,
            value=[weight - p for weight, p in zip(heaviest, likely, strict=True)],
            inputs={"weight": heaviest, "probability": likely},
        )

    return Evidence(arm(presets.STUDY), {UNSHARPENED: arm(Mixing(temperature=0.8, top_k=50))})


@claim(
    "The study's weights have at least a bit less entropy than the model's distribution, on average",
    source=STUDY("src/qwen_concept_tokens.py: create_concept_token", QWEN_OUTPUT),
    reported=WEIGHTS,
    identity=True,
    rule=more(than=1.0),
    unit="bits",
    comparisons={UNSHARPENED: UNSHARPENED_SENTENCE},
    no_control="that the entropy is no larger is arithmetic for any model, and only its size is claimed; a comparison "
    "leaves the sharpening out",
)
def test_study_weights_understate_entropy(open_prompts: list[str], open_logits: Tensor) -> Evidence:
    """Value, in bits: entropy of the model's next-token distribution minus that of the mixture's weights.

    A bit is half as many alternatives. The sign is arithmetic, as above; the size is the model's.
    """
    own = entropy_bits(open_logits).tolist()

    def arm(mixing: Mixing) -> list[Trial]:
        nats = torch.special.entr(top_k_weights(open_logits, mixing)[0]).sum(-1)  # [prompts]
        kept = (nats / torch.tensor(2.0).log()).tolist()
        return trials(
            open_prompts,
            value=[bits - left for bits, left in zip(own, kept, strict=True)],
            inputs={"model's bits": own, "mixture's bits": kept},
        )

    return Evidence(arm(presets.STUDY), {UNSHARPENED: arm(Mixing(temperature=0.8, top_k=50))})


@claim(
    "Next-token entropy is higher after an open prompt than after a factual one, in more than 9 of 10 pairs",
    source=Source(
        f"Soft Thinking, arXiv 2505.15778, Cold Stop; {STUDY.text}, docs/implementation-spec.md: should_stop",
        "https://arxiv.org/abs/2505.15778",
    ),
    reported="low entropy is taken for confidence, and a few steps of it end the thinking; not measured by itself",
    rule=nearly_always(trials=100),
    controls={
        "open prompts of the facts' shape": control(
            rate(below=0.9), 'in place of the facts: "The beauty of Peru is" for "The capital of Peru is"'
        )
    },
    comparisons={"facts against open prompts of their shape": "those prompts in place of the open ones"},
)
def test_entropy_separates_open_from_factual_prompts(
    lm: LanguageModel, open_prompts: list[str], open_logits: Tensor, facts: list[Fact]
) -> Evidence:
    """Pairs by their place in the two lists, each prompt once: the rate is the area under the ROC curve.

    Facts are short and of few shapes, which alone could lower entropy. The control replaces them by prompts of the
    same shape and subject that leave the next word open, and must not separate.
    """
    known, shaped = [fact.prompt for fact in facts], [fact.open_prompt for fact in facts]
    of_open = entropy_bits(open_logits)  # [prompts]
    of_known, of_shaped = entropy_bits(lm.next_logits(known)), entropy_bits(lm.next_logits(shaped))
    return Evidence(
        pair_up(open_prompts, of_open, known, of_known),
        {
            "open prompts of the facts' shape": pair_up(open_prompts, of_open, shaped, of_shaped),
            "facts against open prompts of their shape": pair_up(shaped, of_shaped, known, of_known),
        },
    )


def pair_up(prompts: list[str], bits: Tensor, others: list[str], other_bits: Tensor) -> list[Trial]:
    """One trial per pair of prompts: success where the first has more bits."""
    return trials(
        [f"{prompt} … / {other} …" for prompt, other in zip(prompts, others, strict=True)],
        success=bits > other_bits,
        inputs={"bits": bits, "the other's bits": other_bits},
    )
