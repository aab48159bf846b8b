"""What does a model make of points between two words?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fixtures.concepts import Between
from fixtures.sources import FILE, STUDY
from vsg_core import (
    Evidence,
    LanguageModel,
    Source,
    Trial,
    at_least,
    claim,
    control,
    nearly_always,
    not_mostly,
    sometimes,
    trials,
)

KEPT = "pairs of words with different predictions"
# A departure in probability from the range of the two ends; the paper's scripts count from there.
LEAVES = 0.05
MARRO = Source(
    "Marro et al., Language Models Are Implicitly Continuous, arXiv 2504.03933; its scripts, "
    "continuity_scripts/analysis/embedding_interpolation_variation.py",
    "https://github.com/samuelemarro/continuous-llm-experiments",
)


@claim(
    "Halfway between two words a model nearly always predicts what it does with one of them",
    source=STUDY("docs/hypothesis.md, which expects the opposite", f"{FILE}docs/hypothesis.md"),
    reported="the space between hot and cold should represent warm: expected, not measured",
    rule=nearly_always(),
    controls={
        "the ends of another pair": control(
            not_mostly(), "the prediction compared with those for the pair before"
        )
    },
    comparisons={
        "a quarter of the way": "the vector a quarter of the way from the first word to the second",
        "three quarters of the way": "the vector three quarters of the way",
        "at the ends' norm": "the vector halfway, which is shorter than a word's, scaled to the words' mean norm",
        "in the top five of either": "the prediction halfway may be any of the five most probable with either word",
    },
)
def test_halfway_a_model_predicts_what_it_does_at_an_end(
    lm: LanguageModel, between_words: list[Between]
) -> Evidence:
    """A pair succeeds when the mean of two words' embeddings in a frame leads to the top-1 next token of either word.

    Pairs whose words lead to the same token are excluded, because there the frame decides.
    """
    pairs = at_least(40, between_words, KEPT)
    ends = [pair.ends for pair in pairs]
    quarter, half, three_quarters = zip(*(pair.top for pair in pairs), strict=True)

    def arm(tokens: Sequence[int], accepted: Sequence[Collection[int]]) -> list[Trial]:
        return [
            Trial(
                pair.prompt,
                repr(lm.token(token)),
                token in right,
                outputs={word: repr(lm.token(end)) for word, end in zip(pair.words, pair.ends, strict=True)},
            )
            for pair, token, right in zip(pairs, tokens, accepted, strict=True)
        ]

    arms = {
        "the ends of another pair": arm(half, ends[-1:] + ends[:-1]),
        "a quarter of the way": arm(quarter, ends),
        "three quarters of the way": arm(three_quarters, ends),
        "at the ends' norm": arm([pair.top_at_norm for pair in pairs], ends),
        "in the top five of either": arm(half, [pair.nearby for pair in pairs]),
    }
    return Evidence(arm(half, ends), arms)


@claim(
    "Between two words an answer's probability sometimes leaves the range that it has with the two words",
    source=MARRO,
    reported="its scripts count where Yes or No leaves the range by 0.05 or more; their rates are not available",
    rule=sometimes(),
    comparisons={
        "by 0.1": "the probability leaves the range by 0.1 or more",
        "above the range": "the probability rises above the range by 0.05 or more",
        "below the range": "the probability falls below the range by 0.05 or more",
    },
    no_control="the probabilities are computed, not sampled, so none leaves the range by chance, and "
    "departures under 0.05 do not count",
)
def test_between_words_answers_leave_the_range_of_the_ends(
    lm: LanguageModel, between_words: list[Between]
) -> Evidence:
    """The rival of the claim on halfway: points between words would have answers of their own.

    A pair succeeds when, a quarter, half or three quarters of the way, the probability of the most probable next token
    of either word is outside the range that it has with the two words, by 0.05 or more. The paper looks at 40 points,
    and at Yes and No after questions.
    """
    pairs = at_least(40, between_words, KEPT)

    def arm(departures: list[float], by: float = LEAVES) -> list[Trial]:
        return trials(
            [pair.prompt for pair in pairs],
            output=[", ".join(repr(lm.token(token)) for token in pair.top) for pair in pairs],
            success=[departure >= by for departure in departures],
            inputs={
                "answers": [[lm.token(end) for end in pair.ends] for pair in pairs],
                "probabilities at the ends, then between": [pair.chances.tolist() for pair in pairs],
                "beyond the range by": departures,
            },
        )

    above, below = [pair.above for pair in pairs], [pair.below for pair in pairs]
    most = [max(pair.above, pair.below) for pair in pairs]
    arms = {"by 0.1": arm(most, by=0.1), "above the range": arm(above), "below the range": arm(below)}
    return Evidence(arm(most), arms)
