"""What of mixtures is left for a model that takes text alone?"""

from __future__ import annotations

import re

from fixtures.described import DescribedMixture
from fixtures.draws import Draw
from fixtures.listed import blend_top, draw_listed_forks, draw_undecided, entropy_ends, is_above
from fixtures.nearest_text import draw_continued
from fixtures.pools.noun_pairs import NounPair
from fixtures.pools.openings import Opening
from vsg_core import (
    Evidence,
    LanguageModel,
    Likely,
    Reply,
    TextModel,
    Trial,
    at_least,
    at_once,
    claim,
    control,
    mostly,
    nearly_always,
    not_mostly,
    rarely,
    rate,
    trials,
)

SWAPPED = "weights swapped"
ALONE = "heaviest word alone"
REPEATED = "repeated openings"
MOST = "greatest entropy"
SMALL_LETTER = "begun with a small letter"
BEGINS = "begins with the word"
TOKENS, ELSEWHERE = "after greedy tokens", "nearest tokens of another opening"
# Concept tokens that are given as text.
VECTORS = 2
# In as many copies in a row, the last of them unfinished.
TIMES = 4
# Bits: an even choice among four.
UNDECIDED = 2.0
# Tokens of a reply that names a kind.
NAMES = 6
# Tokens that are compared where two texts are to be the same.
COMPARED = 10
AFTER = 5
# Natural logarithms of a ratio of probabilities, by which a lifted token exceeds the most probable one.
LIFTED = 1.0


@claim(
    "Given four words of two kinds and their weights, the model names the kind with three quarters of the weight at "
    "least 10 points more often than with the weights of the kinds swapped",
    rule=rate(above=0.1, over=SWAPPED, trials=100),
    positive_controls={
        ALONE: control(mostly(), "60 of the mixtures, of which only the heaviest word is given, at 100 %")
    },
    comparisons={
        SWAPPED: "the same words, order and question, with the weights of either kind on the other; counted is the "
        "kind that is heavier in the claim's own arm"
    },
    no_control="the arm that it is compared with differs in the weights alone",
)
def test_described_mixture_names_its_heavier_kind(
    text_model: TextModel, draw_described_mixtures: Draw[NounPair]
) -> Evidence:
    """Ask "A mixture is 55 % apple, 15 % saw, 20 % pear, 10 % rake. Is it mostly fruit or tool?", for 6 tokens.

    The weights are 55 % and 20 % against 15 % and 10 %. The order of the words, and that of the kinds in the question,
    are drawn per item and the same in both arms, so that a model that goes by the order, or by one of the words, names
    the same kind in both. A reply counts by the first of the two kinds in it; one with neither counts as a failure. An
    instruct model is asked in its chat format, a base model after "Question:".
    """
    mixtures = [DescribedMixture.of(pair) for pair in draw_described_mixtures(100)]
    own, swapped = [each.question() for each in mixtures], [each.question(swapped=True) for each in mixtures]
    alone = [each.question_of_heaviest() for each in mixtures[:60]]
    replies = text_model.ask([*own, *swapped, *alone], NAMES)

    def arm(questions: list[str], first: int) -> list[Trial]:
        given = replies[first : first + len(questions)]
        of = mixtures[: len(questions)]
        return trials(
            questions,
            output=given,
            success=[each.names_heavier(reply.text) for each, reply in zip(of, given, strict=True)],
            cluster=[each.name for each in of],
        )

    return Evidence(
        arm(own, 0), {SWAPPED: arm(swapped, len(own)), ALONE: arm(alone, len(own) + len(swapped))}
    )


