"""Are the tokens of a mixture rival answers or rival wordings?"""

from __future__ import annotations

from fixtures.draws import Draw
from fixtures.fact_branches import ANSWER_TOKENS, first_named, follow_branches
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
    mostly,
    not_mostly,
    torch,
    trials,
)

TWIN = "in the untrained twin"
ALONG, OTHERS = "with the hidden state's direction", "over the tokens of another prompt"
ELSEWHERE, ANSWERS = "after a sentence", "answers at all"
# A sentence that changes what comes before a prompt, and nothing about its answer.
BEFORE = "We talked about it again yesterday."


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
    "Where the second most probable token after a factual prompt leads to an answer, it is mostly a rival one",
    source=STUDY("README, Results", "#results"),
    reported="superpositions of truly different potential responses: Paris, located on a river, a popular destination; "
    "only the first of the three names an answer",
    rule=mostly(),
    controls={
        ELSEWHERE: control(
            not_mostly(),
            "whether the most probable token leads to another answer once a sentence comes before the prompt; if so, "
            "the answers are not settled, whatever token they begin with",
        )
    },
    comparisons={
        ANSWERS: "whether the second branch names an answer at all, of all prompts whose first branch does: "
        '"located on a river" is not a rival capital'
    },
)
def test_second_token_leads_to_a_rival_answer(lm: LanguageModel, draw_facts: Draw[Fact]) -> Evidence:
    """A prompt succeeds when its second branch names a different answer from the first.

    A branch is the prompt, its most or second most probable token, and greedy tokens up to 12 in all. Its answer is
    the first of all answers of that kind (cities, languages, months, ...), right or wrong, in its first clause. What
    follows is another sentence ("Finnish. However, Swedish"), or the options of a quiz, and no longer the second
    token's answer. Prompts are left out of which either branch names no answer; in the control, those whose first
    branch or whose text after the sentence names none.
    """
    facts = draw_facts(150)
    branches = follow_branches(lm, facts)
    known = [(fact, one) for fact, one in zip(facts, branches, strict=True) if one.answer is not None]
    answered = [one for _, one in known]
    kept = at_least(40, [one for one in answered if one.second_answer is not None], "facts with two answers")
    begun = [f"{BEFORE} {one.prompt}" for one in answered]
    replies = lm.generate(begun, max_new_tokens=ANSWER_TOKENS)
    named = [first_named(fact, reply.text) for (fact, _), reply in zip(known, replies, strict=True)]
    asked_twice = zip(answered, begun, replies, named, strict=True)
    again = at_least(40, [row for row in asked_twice if row[-1] is not None], "facts answered again")
    own = trials(
        [one.prompt for one in kept],
        output=[one.second for one in kept],
        success=[one.second_answer != one.answer for one in kept],
        inputs={
            "answer": [one.answer for one in kept],
            "second answer": [one.second_answer for one in kept],
            "probabilities": [one.probabilities for one in kept],
        },
        outputs={"first branch": [one.first for one in kept]},
    )
    arms = {
        ELSEWHERE: trials(
            [prompt for _, prompt, _, _ in again],
            output=[reply for _, _, reply, _ in again],
            success=[answer != one.answer for one, _, _, answer in again],
            inputs={"answer": [one.answer for one, _, _, _ in again]},
        ),
        ANSWERS: trials(
            [one.prompt for one in answered],
            output=[one.second for one in answered],
            success=[one.second_answer is not None for one in answered],
            inputs={"answer": [one.answer for one in answered]},
        ),
    }
    return Evidence(own, arms)
