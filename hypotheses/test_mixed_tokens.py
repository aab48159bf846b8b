"""Are the tokens of a mixture rival answers or rival wordings?"""

from __future__ import annotations

from fixtures.fact_branches import follow_branches
from fixtures.prompts import Fact
from fixtures.related_tokens import Cosines, measure_cosines, tokens_by_form
from fixtures.sources import STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Source,
    Trial,
    at_least,
    claim,
    control,
    less,
    more,
    torch,
    trials,
)

TWIN = "in the untrained twin"
ALONG, OTHERS = "with the hidden state's direction", "over the tokens of another prompt"
RIVAL, SAME, NO_ANSWER = "rival answers", "the same answer again", "no answer named"


@claim(
    "The most probable tokens of a mixture are nearer to each other than random tokens of similar frequency and form",
    source=Source("Soft Thinking, arXiv 2505.15778, abstract", "https://arxiv.org/abs/2505.15778"),
    reported="each concept token is said to encapsulate multiple meanings from related discrete tokens",
    rule=more(than=0.05),
    unit="cosine",
    controls={TWIN: control(less(than=0.05), "the same measure on the same model with random weights")},
    comparisons={
        ALONG: "tokens and stand-ins with their component along the hidden state left in",
        OTHERS: "minus the cosine with another prompt's tokens: part of speech alone can make tokens alike",
    },
)
def test_mixed_tokens_are_related(
    lm: LanguageModel, open_prompts: list[str], generator: torch.Generator
) -> Evidence:
    """Value: mean cosine between the static embeddings of the five most probable tokens, minus that of stand-ins.

    All embeddings are taken without their component along the last hidden state: where the head is the table, the most
    probable tokens all lie along that state, and so near to each other, whatever they mean. A stand-in is drawn from
    the 100 tokens nearest by id that have its token's form (word beginning or not, letters or not, capital or not):
    BPE ids follow the order of merges, a rough proxy of frequency.
    """
    alike = tokens_by_form(lm)
    with lm.untrained() as twin:
        untrained = related(open_prompts, measure_cosines(twin, open_prompts, alike, generator))
    found = measure_cosines(lm, open_prompts, alike, generator)
    to_others = trials(open_prompts, output=found.tokens, value=found.own - found.to_others)
    along = trials(open_prompts, output=found.tokens, value=found.along - found.along_drawn)
    return Evidence(related(open_prompts, found), {TWIN: untrained, ALONG: along, OTHERS: to_others})


def related(prompts: list[str], cosines: Cosines) -> list[Trial]:
    """One trial per prompt: by how much its tokens are nearer to each other than stand-ins are."""
    return trials(
        prompts,
        output=cosines.tokens,
        value=cosines.own - cosines.drawn,
        inputs={"cosine": cosines.own, "stand-ins' cosine": cosines.drawn},
        outputs={"one set of stand-ins": cosines.stand_ins},
    )


@claim(
    "The second most probable token after a factual prompt leads to a rival answer more often than to the same one",
    source=STUDY("README, Results", "#results"),
    reported="superpositions of truly different potential responses: Paris, located on a river, a popular destination; "
    "only the first of the three names an answer",
    # 5 prompts in 100 more, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="of prompts",
    comparisons={
        RIVAL: "the second branch names a different answer from the first",
        SAME: "both branches name the same answer",
        NO_ANSWER: 'the second branch names no answer: "located on a river" is not a rival capital',
    },
    no_control="the value is itself a difference: a rival answer counts 1, the same answer -1",
)
def test_second_token_leads_to_a_rival_answer(lm: LanguageModel, facts: list[Fact]) -> Evidence:
    """Value: 1 where the second branch names a different answer from the first, -1 where it names the same, else 0.

    A branch is the prompt, its most or second most probable token, and greedy tokens up to 12 in all. Its answer is
    the first of all answers of that kind (cities, languages, months, ...), right or wrong, in its first clause. What
    follows is another sentence ("Finnish. However, Swedish"), or the options of a quiz, and no longer the second
    token's answer. Prompts whose first branch names no answer are excluded.
    """
    answered = [branches for branches in follow_branches(lm, facts) if branches.answer is not None]
    kept = at_least(40, answered, "facts after which the model names an answer")
    prompts, texts = [one.prompt for one in kept], [one.second for one in kept]
    values = [one.rivalry for one in kept]
    own = trials(
        prompts,
        output=texts,
        value=values,
        inputs={
            "answer": [one.answer for one in kept],
            "second answer": [one.second_answer for one in kept],
            "probabilities": [one.probabilities for one in kept],
        },
        outputs={"first branch": [one.first for one in kept]},
    )

    def arm(counted: int) -> list[Trial]:
        return trials(prompts, output=texts, success=[value == counted for value in values])

    return Evidence(own, {RIVAL: arm(1), SAME: arm(-1), NO_ANSWER: arm(0)})
