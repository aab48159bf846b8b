"""What does a model make of points between two words?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from fixtures.between_words import (
    draw_two_nouns,
    embeddings,
    points_around,
    points_between,
    predictions_at,
)
from fixtures.draws import Draw
from fixtures.pools.noun_pairs import NounPair
from fixtures.sources import FILE, STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Source,
    Trial,
    claim,
    control,
    nearly_always,
    not_mostly,
    rate,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

# A departure in probability from the range of the two ends; the paper's scripts count from there.
LEAVES = 0.05
# Shares of the way from the first noun's embedding to the second's.
POINTS = (0.25, 0.5, 0.75)
AROUND = "as far in random directions"
MARRO = Source(
    "Marro et al., Language Models Are Implicitly Continuous, arXiv 2504.03933; its scripts, "
    "continuity_scripts/analysis/embedding_interpolation_variation.py",
    "https://github.com/samuelemarro/continuous-llm-experiments",
)


@claim(
    "Halfway between two nouns in a sentence the model nearly always predicts what it does with one of them",
    source=STUDY("docs/hypothesis.md, which expects the opposite", f"{FILE}docs/hypothesis.md"),
    reported="the space between hot and cold should represent warm: expected, not measured",
    rule=nearly_always(trials=100),
    controls={
        "the ends of another pair": control(
            not_mostly(), "the prediction compared with those for the pair before"
        ),
        AROUND: control(
            nearly_always(trials=100),
            "a vector as far from one of the nouns in a random direction; if that does not nearly always keep the "
            "prediction, the distance alone changes it",
            protects="refuted",
        ),
    },
    comparisons={
        "at the ends' norm": "the vector halfway, which is shorter than a noun's, scaled to the nouns' mean norm",
        "in the top five of either": "the prediction halfway may be any of the five most probable with either noun",
    },
)
def test_halfway_a_model_predicts_what_it_does_at_an_end(
    lm: LanguageModel, draw_noun_pairs: Draw[NounPair], generator: torch.Generator
) -> Evidence:
    """A pair succeeds when the mean of two nouns' embeddings leads to the top-1 next token of either noun.

    The nouns are in the gap of an ordinary sentence, one of 20, cut off where many words can follow. Pairs whose nouns
    lead to the same token are excluded, because there the frame decides.
    """
    pairs = draw_two_nouns(lm, draw_noun_pairs, 120)
    first, second = embeddings(lm, pairs)
    middle = points_between(first, second, 0.5)
    norms = (first.norm(dim=-1) + second.norm(dim=-1)) / 2 / middle.norm(dim=-1)  # [pairs]
    around = points_around(lm, first, second, 0.5, generator)
    tops, _ = predictions_at(lm, pairs, [middle, middle * norms.unsqueeze(-1), around])
    half, at_norm, off = tops.T.tolist()
    ends = [pair.ends for pair in pairs]

    def arm(tokens: Sequence[int], accepted: Sequence[Collection[int]]) -> list[Trial]:
        return [
            Trial(
                pair.prompt,
                repr(lm.token(token)),
                token in right,
                outputs={noun: repr(lm.token(end)) for noun, end in zip(pair.nouns, pair.ends, strict=True)},
            )
            for pair, token, right in zip(pairs, tokens, accepted, strict=True)
        ]

    arms = {
        "the ends of another pair": arm(half, ends[-1:] + ends[:-1]),
        AROUND: arm(off, ends),
        "at the ends' norm": arm(at_norm, ends),
        "in the top five of either": arm(half, [pair.nearby for pair in pairs]),
    }
    return Evidence(arm(half, ends), arms)


@claim(
    "Between two nouns a predicted token's probability leaves the range that it has with the two for over 10 more "
    "pairs in 100 than it does as far from them in random directions",
    source=MARRO,
    reported="its scripts count where Yes or No leaves the range by 0.05 or more; their rates are not available",
    rule=rate(above=0.1, over=AROUND, trials=100),
    comparisons={
        AROUND: "vectors as far from the nearer noun as those between the two",
        "above the range": "between the nouns, the probability rises above the range by 0.05 or more",
        "below the range": "between the nouns, the probability falls below the range by 0.05 or more",
    },
    no_control="the rule already compares with vectors that are as far from the nouns and not between them",
)
def test_between_words_answers_leave_the_range_of_the_ends(
    lm: LanguageModel, draw_noun_pairs: Draw[NounPair], generator: torch.Generator
) -> Evidence:
    """The rival of the claim on halfway: points between words would have answers of their own.

    A pair succeeds when, a quarter, half or three quarters of the way, the probability of the most probable next token
    of either noun is outside the range that it has with the two nouns, by 0.05 or more. Any change of an embedding can
    do that, so the same is counted at a quarter, half and a quarter of the distance from a noun in random directions.
    The sentences are ordinary ones, one of 20 for each pair. The paper looks at 40 points, and at Yes and No after
    questions.
    """
    pairs = draw_two_nouns(lm, draw_noun_pairs, 120)
    first, second = embeddings(lm, pairs)
    between = [points_between(first, second, share) for share in POINTS]
    around = [points_around(lm, first, second, share, generator) for share in POINTS]
    tops, chances = predictions_at(lm, pairs, between + around)
    n = len(POINTS)

    def arm(tops: Tensor, chances: Tensor, sides: Sequence[int] = (0, 1)) -> list[Trial]:
        """Count departures to `sides`: 0 above the range, 1 below it."""
        departures = [
            max(pair.departure(own)[side] for side in sides) for pair, own in zip(pairs, chances, strict=True)
        ]
        return trials(
            [pair.prompt for pair in pairs],
            output=[", ".join(repr(lm.token(token)) for token in row) for row in tops.tolist()],
            success=[departure >= LEAVES for departure in departures],
            inputs={
                "answers": [[lm.token(end) for end in pair.ends] for pair in pairs],
                "probabilities with the nouns": [pair.chances.tolist() for pair in pairs],
                "probabilities at the points": chances.tolist(),
                "beyond the range by": departures,
            },
        )

    line = tops[:, :n], chances[:, :n]
    arms = {
        AROUND: arm(tops[:, n:], chances[:, n:]),
        "above the range": arm(*line, sides=(0,)),
        "below the range": arm(*line, sides=(1,)),
    }
    return Evidence(arm(*line), arms)
