"""What does a model make of points between two words?"""

from __future__ import annotations

from vsg_core import Evidence, NotApplicable, Trial, claim, rate

FEWEST = 40  # pairs that a verdict rests on
LEAVES = 0.05  # of probability, beyond the range of the two ends; the paper's scripts count from there


@claim(
    "Halfway between two words a model predicts what it does with one of them, nearly always",
    source="abstractionlair/vector-space-generation, docs/hypothesis.md, which expects the opposite",
    link="https://github.com/abstractionlair/vector-space-generation/blob/main/docs/hypothesis.md",
    reported="the space between hot and cold should represent warm: expected, not measured",
    rule=rate(above=0.9),
    controls={"the ends of another pair": rate(below=0.5)},
    comparisons=[
        "a quarter of the way",
        "three quarters of the way",
        "at the ends' norm",
        "in the top five of either",
    ],
)
def test_halfway_a_model_predicts_what_it_does_at_an_end(lm, between_words):
    """A pair succeeds when the most probable next token, with the mean of two words' embeddings in the frame, is
    that with one of the words.

    Only pairs whose words lead to different tokens: else the frame decides, not the word. The control holds the
    prediction against the ends of the pair before. Halfway a vector is shorter than a word's; "at the ends' norm"
    it is scaled up to their mean.
    """
    pairs = enough(lm, between_words)

    def arm(tokens, accepted):
        return [
            Trial(
                one.frame.format(" / ".join(one.words)),
                repr(lm.token(token)),
                token in right,
                outputs=dict(zip(one.words, (repr(lm.token(end)) for end in one.ends), strict=True)),
            )
            for one, token, right in zip(pairs, tokens, accepted, strict=True)
        ]

    ends = [one.ends for one in pairs]
    quarter, half, three_quarters = zip(*(one.top for one in pairs), strict=True)
    arms = {
        "the ends of another pair": arm(half, ends[-1:] + ends[:-1]),
        "a quarter of the way": arm(quarter, ends),
        "three quarters of the way": arm(three_quarters, ends),
        "at the ends' norm": arm([one.top_at_norm for one in pairs], ends),
        "in the top five of either": arm(half, [one.nearby for one in pairs]),
    }
    return Evidence(arm(half, ends), arms)


@claim(
    "Between two words an answer's probability leaves the range that it has with the words, and not rarely",
    source="Marro et al., Language Models Are Implicitly Continuous, arXiv 2504.03933; its scripts, "
    "continuity_scripts/analysis/embedding_interpolation_variation.py",
    link="https://github.com/samuelemarro/continuous-llm-experiments",
    reported="its scripts count where Yes or No leaves the range by 0.05 or more; their rates are not at hand",
    rule=rate(above=0.1),
    comparisons=["by 0.1", "above the range", "below the range"],
)
def test_between_words_answers_leave_the_range_of_the_ends(lm, between_words):
    """The rival of the claim on halfway: points between words would then have answers of their own.

    A pair succeeds when, a quarter, half or three quarters of the way, the probability of the most probable next
    token of either word lies outside the range that it has with the two words, by 0.05 or more. The paper looks at
    40 points, and at Yes and No after questions.
    """
    pairs = enough(lm, between_words)
    above = [beyond(one.chances[2:] - one.chances[:2].amax(0)) for one in pairs]
    below = [beyond(one.chances[:2].amin(0) - one.chances[2:]) for one in pairs]
    most = [max(over, under) for over, under in zip(above, below, strict=True)]

    def arm(departures, by):
        return [
            Trial(
                one.frame.format(" / ".join(one.words)),
                ", ".join(repr(lm.token(token)) for token in one.top),
                success=departure >= by,
                inputs={
                    "answers": [lm.token(end) for end in one.ends],
                    "probabilities at the ends, then between": one.chances.tolist(),
                    "beyond the range by": departure,
                },
            )
            for one, departure in zip(pairs, departures, strict=True)
        ]

    arms = {
        "by 0.1": arm(most, 0.1),
        "above the range": arm(above, LEAVES),
        "below the range": arm(below, LEAVES),
    }
    return Evidence(arm(most, LEAVES), arms)


def beyond(departures):
    """The largest departure [points, answers] from a range; 0 inside."""
    return max(departures.max().item(), 0.0)


def enough(lm, pairs):
    """The pairs, if a verdict can rest on them."""
    if len(pairs) < FEWEST:
        raise NotApplicable(f"{lm.name} tells the words of {len(pairs)} pairs apart, {FEWEST} are needed")
    return pairs