@claim(
    "Where no next token has a probability of 0.6, for most openings the model is less certain than in an even choice "
    "among four: the entropy of its next token is above 2 bits",
    rule=mostly(),
    controls={
        REPEATED: control(
            not_mostly(),
            f"80 of the openings {TIMES} times in a row, the last time without its last word, which is in the text "
            "before; counted where the greatest entropy that the list allows is above 2 bits",
        ),
        MOST: control(
            not_mostly(),
            "the same openings, counted where the greatest entropy that the list allows is above 2 bits",
            protects="refuted",
        ),
    },
)
def test_forks_have_more_than_two_bits(text_model: TextModel, draw_openings: Draw[Opening]) -> Evidence:
    """An API lists at most 20 next tokens, so that the entropy is known as an interval, by what the others can hold.

    Counted is the end that hurts the claim: the least entropy after the openings, the greatest after the repeated
    ones, whose next word a model can copy. Where the claim is refuted, the greatest after the openings must mostly be
    within 2 bits, too. The list is the same for a model of this machine. Where it is so short that it leaves most of
    the repeated ones open, their control could not hold whatever the model: the claim is then not applicable.
    """
    undecided = draw_undecided(text_model, draw_openings, 100)
    repeated = [" ".join(TIMES * [f"{text}."]).rpartition(" ")[0] for text, _ in undecided[:80]]
    certain = list(zip(repeated, text_model.likely(repeated), strict=True))
    at_least(
        len(repeated) // 2,
        [text for text, each in certain if is_above(entropy_ends(each), UNDECIDED) is not None],
        f"of {len(repeated)} repeated openings whose entropy the {text_model.most_listed} tokens that "
        f"{text_model.name} lists place above or within 2 bits",
    )

    def arm(listed: list[tuple[str, Likely]], end: int) -> list[Trial]:
        ends = [entropy_ends(each) for _, each in listed]
        return trials(
            [text for text, _ in listed],
            output=[each.tokens[0] if each.tokens else "" for _, each in listed],
            success=[both[end] > UNDECIDED for both in ends],
            inputs={
                "least bits": [low for low, _ in ends],
                "greatest bits": [high for _, high in ends],
                "probability of the tokens that are not listed": [each.rest for _, each in listed],
            },
        )

    return Evidence(arm(undecided, 0), {REPEATED: arm(certain, 1), MOST: arm(undecided, 1)})


