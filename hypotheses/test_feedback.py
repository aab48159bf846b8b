"""Can a model continue from its own hidden states without training for it?"""

from __future__ import annotations

from operator import eq

from fixtures.generation import Feedback, Texts
from fixtures.sources import LATENT_MAS, SOFT_THINKING
from vsg_core import Evidence, Trial, claim, control, mostly, not_mostly, trials

COCONUT_TF = SOFT_THINKING("table 3 (COCONUT-TF); the method is of arXiv 2412.06769")
REPORTED = (
    "QwQ-32B, untrained for it and fed its raw states, solved none of the problems of two benchmarks and ran to the "
    "limit of 32,768 tokens each time"
)
TOKENS = "greedy tokens after the same prompts, because small models repeat themselves anyway"
DRAWN = "tokens drawn at temperature 1: by construction, one text in twenty is unlikely"
CONTROLS = {"greedy tokens": control(not_mostly(), TOKENS), "drawn tokens": control(not_mostly(), DRAWN)}
CONCEPTS = "concept tokens of vanilla Soft Thinking after the same prompts"
REPETITION = {"by repetition alone": "the claim's own texts, counted only if they repeat themselves"}


@claim(
    "Raw hidden-state feedback collapses in a model not trained for it, into repetition or into text that the model "
    "itself finds unlikely, for most prompts",
    source=COCONUT_TF,
    reported=REPORTED,
    rule=mostly(),
    controls=CONTROLS,
    comparisons={"concept tokens": CONCEPTS, **REPETITION},
)
def test_raw_hidden_state_feedback_collapses(forking_prompts: list[str], feedback: Feedback) -> Evidence:
    """Feed the last hidden state (after the final norm) back as the next position, 16 times.

    The text is the most probable token at each position. It has collapsed if its last 8 tokens are at most 2 different
    ones, or if it costs the model more bits per token than 95 of 100 texts drawn after these prompts do. The paper
    counted solved problems, which small models do not solve; this measures the generation itself.
    """
    return collapse(forking_prompts, feedback, feedback.raw)


@claim(
    "Hidden-state feedback collapses in a model not trained for it even at the length of a token embedding, for most "
    "prompts",
    source=COCONUT_TF,
    reported=f"{REPORTED}; it reports nothing for states at a token's length, which are about what LatentMAS (arXiv "
    "2511.20639) feeds back where head and embedding table are the same, reportedly with success",
    rule=mostly(),
    controls=CONTROLS,
    comparisons={"concept tokens": CONCEPTS, **REPETITION},
)
def test_norm_matched_feedback_collapses(forking_prompts: list[str], feedback: Feedback) -> Evidence:
    """Scale each state to the mean length of a token embedding, so that only its direction is unfamiliar."""
    return collapse(forking_prompts, feedback, feedback.norm_matched)


@claim(
    "Through a ridge-regression aligner hidden-state feedback does not collapse in a model not trained for it, for "
    "most prompts",
    source=LATENT_MAS,
    reported="with a closed-form ridge map from the space of last hidden states to that of input embeddings, untrained "
    "models work through latent thoughts, and answer up to 14.6 % better",
    rule=not_mostly(),
    positive_controls={
        "raw hidden states": control(
            mostly(), "states fed back raw: without a collapse there is none to prevent"
        )
    },
    comparisons={"greedy tokens": TOKENS, "concept tokens": CONCEPTS, "drawn tokens": DRAWN, **REPETITION},
    no_control="the arm that must behave differently, raw hidden states, is the positive control: without a "
    "collapse there is none to prevent",
)
def test_aligned_feedback_does_not_collapse(forking_prompts: list[str], feedback: Feedback) -> Evidence:
    """Map each state by LatentMAS's ridge regression from the head's rows to the embedding table's, then scale it.

    If head and table are the same, the map changes only the length: this is then the opposite of the previous claim.
    An aligner that repeats the greedy tokens would not collapse either: each trial counts the tokens that agree.
    """
    evidence = collapse(forking_prompts, feedback, feedback.aligned)
    raw = collapsed(forking_prompts, feedback, feedback.raw)
    return Evidence(evidence.trials, {"raw hidden states": raw, **evidence.arms})


def collapse(prompts: list[str], feedback: Feedback, texts: Texts) -> Evidence:
    """The collapse of the texts and of the baselines, and that of the texts by repetition alone."""
    baselines = {
        "greedy tokens": feedback.greedy,
        "drawn tokens": feedback.drawn,
        "concept tokens": feedback.soft,
    }
    arms = {name: collapsed(prompts, feedback, baseline) for name, baseline in baselines.items()}
    arms["by repetition alone"] = trials(prompts, output=texts.text, success=texts.repeats)
    return Evidence(collapsed(prompts, feedback, texts), arms)


def collapsed(prompts: list[str], feedback: Feedback, texts: Texts) -> list[Trial]:
    """One trial per prompt: its text repeats itself, or the model finds it unlikely."""
    as_greedy = [sum(map(eq, *pair)) for pair in zip(texts.tokens, feedback.greedy.tokens, strict=True)]
    return trials(
        prompts,
        output=texts.text,
        success=feedback.collapsed(texts),
        inputs={
            "different tokens of the last 8": texts.different_at_the_end,
            "bits a token": texts.bits,
            "unlikely from": [feedback.unlikely] * len(prompts),
            "tokens as in the greedy text": as_greedy,
        },
    )
