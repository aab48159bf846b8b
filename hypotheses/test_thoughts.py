"""What do thoughts in concept tokens hold, against those in hidden states and in tokens?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.paths import measure_averages
from fixtures.pools.openings import Opening
from fixtures.sources import FILE, LATENT_SFT, SOFT_THINKING, STUDY
from fixtures.thoughts import (
    AT_LENGTH,
    MIXTURES,
    OWN_TOKENS,
    RAW,
    READS_TOKENS,
    SHORTER,
    STUDYS,
    TOKENS,
    Asked,
    Thoughts,
)
from vsg_core import (
    Evidence,
    LanguageModel,
    Trial,
    at_least,
    claim,
    control,
    doses,
    more,
    mostly,
    nearly_always,
    rate,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

# A twentieth of the range of a rate
MATTERS = 0.05
STEPS_OF_MIXTURES = doses("concept tokens, k = {:g}", SHORTER, "steps")
STEPS_OF_STATES = doses("hidden states, k = {:g}", SHORTER, "steps")


@claim(
    "In place of the prompt, 8 plain concept tokens tell the model the answer to a fact more often than 8 hidden "
    "states at the length of a token's embedding do",
    source=LATENT_SFT,
    reported="latent thoughts are restricted to mixtures over the vocabulary; trained for it, models reason better in "
    "these than in hidden states",
    rule=rate(above=0, over=AT_LENGTH, trials=40, matters=MATTERS),
    positive_controls=READS_TOKENS,
    no_control="both thoughts come from the same prompts and are read in the same frame: each is the other's control",
    comparisons={
        "another fact's concept tokens": "the concept tokens of a fact with another answer",
        AT_LENGTH: "8 hidden states at the mean length of a token's embedding",
        RAW: "8 raw hidden states",
        **STEPS_OF_MIXTURES,
        **STEPS_OF_STATES,
    },
)
def test_vocabulary_thoughts_keep_answers_that_hidden_states_lose(thoughts: Thoughts) -> Evidence:
    """A state is fed back as it is, or read by the head and fed as a mixture of what it predicts.

    A concept token is the mixture of all embeddings, weighted by the next-token probabilities. Many mixtures here are
    nearly one token, since the model knows these facts: each trial has the mean weight of the heaviest. The shorter
    thoughts are the first positions of the same ones.
    """
    shorter = {
        name: thoughts.trials(Asked(way, steps=steps))
        for way, arms in ((MIXTURES, STEPS_OF_MIXTURES), (AT_LENGTH, STEPS_OF_STATES))
        for name, steps in zip(arms, SHORTER, strict=True)
    }
    return Evidence(
        thoughts.trials(Asked(MIXTURES)),
        {
            OWN_TOKENS: thoughts.trials(Asked(TOKENS)),
            "another fact's concept tokens": thoughts.trials(Asked(MIXTURES, another=True)),
            AT_LENGTH: thoughts.trials(Asked(AT_LENGTH)),
            RAW: thoughts.trials(Asked(RAW)),
            **shorter,
        },
    )


# At least this mean weight of the heaviest token, and vectors are nearly tokens.
NEARLY_TOKENS = 0.9


@claim(
    "Deferring discretisation by 8 vectors does not change the answer: nearly all facts named after 8 tokens are named "
    "after 8 of the study's concept tokens",
    source=STUDY("docs/hypothesis.md", FILE + "docs/hypothesis.md"),
    reported="planned as a measurement and never made: accuracy on facts when up to N vectors come before the first "
    "token; the study was open about which way it would go",
    rule=nearly_always(),
    positive_controls={
        "named after greedy tokens": control(mostly(), "all facts, asked for after 8 greedy tokens")
    },
    controls={
        "another fact's vectors": control(
            rate(below=0.9), "8 vectors of another fact; the beginning of the fact itself stays in sight"
        )
    },
    comparisons={
        "vectors that are nearly tokens too": "all facts named after tokens, however heavy the heaviest tokens"
    },
)
def test_deferring_discretisation_keeps_the_answer(lm: LanguageModel, thoughts: Thoughts) -> Evidence:
    """Continue the beginning of a fact by 8 greedy tokens or 8 concept tokens, then ask for the answer in tokens.

    Facts that the model does not name after tokens are left out: there is nothing to keep. So are facts whose vectors
    put 0.9 or more on one token on average: such a vector defers nothing. The beginning stays in sight, so a model may
    ignore what follows it and answer anew: the control must therefore change more answers.
    """
    after_tokens, after_vectors, elsewhere = (
        thoughts.trials(asked)
        for asked in (
            Asked(TOKENS, in_sight=True),
            Asked(STUDYS, in_sight=True),
            Asked(STUDYS, another=True, in_sight=True),
        )
    )
    right = [i for i, trial in enumerate(after_tokens) if trial.success]
    kept = at_least(
        40,
        [i for i in right if thoughts.weights[STUDYS][i] < NEARLY_TOKENS],
        f"of {len(right)} facts that {lm.name} names after tokens have vectors that are not nearly tokens",
    )
    return Evidence(
        [after_vectors[i] for i in kept],
        {
            "named after greedy tokens": after_tokens,
            "another fact's vectors": [elsewhere[i] for i in kept],
            "vectors that are nearly tokens too": [after_vectors[i] for i in right],
        },
    )


# Sampled thoughts whose predictions are averaged, and the numbers of positions after which they are
SAMPLES, POSITIONS = 8, (1, 2, 4)
FLATTENED, HALVES, ELSEWHERE = (
    "greedy prediction flattened", "average over other samples", "another opening's concept tokens",
)  # fmt: skip
AT_EACH_K = doses("k = {:g}", POSITIONS[:-1], "concept tokens")


@claim(
    "After 4 plain concept tokens the next prediction is nearer to its average over sampled continuations than it is "
    "after 4 greedy tokens",
    source=SOFT_THINKING("the derivation of concept tokens"),
    reported="the sum over all paths of discrete tokens is approximated by a single path of their mixtures",
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="bits",
    controls={
        FLATTENED: control(
            more(),
            "the prediction after greedy tokens at the temperature that gives it the entropy of the concept tokens': "
            "an average is flat, and whatever is flat is nearer to it",
        ),
        ELSEWHERE: control(
            more(),
            "the prediction after another opening's 4 concept tokens, which continue this one in the place of its own: "
            "it must be farther, or any mixtures would do",
        ),
    },
    positive_controls={
        HALVES: control(
            more(),
            "the average over 4 of the samples in the place of the concept tokens, measured against that over the "
            "other 4",
        )
    },
    comparisons=AT_EACH_K,
)
def test_concept_tokens_predict_the_average_over_samples(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Sample 8 paths of 4 tokens after each opening, each token from the model's own distribution.

    Value: the Jensen-Shannon divergence, in bits, of the next-token distribution after 4 greedy tokens from the average
    of those after the samples, minus the divergence of the one after 4 concept tokens, which are mixtures of the whole
    distribution. The average is what a model that kept all paths at once would predict.
    """
    prompts = [opening.text for opening in draw_openings(120)]
    found = measure_averages(lm, prompts, POSITIONS, SAMPLES)

    def arm(values: Tensor) -> list[Trial]:
        return trials(prompts, value=values)

    nearer = found.greedy - found.concepts
    own = trials(
        prompts,
        output=found.heaviest,
        value=nearer[:, -1],
        inputs={
            "greedy tokens to average": found.greedy[:, -1],
            "concept tokens to average": found.concepts[:, -1],
        },
        outputs={"greedy tokens": found.texts},
    )
    return Evidence(
        own,
        {
            FLATTENED: arm((found.flattened - found.concepts)[:, -1]),
            ELSEWHERE: arm(found.elsewhere - found.concepts[:, -1]),
            HALVES: arm((found.greedy_to_half - found.half_to_half)[:, -1]),
            **{name: arm(column) for name, column in zip(AT_EACH_K, nearer.T[:-1], strict=True)},
        },
    )
