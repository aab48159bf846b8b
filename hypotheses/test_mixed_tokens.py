"""Are the tokens of a mixture rival answers or rival wordings?"""

from __future__ import annotations

from fixtures.draws import Draw
from fixtures.fact_branches import ANSWER_TOKENS, FactBranches, first_named, follow_branches
from fixtures.pools.openings import Opening
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
OPENINGS = 100


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
    lm: LanguageModel, draw_openings: Draw[Opening], generator: torch.Generator
) -> Evidence:
    """Value: mean cosine between the static embeddings of the five most probable tokens, minus that of stand-ins.

    All embeddings are taken without their component along the last hidden state: where the head is the table, the most
    probable tokens all lie along that state, and so near to each other, whatever they mean. A stand-in is drawn from
    the 100 tokens nearest by id that have its token's form (word beginning or not, letters or not, capital or not):
    BPE ids follow the order of merges, a rough proxy of frequency.
    """
    prompts, alike = [opening.text for opening in draw_openings(OPENINGS)], tokens_by_form(lm)
    with lm.untrained() as twin:
        untrained = related(prompts, measure_cosines(twin, prompts, alike, generator))
    found = measure_cosines(lm, prompts, alike, generator)
    to_others = trials(prompts, output=found.tokens, value=found.own - found.to_others)
    along = trials(prompts, output=found.tokens, value=found.along - found.along_drawn)
    return Evidence(related(prompts, found), {TWIN: untrained, ALONG: along, OTHERS: to_others})


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
    "Where the second or third most probable token after a factual prompt leads to an answer, it is mostly a rival one",
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
        ANSWERS: "whether the second and third branch name an answer at all, of all prompts whose first branch does: "
        '"located on a river" is not a rival capital'
    },
)
def test_second_token_leads_to_a_rival_answer(lm: LanguageModel, draw_facts: Draw[Fact]) -> Evidence:
    """A branch succeeds when it names a different answer from the first; the branches of a prompt are one unit.

    A branch is the prompt, one of its three most probable tokens, and greedy tokens up to 12 in all. Its answer is
    the first of all answers of that kind (cities, languages, months, ...), right or wrong, in its first clause. What
    follows is another sentence ("Finnish. However, Swedish"), or the options of a quiz, and no longer that token's
    answer. Branches are left out that name no answer, and those of prompts whose first branch names none; in the
    control, prompts of which the first branch or the text after the sentence names none.
    """
    facts = draw_facts(180)
    followed = zip(facts, follow_branches(lm, facts), strict=True)
    known = [(fact, one) for fact, one in followed if one.answers[0] is not None]
    further = [(one, place) for _, one in known for place in (1, 2)]
    kept = [(one, place) for one, place in further if one.answers[place] is not None]
    at_least(40, {one.prompt for one, _ in kept}, "facts with an answer from a second or third token")

    def arm(branches: list[tuple[FactBranches, int]], success: list[bool]) -> list[Trial]:
        return trials(
            [one.prompt for one, _ in branches],
            output=[one.texts[place] for one, place in branches],
            success=success,
            cluster=[one.prompt for one, _ in branches],
            inputs={
                "token, by probability": [place + 1 for _, place in branches],
                "its probability": [one.probabilities[place] for one, place in branches],
                "its answer": [one.answers[place] for one, place in branches],
                "first answer": [one.answers[0] for one, _ in branches],
            },
            outputs={"first branch": [one.texts[0] for one, _ in branches]},
        )

    arms = {
        ELSEWHERE: asked_after_a_sentence(lm, known[:100]),
        ANSWERS: arm(further, [one.answers[place] is not None for one, place in further]),
    }
    return Evidence(arm(kept, [one.answers[place] != one.answers[0] for one, place in kept]), arms)


def asked_after_a_sentence(lm: LanguageModel, known: list[tuple[Fact, FactBranches]]) -> list[Trial]:
    """One trial per fact that is answered again after a sentence: success where the answer is another one."""
    begun = [f"{BEFORE} {one.prompt}" for _, one in known]
    replies = lm.generate(begun, max_new_tokens=ANSWER_TOKENS)
    named = [first_named(fact, reply.text) for (fact, _), reply in zip(known, replies, strict=True)]
    rows = [row for row, answer in enumerate(named) if answer is not None]
    at_least(40, rows, "facts answered again")
    return trials(
        [begun[row] for row in rows],
        output=[replies[row] for row in rows],
        success=[named[row] != known[row][1].answers[0] for row in rows],
        inputs={"answer": [named[row] for row in rows], "before": [known[row][1].answers[0] for row in rows]},
    )
