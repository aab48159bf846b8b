"""Does one token of a mixture lead the next step?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, difference

WU = "Wu et al., LLMs are Single-threaded Reasoners, arXiv 2508.03440"
WU_LINK = "https://arxiv.org/abs/2508.03440"
ELSEWHERE = "after a prompt that ranks the two the other way, less here"


@claim(
    "After a concept token the next distribution is nearer to the branch of its top-1 token than to that of its top-2",
    source=WU,
    link=WU_LINK,
    reported="on QwQ-32B the divergence from what follows the top-1 token is near 0, from the top-2 token often the "
    "largest there is",
    rule=difference(above=0.0),
    comparisons=["0.6 to 0.4", "0.5 to 0.5", "0.4 to 0.6"],
)
def test_top1_dominates_the_next_step(lm, forks):
    """Value, in bits: the Jensen-Shannon divergence to the top-2 branch less that to the top-1 branch.

    The concept token is the study's, after prompts whose top-1 probability is under 0.6; a branch is the same
    prompt, then that token. That the heavier token counts for more is what its weight says: the comparisons mix
    the two tokens alone, at weights that go down to 0.4, and the next claim is about what the weight leaves open.
    """
    from fixtures.forks import CONCEPT, MIXES

    return Evidence(
        [fork_trial(lm, fork, CONCEPT) for fork in forks],
        {mix: [fork_trial(lm, fork, mix) for fork in forks] for mix in MIXES},
    )


@claim(
    "Of two tokens that weigh the same the likelier one dominates the next step",
    source=WU,
    link=WU_LINK,
    reported="models rely on the token of the highest probability; equal weights, which tell the two apart, not tried",
    rule=difference(above=0.0),
    controls={ELSEWHERE: difference(below=0.0)},
    comparisons=["0.4 to 0.6"],
)
def test_top1_dominates_beyond_its_weight(lm, forks):
    """As for the concept token, with half of each of the prompt's two likeliest tokens: what weight cannot explain.

    A longer embedding, or a branch that is flat, may draw the mixture to one token in any context. Control: the
    same two tokens, half and half, after the next prompt on the list that finds the second likelier, must lead
    to the first less than they do here. The comparison gives the second the greater weight.
    """
    from fixtures.forks import EVEN, SWAPPED

    return Evidence(
        [fork_trial(lm, fork, EVEN) for fork in forks],
        {
            ELSEWHERE: [Trial(fork.prompt, value=fork.reversed_lead - fork.lead(EVEN)) for fork in forks],
            SWAPPED: [fork_trial(lm, fork, SWAPPED) for fork in forks],
        },
    )


def fork_trial(lm, fork, mix):
    """How much nearer a mixture leads to the first branch than to the second."""
    from fixtures.forks import FIRST, SECOND

    inputs = {
        "mixture": fork.mixture(lm, mix),
        "probabilities of the two": fork.probabilities,
        "bits to the first branch": fork.to_first[mix],
        "bits to the second": fork.to_second[mix],
        "bits from branch to branch": fork.apart,
    }
    outputs = {FIRST: fork.follows[FIRST], SECOND: fork.follows[SECOND]}
    return Trial(fork.prompt, fork.follows[mix], value=fork.lead(mix), inputs=inputs, outputs=outputs)


@claim(
    "After an even mixture of two tokens the next distribution is nearer to the blend of both branches than to either",
    source="Shen et al., Superposed Decoding, arXiv 2405.18400",
    link="https://arxiv.org/abs/2405.18400",
    reported="one pass over superposed embeddings serves several drafts, which read as well as sampled ones",
    rule=difference(above=0.0),
    controls={"noise as near to the blend": difference(below=0.0)},
)
def test_even_mixture_follows_the_blend(lm, forks):
    """The rival of top-1 dominance. Value, in bits: the divergence to the nearer branch less that to the even blend.

    A blend is flat, and whatever is flat is near it. Control: the divergence of the mixture to the blend less that
    of noise in its place, as long as the mixture.
    """
    from fixtures.forks import EVEN, NOISE

    trials, noise = [], []
    for fork in forks:
        nearer = min(fork.to_first[EVEN], fork.to_second[EVEN])
        inputs = {
            "mixture": fork.mixture(lm, EVEN),
            "bits to the nearer branch": nearer,
            "bits to the blend": fork.to_blend[EVEN],
            "bits from branch to branch": fork.apart,
        }
        outputs = {NOISE: fork.follows[NOISE]}
        value = nearer - fork.to_blend[EVEN]
        trials.append(Trial(fork.prompt, fork.follows[EVEN], value=value, inputs=inputs, outputs=outputs))
        noise.append(Trial(fork.prompt, value=fork.to_blend[EVEN] - fork.to_blend[NOISE]))
    return Evidence(trials, {"noise as near to the blend": noise})
