"""Can what a mixture holds be asked for?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.noun_pairs import NounPair
from fixtures.readings import EVEN, components, mix_two
from fixtures.words import single_token
from vsg_core import Evidence, LanguageModel, Trial, at_least, claim, control, less, more, torch, trials

if TYPE_CHECKING:
    from torch import Tensor

# Both are asked for, in either order.
EXAMPLES = (
    "This picture shows the lemon and the drum. The fruit is the lemon. The instrument is the drum.\n"
    "This picture shows the nurse and the truck. The vehicle is the truck. The person is the nurse.\n"
)
SHOWN = frozenset({"lemon", "drum", "nurse", "truck"})
# Their names ask for a noun, and for none of another of these kinds.
KINDS = ("animal", "fruit", "tool", "vehicle", "instrument", "garment", "building", "flower", "person")
# What both nouns side by side must give for the mixture to be compared with them, and the share of it that counts as
# fetched: half way between one noun alone, 0, and both side by side, 1.
FETCHED_IN_WORDS, HALF = 0.2, 0.5
ALONE, ELSEWHERE, MEAN = "either noun alone", "asked for two other kinds", "mean of both nouns"


@claim(
    "Either noun of an even mixture in a sentence can be fetched by asking for its kind more than half as well as "
    "from both nouns side by side",
    # A tenth of the way from one noun alone to both side by side.
    rule=more(than=HALF, matters=0.1),
    unit="of the difference that both nouns side by side make",
    controls={
        ALONE: control(less(than=HALF), "one noun's own embedding in the place of the mixture, averaged"),
        ELSEWHERE: control(
            less(than=HALF), "the mixture, asked for two kinds that neither of its nouns is of"
        ),
    },
    comparisons={MEAN: "the same answers to the mixture, averaged over its nouns in place of the lesser one"},
)
def test_nouns_of_a_mixture_can_be_fetched(lm: LanguageModel, draw_noun_pairs: Draw[NounPair]) -> Evidence:
    """After "This picture shows the <owl + hammer>." the model completes "The animal is the" and "The tool is the".

    Two worked examples in words come before. What is fetched is the probability of a noun after the question about its
    kind minus its probability after the question about the other noun's, for the lesser of the two nouns. Value: what
    is fetched from the mixture divided by what is fetched from "the <owl> and the <hammer>", on pairs where the latter
    is 0.2 at least: a model that cannot pick a noun of two words shows nothing about mixtures. A model that follows one
    of the two fetches that one alone, so its lesser one is near 0; a model that names both, whatever is asked, has no
    difference. The questions about other kinds take the place of the noun's own question in the difference. Pairs are
    of two kinds out of nine, neither noun being one of the examples'.
    """
    drawn = draw_noun_pairs(100, lambda some: list(map(can_be_asked, some)))
    drawn_ids = torch.tensor([[single_token(lm, noun) for noun in pair.nouns] for pair in drawn])
    drawn_kinds = [pair.kinds for pair in drawn]
    # Each [pairs, 1, hidden]
    first, second = lm.embed(drawn_ids).unsqueeze(-2).unbind(1)
    both = [(one, " and the", other) for one, other in zip(first, second, strict=True)]
    in_words = differences(answers(lm, both, drawn_kinds, drawn_ids)[0])
    rows = at_least(
        40,
        [row for row, least in enumerate(in_words.amin(-1).tolist()) if least >= FETCHED_IN_WORDS],
        f"of {len(drawn)} pairs of nouns are told apart by {lm.name} when they stand side by side",
    )
    pairs = [drawn[row] for row in rows]
    kinds = [pair.kinds for pair in pairs]
    first, second, ids, in_words = (column[rows] for column in (first, second, drawn_ids, in_words))
    mixture = mix_two(lm, ids, EVEN).unsqueeze(1)
    asked, named = answers(lm, [(one,) for one in mixture], kinds, ids)
    elsewhere, _ = answers(lm, [(one,) for one in mixture], other_kinds(pairs), ids)
    alone = [lesser(answers(lm, [(one,) for one in nouns], kinds, ids)[0]) for nouns in (first, second)]

    def shown(what: str, values: Tensor, compared: Tensor) -> list[Trial]:
        places = [what.format(*pair.nouns) for pair in pairs]
        texts = [f"This picture shows the {place}." for place in places]
        questions = [f"The {kind} is the / The {other} is the" for kind, other in kinds]
        prompts = [f"{text} {question}" for text, question in zip(texts, questions, strict=True)]
        return trials(prompts, value=values / compared)

    least = in_words.amin(-1)
    own = trials(
        [trial.prompt for trial in shown("<0.5 {} + 0.5 {}>", least, least)],
        output=named,
        value=lesser(asked) / least,
        mixture=components([pair.nouns for pair in pairs], EVEN),
        inputs={
            f"{which} noun, asked for {what}": asked[:, question, place]
            for place, which in enumerate(("first", "second"))
            for question, what in ((place, "its kind"), (1 - place, "the other's"))
        }
        | {"fetched from both side by side": least},
    )
    return Evidence(
        own,
        {
            ALONE: shown("<{}> or <{}>", (alone[0] + alone[1]) / 2, least),
            ELSEWHERE: shown("<0.5 {} + 0.5 {}>", differences(elsewhere, asked).amin(-1), least),
            MEAN: shown("<0.5 {} + 0.5 {}>", differences(asked).mean(-1), in_words.mean(-1)),
        },
    )


def can_be_asked(pair: NounPair) -> bool:
    """Return whether both nouns are of KINDS, of different ones, and neither is in the examples."""
    return (
        set(pair.kinds) <= set(KINDS)
        and pair.kinds[0] != pair.kinds[1]
        and not SHOWN.intersection(pair.nouns)
    )


def other_kinds(pairs: Sequence[NounPair]) -> list[tuple[str, str]]:
    """For each pair two kinds that its nouns are not of, in turn."""
    chosen = []
    for row, pair in enumerate(pairs):
        others = [kind for kind in KINDS if kind not in pair.kinds]
        chosen.append((others[row % len(others)], others[(row + 1) % len(others)]))
    return chosen


def answers(
    lm: LanguageModel,
    shown: Sequence[tuple[Tensor | str, ...]],
    kinds: Sequence[tuple[str, str]],
    ids: Tensor,
) -> tuple[Tensor, list[str]]:
    """Ask for two kinds after each sentence.

    Returns the probabilities [pairs, question, noun] of both nouns as the answer, and the most probable answers to both
    questions.

    Args:
        shown: what the picture shows, vectors [n, hidden] and text between them.
        ids: [pairs, 2] the nouns' tokens.
    """
    asked = [
        lm.join(f"{EXAMPLES}This picture shows the", *parts, f". The {kind} is the")
        for parts, own in zip(shown, kinds, strict=True)
        for kind in own
    ]
    likely = lm.next_logits(asked).softmax(-1).view(len(shown), 2, -1)
    named = [" /".join(lm.token(token) for token in row) for row in likely.argmax(-1).tolist()]
    return likely.gather(-1, ids.to(likely.device).unsqueeze(1).expand(-1, 2, -1)).double().cpu(), named


def differences(asked: Tensor, other: Tensor | None = None) -> Tensor:
    """The probability of each noun after its own question minus that after the other's: [pairs, noun].

    Args:
        asked, other: [pairs, question, noun], what was answered to the own question and to the other's; without `other`
            both are of the same answers.
    """
    other = asked if other is None else other
    return asked.diagonal(dim1=1, dim2=2) - other.flip(1).diagonal(dim1=1, dim2=2)


def lesser(asked: Tensor) -> Tensor:
    """The difference [pairs] of the noun that is fetched less, from answers [pairs, question, noun]."""
    return differences(asked).amin(-1)
