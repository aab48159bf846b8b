"""Can an untrained model go on from its own hidden states?"""

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
POWER = "60 prompts: holds from 39, refuted up to 21; a true rate of 70 % holds in 84 % of runs"
TOKENS, CONCEPTS, RAW = "greedy tokens", "concept tokens", "raw hidden states"
LAST, FEW = 8, 2


@claim(
    "Raw hidden-state feedback collapses in an untrained model, for most prompts",
    source=COCONUT_TF,
    link=COCONUT_TF_LINK,
    reported=REPORTED,
    rule=rate(above=0.5),
    controls={TOKENS: rate(below=0.5)},
    comparisons=[CONCEPTS],
    power=POWER,
)
def test_raw_hidden_state_feedback_collapses(lm, forking_prompts, traces, feedback_traces):
    """16 times the last hidden state (after the final norm, as the head saw it) goes back in as the next position.

    Collapsed: of the last 8 positions' likeliest tokens at most 2 are different. That is about the generation
    itself; the paper counted solved problems, which small models do not solve. Control: greedy tokens after the
    same prompts, since small models repeat themselves anyway; concept tokens are shown beside.
    """
    return Evidence(
        collapsed(lm, forking_prompts, feedback_traces["raw"]),
        {
            TOKENS: collapsed(lm, forking_prompts, traces["greedy"]),
            CONCEPTS: collapsed(lm, forking_prompts, traces["soft"]),
        },
    )


@claim(
    "Hidden-state feedback collapses in an untrained model even at the length of a token embedding, for most prompts",
    source=COCONUT_TF,
    link=COCONUT_TF_LINK,
    reported=f"{REPORTED}; not said of states scaled to a token's length",
    rule=rate(above=0.5),
    controls={TOKENS: rate(below=0.5)},
    comparisons=[CONCEPTS],
    power=POWER,
)
def test_norm_matched_feedback_collapses(lm, forking_prompts, traces, feedback_traces):
    """As for raw states, but each is scaled to the mean length of a token embedding: then only direction is foreign."""
    return Evidence(
        collapsed(lm, forking_prompts, feedback_traces["norm-matched"]),
        {
            TOKENS: collapsed(lm, forking_prompts, traces["greedy"]),
            CONCEPTS: collapsed(lm, forking_prompts, traces["soft"]),
        },
    )


@claim(
    "Through a ridge-regression aligner untrained hidden-state feedback does not collapse, for most prompts",
    source="Zou et al., Latent Collaboration in Multi-Agent Systems, arXiv 2511.20639 (LatentMAS)",
    link="https://arxiv.org/abs/2511.20639",
    reported="with a closed-form ridge map from the space of last hidden states to that of input embeddings, untrained "
    "models work through latent thoughts, and answer up to 14.6 % better",
    rule=rate(below=0.5),
    positive_controls={RAW: rate(above=0.5)},
    comparisons=[TOKENS, CONCEPTS],
    power=POWER,
)
def test_aligned_feedback_does_not_collapse(lm, forking_prompts, traces, feedback_traces):
    """The aligner is fitted on greedy continuations of other texts: last hidden state to the token decoded there.

    LatentMAS fits its map on the rows of head and embedding table instead. Positive control: raw feedback collapses
    on this model, else there is nothing to prevent. An aligner that says what the greedy token says would not
    collapse either: how many tokens agree with the greedy trace is kept with each trial.
    """
    return Evidence(
        collapsed(lm, forking_prompts, feedback_traces["aligned"], beside=traces["greedy"]),
        {
            RAW: collapsed(lm, forking_prompts, feedback_traces["raw"]),
            TOKENS: collapsed(lm, forking_prompts, traces["greedy"]),
            CONCEPTS: collapsed(lm, forking_prompts, traces["soft"]),
        },
    )


def collapsed(lm, prompts, traces, beside=None):
    """A trial a prompt: its trace has collapsed. Traces that ended before their last 8 positions have not."""
    from vsg_core.thinking import token_of

    trials = []
    for i, (prompt, trace) in enumerate(zip(prompts, traces, strict=True)):
        tokens = [token_of(kept) for kept in trace.steps]
        different = len(set(tokens[-LAST:]))
        inputs = {f"different tokens of the last {LAST}": different}
        if beside is not None:
            inputs["tokens as in the greedy trace"] = sum(
                one == other for one, other in zip(tokens, beside[i].steps, strict=False)
            )
        success = len(tokens) > LAST and different <= FEW
        trials.append(Trial(prompt, output=lm.decode(tokens), success=success, inputs=inputs))
    return trials
