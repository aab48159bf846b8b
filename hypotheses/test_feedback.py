"""Can a model go on from its own hidden states without training for it?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, rate

COCONUT_TF = (
    "Zhang et al., Soft Thinking, arXiv 2505.15778, table 3 (COCONUT-TF); the method is of arXiv 2412.06769"
)
COCONUT_TF_LINK = "https://arxiv.org/abs/2505.15778"
REPORTED = (
    "QwQ-32B, untrained for it and fed its raw states, solved none of the problems of two benchmarks and ran to the "
    "limit of 32,768 tokens each time"
)
TOKENS, CONCEPTS, DRAWN, RAW = "greedy tokens", "concept tokens", "drawn tokens", "raw hidden states"
LAST, FEW = 8, 2


@claim(
    "Raw hidden-state feedback collapses in a model not trained for it, into repetition or into text that the model "
    "itself finds unlikely, for most prompts",
    source=COCONUT_TF,
    link=COCONUT_TF_LINK,
    reported=REPORTED,
    rule=rate(above=0.5),
    controls={TOKENS: rate(below=0.5), DRAWN: rate(below=0.5)},
    comparisons=[CONCEPTS, "by repetition alone"],
)
def test_raw_hidden_state_feedback_collapses(lm, forking_prompts, feedback):
    """16 times the last hidden state (after the final norm, as the head saw it) goes back in as the next position.

    What was written is the likeliest token at each position. Collapsed: at most 2 different ones among the last 8,
    or a text that costs the model more bits a token, after its prompt, than 95 of 100 texts drawn from it at
    temperature 1 do. That is about the generation itself; the paper counted solved problems, which small models do
    not solve. Controls: greedy tokens after the same prompts, since small models repeat themselves anyway, and drawn
    ones, of which one in twenty is unlikely by construction. Concept tokens are shown beside.
    """
    return Evidence(
        collapsed(lm, forking_prompts, feedback, "raw"), arms(lm, forking_prompts, feedback, "raw")
    )


@claim(
    "Hidden-state feedback collapses in a model not trained for it even at the length of a token embedding, for most "
    "prompts",
    source=COCONUT_TF,
    link=COCONUT_TF_LINK,
    reported=f"{REPORTED}; not said of states at a token's length, which is about what LatentMAS (arXiv 2511.20639) "
    "feeds back where head and embedding table are the same, and which is said to work",
    rule=rate(above=0.5),
    controls={TOKENS: rate(below=0.5), DRAWN: rate(below=0.5)},
    comparisons=[CONCEPTS, "by repetition alone"],
)
def test_norm_matched_feedback_collapses(lm, forking_prompts, feedback):
    """As for raw states, but each is scaled to the mean length of a token embedding: then only direction is foreign."""
    return Evidence(
        collapsed(lm, forking_prompts, feedback, "norm-matched"),
        arms(lm, forking_prompts, feedback, "norm-matched"),
    )


@claim(
    "Through a ridge-regression aligner hidden-state feedback does not collapse in a model not trained for it, for "
    "most prompts",
    source="Zou et al., Latent Collaboration in Multi-Agent Systems, arXiv 2511.20639 (LatentMAS)",
    link="https://arxiv.org/abs/2511.20639",
    reported="with a closed-form ridge map from the space of last hidden states to that of input embeddings, untrained "
    "models work through latent thoughts, and answer up to 14.6 % better",
    rule=rate(below=0.5),
    positive_controls={RAW: rate(above=0.5)},
    comparisons=[TOKENS, CONCEPTS, DRAWN, "by repetition alone"],
)
def test_aligned_feedback_does_not_collapse(lm, forking_prompts, feedback):
    """The aligner is theirs: a ridge regression from the rows of the head to those of the embedding table, and then
    the mean length of a token embedding.

    Where head and table are the same it changes only the length, and this is the claim before, the other way round.
    Positive control: raw feedback collapses on this model, else there is nothing to prevent. An aligner that says
    what the greedy token says would not collapse either: how many tokens agree is kept with each trial.
    """
    return Evidence(
        collapsed(lm, forking_prompts, feedback, "aligned"),
        {
            **arms(lm, forking_prompts, feedback, "aligned"),
            RAW: collapsed(lm, forking_prompts, feedback, "raw"),
        },
    )


def arms(lm, prompts, feedback, kind):
    """What stands beside states fed back: tokens, concept tokens, and the states by repetition alone."""
    beside = {TOKENS: "greedy", CONCEPTS: "soft", DRAWN: "drawn"}
    return {
        **{name: collapsed(lm, prompts, feedback, other) for name, other in beside.items()},
        "by repetition alone": [
            Trial(prompt, lm.decode(tokens), success=repeats(tokens))
            for prompt, tokens in zip(prompts, feedback.tokens[kind], strict=True)
        ],
    }


def collapsed(lm, prompts, feedback, kind):
    """A trial a prompt: its text repeats itself, or is one that the model finds unlikely."""
    trials = []
    texts = zip(prompts, feedback.tokens[kind], feedback.bits[kind], feedback.tokens["greedy"], strict=True)
    for prompt, tokens, bits, greedy in texts:
        inputs = {
            f"different tokens of the last {LAST}": len(set(tokens[-LAST:])),
            "bits a token": bits,
            "unlikely from": feedback.unlikely,
            "tokens as in the greedy text": sum(a == b for a, b in zip(tokens, greedy, strict=False)),
        }
        unlikely = bits is not None and bits > feedback.unlikely
        trials.append(Trial(prompt, lm.decode(tokens), success=repeats(tokens) or unlikely, inputs=inputs))
    return trials


def repeats(tokens):
    """Whether the last 8 tokens are at most 2 different ones; a text that ended before them does not repeat itself."""
    return len(tokens) > LAST and len(set(tokens[-LAST:])) <= FEW
