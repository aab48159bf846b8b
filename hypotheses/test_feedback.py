"""Does a thought in hidden states, fed back without training for it, hold the answer?"""

from __future__ import annotations

from fixtures.sources import LATENT_MAS, SOFT_THINKING
from fixtures.thoughts import (
    ALIGNED,
    AT_LENGTH,
    FEWEST,
    NOTHING,
    OWN_TOKENS,
    RANDOM,
    RAW,
    READS_TOKENS,
    READS_TOKENS_AS_LONG,
    TOKENS,
    TOKENS_AS_LONG,
    Asked,
    Thoughts,
)
from vsg_core import (
    Evidence,
    LanguageModel,
    NotApplicable,
    Trial,
    cannot,
    claim,
    control,
    mostly,
    rate,
)

COCONUT_TF = SOFT_THINKING("table 3 (COCONUT-TF); the method is of arXiv 2412.06769")
SOLVED_NONE = (
    "QwQ-32B, untrained for it and fed its raw states with the prompt in sight, solved none of the problems of two "
    "benchmarks and ran to the limit of 32,768 tokens each time"
)
THINKS = (
    "with the prompt in sight, untrained models work through latent thoughts, and answer up to 14.6 % better; the "
    "states go through a closed-form ridge map from the head's rows to the embedding table's"
)
# A twentieth of the range of a rate
MATTERS = 0.05
ANOTHER = "another fact's states"
NO_CONTROL = "the rate is over that after another fact's states, read in the same frame"


@claim(
    "In place of the prompt, 8 raw hidden states do not tell the model the answer to a fact: it names the answer "
    "hardly more often than after another fact's states",
    source=COCONUT_TF,
    reported=SOLVED_NONE,
    rule=cannot(over=ANOTHER, trials=FEWEST),
    positive_controls=READS_TOKENS_AS_LONG,
    comparisons={
        ANOTHER: "the 8 states of a fact with another answer, of the same relation where there is one",
        OWN_TOKENS: "8 greedy tokens in the place of the thought, at their own length",
    },
    no_control=NO_CONTROL,
)
def test_raw_hidden_states_do_not_tell_the_answer(thoughts: Thoughts) -> Evidence:
    """Feed the last hidden state (after the final norm) back 8 times, and read the 8 vectors without their prompt.

    Their frame has three worked examples: "Note: <8 vectors> Answer:". An answer counts if its first line names the
    fact's answer. Asked of facts whose answer the model's own greedy tokens begin with, so that the first state is the
    one from which it predicts the answer's first token. Raw states are many times as long as an embedding: where the
    tokens of the answer cannot be read at that length either, the claim does not apply, since what is lost may be due
    to the length alone. What a state adds where the prompt stays in sight is another claim.
    """
    evidence = alone(thoughts, RAW)
    return Evidence(
        evidence.trials, {**evidence.arms, TOKENS_AS_LONG: thoughts.trials(Asked(TOKENS_AS_LONG))}
    )


@claim(
    "In place of the prompt, 8 hidden states at the length of a token's embedding tell the model the answer to a "
    "fact: it names the answer more often than after another fact's states",
    source=LATENT_MAS,
    reported=f"{THINKS}, which changes nothing but the length where head and table are the same",
    rule=rate(above=0, over=ANOTHER, trials=40, matters=MATTERS),
    positive_controls=READS_TOKENS,
    comparisons={
        ANOTHER: "the 8 states of a fact with another answer, of the same relation where there is one"
    },
    no_control=NO_CONTROL,
)
def test_states_at_token_length_tell_the_answer(thoughts: Thoughts) -> Evidence:
    """Scale each state to the mean length of a token's embedding, feed it back, and read 8 without the prompt.

    The tokens of the positive control are of that length on average.
    """
    return alone(thoughts, AT_LENGTH)


