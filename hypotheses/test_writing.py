"""What does a concept token say about the model's own distribution?"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.prompts import Fact
from fixtures.sources import QWEN_OUTPUT, STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Mixing,
    Source,
    Trial,
    at_once,
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
NO_SUBJECT = "a made-up subject"
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
    "Next-token entropy is higher after a prompt that leaves the next word open than after a factual one of the same "
    "shape, in more than 9 of 10 pairs",
    source=Source(
        f"Soft Thinking, arXiv 2505.15778, Cold Stop; {STUDY.text}, docs/implementation-spec.md: should_stop",
        "https://arxiv.org/abs/2505.15778",
    ),
    reported="low entropy is taken for confidence, and a few steps of it end the thinking; not measured by itself",
    rule=nearly_always(trials=100),
    controls={
        NO_SUBJECT: control(
            rate(below=0.9),
            "a made-up word in place of each pair's subject: nothing is known about it, so only the wording is left",
        )
    },
    comparisons={
        "open prompts of another shape": "a beginning about a person or a thing in place of the open prompt"
    },
)
def test_entropy_separates_open_from_factual_prompts(
    lm: LanguageModel, draw_facts: Draw[Fact], made_up_words: list[str], draw_openings: Draw[Opening]
) -> Evidence:
    """Compare "my notes say that the capital of Peru is" with "my notes say that the beauty of Peru is".

    The prompts of a pair have the same introduction, and the same subject with what follows it, and are as long to
    within two words; facts in other wordings are left out.
    """
    facts = draw_facts(100, lambda some: list(map(have_one_shape, some)))
    words = [word for word, _ in zip(cycle(made_up_words), facts, strict=False)]
    known, shaped = [fact.prompt for fact in facts], [fact.open_prompt for fact in facts]
    emptied = [
        [
            with_subject(prompt, fact.subject, word)
            for prompt, fact, word in zip(prompts, facts, words, strict=True)
        ]
        for prompts in (known, shaped)
    ]
    others = [opening.text for opening in draw_openings(len(facts))]
    columns = (shaped, known, emptied[1], emptied[0], others)
    of_open, of_known, of_no_subject, of_no_fact, of_others = at_once(
        lambda prompts: entropy_bits(lm.next_logits(prompts)), *columns
    )
    return Evidence(
        pair_up(shaped, of_open, known, of_known),
        {
            NO_SUBJECT: pair_up(emptied[1], of_no_subject, emptied[0], of_no_fact),
            "open prompts of another shape": pair_up(others, of_others, known, of_known),
        },
    )


def have_one_shape(fact: Fact) -> bool:
    """Return whether a fact's two prompts go on alike after the subject and are as long, to within two words."""
    known, shaped = (prompt.rpartition(f" {fact.subject} ") for prompt in (fact.prompt, fact.open_prompt))
    return known[2] == shaped[2] and abs(len(known[0].split()) - len(shaped[0].split())) <= 2


def with_subject(prompt: str, subject: str, word: str) -> str:
    """The prompt with a word in place of its subject, which is between two others."""
    before, _, after = prompt.rpartition(f" {subject} ")
    return f"{before} {word} {after}"


def pair_up(prompts: list[str], bits: Tensor, others: list[str], other_bits: Tensor) -> list[Trial]:
    """One trial per pair of prompts: success where the first has more bits."""
    return trials(
        [f"{prompt} … / {other} …" for prompt, other in zip(prompts, others, strict=True)],
        success=bits > other_bits,
        inputs={"bits": bits, "the other's bits": other_bits},
    )
