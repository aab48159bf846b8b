"""What does a concept token say of the model's own distribution?"""

from __future__ import annotations

from vsg_core import (
    Evidence,
    Mixing,
    Trial,
    claim,
    difference,
    entropy_bits,
    presets,
    rate,
    top_k_weights,
    torch,
)

STUDY = "abstractionlair/vector-space-generation"
OUTPUT = (
    "https://github.com/abstractionlair/vector-space-generation/blob/main/conversations_and_artifacts/"
    "Python-output-qwen_concept_tokens.txt"
)
WEIGHTS = "' Paris' (0.77), ' located' (0.08), ' a' (0.04), printed as top weights and read as the model's uncertainty"


@claim(
    "The study's weights overstate the model's confidence in its top token, by more than 10 points on average",
    source=f"{STUDY}, src/qwen_concept_tokens.py: top_tokens",
    link=OUTPUT,
    reported=WEIGHTS,
    rule=difference(above=0.1),
    comparisons=["temperature and top 50 alone"],
)
def test_study_weights_overstate_the_top_token(lm, open_prompts, open_logits):
    """Value: weight of the heaviest token under temperature 0.8, top 50 and power 1.5, minus its probability.

    That the weight is no smaller is arithmetic: together the three raise probabilities to the power 1.875 and
    leave the rest out. How much it comes to depends on the model, so the bound is 10 points of probability.
    """
    top = open_logits.softmax(-1).max(-1)
    arms = []
    for mixing in (presets.STUDY, Mixing(temperature=0.8, top_k=50)):
        heaviest = top_k_weights(open_logits, mixing)[0][:, 0]  # [prompts]
        arms.append(
            [
                Trial(prompt, lm.token(token), value=weight - p, inputs={"weight": weight, "probability": p})
                for prompt, token, weight, p in zip(
                    open_prompts, top.indices.tolist(), heaviest.tolist(), top.values.tolist(), strict=True
                )
            ]
        )
    return Evidence(arms[0], {"temperature and top 50 alone": arms[1]})


@claim(
    "The study's weights have at least a bit less entropy than the model's distribution, on average",
    source=f"{STUDY}, src/qwen_concept_tokens.py: create_concept_token",
    link=OUTPUT,
    reported=WEIGHTS,
    rule=difference(above=1.0),
    comparisons=["temperature and top 50 alone"],
)
def test_study_weights_understate_entropy(lm, open_prompts, open_logits):
    """Value, in bits: entropy of the model's next-token distribution minus that of the mixture's weights.

    A bit is half as many alternatives. The sign is arithmetic, as above; the size is the model's.
    """
    own = entropy_bits(open_logits).tolist()
    arms = []
    for mixing in (presets.STUDY, Mixing(temperature=0.8, top_k=50)):
        left = torch.special.entr(top_k_weights(open_logits, mixing)[0]).sum(-1) / torch.log(
            torch.tensor(2.0)
        )
        arms.append(
            [
                Trial(prompt, value=bits - kept, inputs={"model's bits": bits, "mixture's bits": kept})
                for prompt, bits, kept in zip(open_prompts, own, left.tolist(), strict=True)
            ]
        )
    return Evidence(arms[0], {"temperature and top 50 alone": arms[1]})


@claim(
    "Next-token entropy is higher after an open prompt than after a factual one, in more than 9 of 10 pairs",
    source=f"Soft Thinking, arXiv 2505.15778, Cold Stop; {STUDY}, docs/implementation-spec.md: should_stop",
    link="https://arxiv.org/abs/2505.15778",
    reported="low entropy is taken for confidence, and a few steps of it end the thinking; not measured by itself",
    rule=rate(above=0.9, trials=100),
    controls={"open prompts of the facts' shape": rate(below=0.9)},
    comparisons=["facts against open prompts of their shape"],
)
def test_entropy_separates_open_from_factual_prompts(lm, open_prompts, open_logits, facts):
    """Pairs by their place in the two lists, each prompt once: the rate is the area under the ROC curve.

    Facts are short and of few shapes ("The capital of Peru is"), which alone could lower entropy: the control
    puts prompts of that very shape and subject that leave the next word open ("The beauty of Peru is") in their
    place, and must not separate. The comparison holds facts against those.
    """
    of_open = entropy_bits(open_logits).tolist()
    of_facts, of_shape = (
        entropy_bits(lm.next_logits(prompts)).tolist()
        for prompts in ([fact.prompt for fact in facts], [fact.open_prompt for fact in facts])
    )
    shapes = [fact.open_prompt for fact in facts]
    known = [fact.prompt for fact in facts]
    return Evidence(
        compare_entropies(open_prompts, of_open, known, of_facts),
        {
            "open prompts of the facts' shape": compare_entropies(open_prompts, of_open, shapes, of_shape),
            "facts against open prompts of their shape": compare_entropies(shapes, of_shape, known, of_facts),
        },
    )


def compare_entropies(prompts, entropies, others, other_entropies):
    """A success where the first of a pair has more entropy."""
    return [
        Trial(
            f"{prompt} … / {other} …", success=bits > fewer, inputs={"bits": bits, "the other's bits": fewer}
        )
        for prompt, bits, other, fewer in zip(prompts, entropies, others, other_entropies, strict=True)
    ]