@claim(
    "In place of the prompt, 8 hidden states mapped by ridge regression from the head's rows to the embeddings tell "
    "the model the answer to a fact: it names the answer more often than after another fact's states",
    source=LATENT_MAS,
    reported=THINKS,
    rule=rate(above=0, over=ANOTHER, trials=40, matters=MATTERS),
    positive_controls=READS_TOKENS,
    comparisons={
        ANOTHER: "the 8 states of a fact with another answer, of the same relation where there is one"
    },
    no_control=NO_CONTROL,
)
def test_aligned_states_tell_the_answer(lm: LanguageModel, thoughts: Thoughts) -> Evidence:
    """Map each state as LatentMAS does, feed it back, and read 8 of them without the prompt.

    Where head and table are the same, the map changes the length alone, which is the claim about a token's length.
    """
    if Asked(ALIGNED) not in thoughts.answers:
        raise NotApplicable(
            f"the head of {lm.name} has the directions of its embedding table: the map changes the length alone"
        )
    return alone(thoughts, ALIGNED)


def alone(thoughts: Thoughts, way: str) -> Evidence:
    """The answers after thoughts without their prompts, after others' thoughts, and after greedy tokens."""
    return Evidence(
        thoughts.trials(Asked(way)),
        {
            OWN_TOKENS: thoughts.trials(Asked(TOKENS)),
            ANOTHER: thoughts.trials(Asked(way, another=True)),
        },
    )


@claim(
    "After 8 raw hidden states, with the prompt in sight, the model names the answer to a fact less often than right "
    "after the prompt",
    source=COCONUT_TF,
    reported=SOLVED_NONE,
    rule=rate(below=0, over=NOTHING, trials=40, matters=MATTERS),
    controls={
        RANDOM: control(
            mostly(), "8 random tokens in the place of the states: any 8 positions may cost answers"
        )
    },
    comparisons={
        NOTHING: "the question right after the prompt",
        TOKENS: "8 greedy tokens in the place of the states",
    },
)
def test_raw_hidden_states_cost_the_answer(thoughts: Thoughts) -> Evidence:
    """Ask "Note: <the beginning of a fact> <8 raw states> Answer:" after three worked examples.

    Whatever is put between a prompt and its question may distract, so random tokens must leave most answers as they are
    before a loss is put down to the states.
    """
    return Evidence(
        in_sight(thoughts, RAW),
        {
            RANDOM: in_sight(thoughts, RANDOM),
            NOTHING: in_sight(thoughts, NOTHING),
            TOKENS: in_sight(thoughts, TOKENS),
        },
    )


@claim(
    "With the prompt in sight, the model names the answer to a fact more often after 8 hidden states of its own, at "
    "the length of a token's embedding, than after another fact's",
    source=LATENT_MAS,
    reported=THINKS,
    rule=rate(above=0, over=ANOTHER, trials=40, matters=MATTERS),
    positive_controls={
        OWN_TOKENS: control(
            rate(above=0, over="another fact's greedy tokens", trials=40),
            "8 greedy tokens in the place of the states: a model that answers from the prompt whatever comes after it "
            "shows nothing",
        )
    },
    comparisons={
        ANOTHER: "the 8 states of a fact with another answer, of the same relation where there is one",
        "another fact's greedy tokens": "the 8 greedy tokens of that fact",
        NOTHING: "the question right after the prompt",
    },
    no_control="the rate is over that after another fact's states, which disturb as much and say something else",
)
def test_own_states_serve_in_sight_of_the_prompt(thoughts: Thoughts) -> Evidence:
    """Ask as above, with the states of the fact itself or of another between the prompt and the question.

    This is how latent thoughts are used. Another fact's states may also mislead, so the claim is about a difference
    that the content of the states makes, not about a gain: for that, compare with no thought.
    """
    return Evidence(
        in_sight(thoughts, AT_LENGTH),
        {
            OWN_TOKENS: in_sight(thoughts, TOKENS),
            ANOTHER: in_sight(thoughts, AT_LENGTH, another=True),
            "another fact's greedy tokens": in_sight(thoughts, TOKENS, another=True),
            NOTHING: in_sight(thoughts, NOTHING),
        },
    )


def in_sight(thoughts: Thoughts, way: str, another: bool = False) -> list[Trial]:
    """The answers after thoughts that follow their prompt, or another's."""
    return thoughts.trials(Asked(way, another, in_sight=True))