@claim(
    "Weighted as the model weights a fork's two next words, the mean of what follows either has the most probable "
    "token of the heavier word's branch, for most forks whose branches differ in theirs",
    rule=mostly(),
    controls={
        SWAPPED: control(
            not_mostly(),
            "the same branches with the weights of the two words swapped; open cases count as the same",
        )
    },
)
def test_blend_says_what_its_heavier_branch_says(
    text_model: TextModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Either branch is asked for in a request of its own: what follows the opening and the word, as text.

    The mean is what a model would predict that kept both words of a mixture in superposition. Where it mostly says
    what the heavier word alone would say, the most probable token cannot tell such a model from one that follows a
    single word. Openings are kept whose two most probable next tokens are words of less than 0.6 and whose branches
    have different most probable tokens. At most 20 tokens of a branch are listed; where the others could change the
    mean's most probable token, the trial fails.
    """
    forks = draw_listed_forks(text_model, draw_openings, 120)
    own = [blend_top(fork.branches, fork.weights) for fork in forks]
    swapped = [blend_top(fork.branches, fork.weights[::-1]) for fork in forks]
    prompts = [fork.prompt for fork in forks]
    heavier = [fork.tops[0] for fork in forks]
    return Evidence(
        trials(
            prompts,
            output=[top or "" for top in own],
            success=[top == expected for top, expected in zip(own, heavier, strict=True)],
            mixture=[list(zip(fork.tokens, fork.weights, strict=True)) for fork in forks],
            outputs={
                "heavier word's branch": heavier,
                "lighter word's branch": [fork.tops[1] for fork in forks],
            },
        ),
        {
            SWAPPED: trials(
                prompts,
                output=[top or "" for top in swapped],
                success=[top in (None, expected) for top, expected in zip(swapped, heavier, strict=True)],
            )
        },
    )


@claim(
    "Asked again in another order, the model greedily gives the same 10 tokens for more than 9 openings in 10",
    rule=nearly_always(trials=80),
    controls={
        SMALL_LETTER: control(
            not_mostly(trials=80),
            "the same openings with a small first letter: if even another request gives the same text, the texts are "
            "too settled to show a difference",
        )
    },
)
def test_same_request_gives_the_same_text(text_model: TextModel, draw_openings: Draw[Opening]) -> Evidence:
    """Nothing that was answered before is used: each text is computed, or asked for, twice.

    On this machine the two differ where rounding decides, since the texts of a batch are computed together. A server
    adds what it does with its own caches, its batches and its machines.
    """
    prompts = [opening.text for opening in draw_openings(80)]
    first = text_model.complete(prompts, COMPARED, fresh=True)
    second = text_model.complete(prompts[::-1], COMPARED, fresh=True)[::-1]
    begun = [prompt[:1].lower() + prompt[1:] for prompt in prompts]
    changed = text_model.complete(begun, COMPARED, fresh=True)
    return Evidence(_same(prompts, first, second), {SMALL_LETTER: _same(begun, first, changed)})


@claim(
    "A logit bias that lifts an opening's second most probable word to the top, and stays, gives the text that follows "
    "when the word is written out, for most forks",
    rule=mostly(),
    comparisons={
        BEGINS: "the same texts, if the word is their first: what the bias does to the next token alone"
    },
    no_control="the openings are chosen so that their two words lead to different texts: text that a bias does not "
    "lead to the word must differ, whatever the model",
)
def test_bias_steers_like_the_word_itself(text_model: TextModel, draw_openings: Draw[Opening]) -> Evidence:
    """Compared are the word and the 5 tokens after it.

    The bias is the difference of the two words' log-probabilities and 1 more, so that the word is chosen, at e to 1
    against the most probable one. It then stays for the whole text, as that of an API does, and may bring the word
    again, or keep it from being followed as it would be.
    """
    forks = draw_listed_forks(text_model, draw_openings, 60)
    prompts = [fork.prompt for fork in forks]
    words = [fork.tokens[1] for fork in forks]
    bias = [fork.bias_to_second(LIFTED) for fork in forks]
    written = text_model.complete([prompt + word for prompt, word in zip(prompts, words, strict=True)], AFTER)
    expected = [word + reply.text for word, reply in zip(words, written, strict=True)]

    steered = text_model.complete(
        prompts, AFTER + 1, bias=[{word: added} for word, added in zip(words, bias, strict=True)]
    )

    def arm(success: list[bool]) -> list[Trial]:
        return trials(prompts, output=steered, success=success, outputs={"after the word itself": expected})

    texts = [reply.text.strip() for reply in steered]
    return Evidence(
        arm([text == wanted.strip() for text, wanted in zip(texts, expected, strict=True)]),
        {
            BEGINS: arm(
                [
                    bool(re.match(rf"{re.escape(word.strip())}\b", text))
                    for text, word in zip(texts, words, strict=True)
                ]
            )
        },
    )


@claim(
    "Given the text of the tokens nearest to two concept tokens, the model greedily writes the five tokens that the "
    "same weights write after the concept tokens themselves, for most openings",
    rule=mostly(),
    positive_controls={
        TOKENS: control(
            rate(above=0.8),
            "after two greedy tokens, as text and as ids: both are the same model, read the same way",
        )
    },
    controls={
        ELSEWHERE: control(
            rarely(), "the same, with the nearest tokens of the opening before it in the list as text"
        )
    },
)
def test_nearest_text_continues_like_the_vectors(
    text_model: TextModel, vector_model: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Two of the study's concept tokens are written after an opening; none of them has a weight of 0.6.

    A model of this machine is asked for both. For a hosted one, the weights of its name on this machine take the
    vectors; where they are others, the texts after greedy tokens differ, too, and the claim does not apply. Openings
    count only where the tokens, written as text, are read as the same tokens.
    """
    found = draw_continued(vector_model, draw_openings, 80, VECTORS, AFTER)
    prompts = [each.prompt for each in found]
    nearest = [each.nearest for each in found]
    given = [nearest, [each.greedy for each in found], [nearest[-1], *nearest[:-1]]]
    texts = [[prompt + text for prompt, text in zip(prompts, shown, strict=True)] for shown in given]
    own, greedy, elsewhere = at_once(text_model.complete, *texts, max_tokens=AFTER)
    after_vectors = [each.after_vectors for each in found]

    def arm(shown: list[str], replies: list[Reply], expected: list[str]) -> list[Trial]:
        return trials(
            prompts,
            output=replies,
            success=[
                reply.text.strip() == text.strip() for reply, text in zip(replies, expected, strict=True)
            ],
            inputs={"text in place of the vectors": shown},
            outputs={"what the weights write": expected},
            mixture=[each.mixture for each in found],
        )

    return Evidence(
        arm(given[0], own, after_vectors),
        {
            TOKENS: arm(given[1], greedy, [each.after_greedy for each in found]),
            ELSEWHERE: arm(given[2], elsewhere, after_vectors),
        },
    )


def _same(prompts: list[str], first: list[Reply], second: list[Reply]) -> list[Trial]:
    return trials(
        prompts,
        output=first,
        success=[one.text == other.text for one, other in zip(first, second, strict=True)],
        outputs={"asked again": second},
    )
