"""What do thoughts in concept tokens hold, against those in hidden states and in tokens?"""

from __future__ import annotations

from fixtures.sources import LATENT_SFT
from fixtures.thoughts import (
    AT_LENGTH,
    MIXTURES,
    OWN_TOKENS,
    RAW,
    READS_TOKENS,
    SHORTER,
    TOKENS,
    Asked,
    Thoughts,
)
from vsg_core import Evidence, claim, doses, rate

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
