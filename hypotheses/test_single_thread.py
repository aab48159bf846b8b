"""Does one token of a mixture lead the next step?"""

from __future__ import annotations

from fixtures.listed_forks import Fed, Forks
from fixtures.sources import WU
from vsg_core import Evidence, Trial, claim, control, less, more, trials

REVERSED = "after a prompt that ranks the two the other way, less here"


@claim(
    "After a concept token the next distribution is nearer to the branch of its top-1 token than to that of its top-2",
    source=WU,
    reported="on QwQ-32B the divergence from what follows the top-1 token is near 0, from the top-2 token often the "
    "largest there is",
    identity=True,
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="bits",
    comparisons={
        "0.6 to 0.4": "the two tokens alone, 0.6 of the top-1 token and 0.4 of the top-2 token",
        "0.5 to 0.5": "the two tokens alone, half of each",
        "0.4 to 0.6": "the two tokens alone, 0.4 of the top-1 token and 0.6 of the top-2 token",
    },
    no_control="the value already subtracts the divergence to the other branch; exchanged weights should "
    "reverse the effect, not remove it, so that arm is a comparison",
)
def test_top1_dominates_the_next_step(forks: Forks) -> Evidence:
    """Value, in bits: the Jensen-Shannon divergence to the top-2 branch minus that to the top-1 branch.

    The concept token is the study's, after prompts whose top-1 probability is under 0.6; a branch is the same prompt,
    then that token. A heavier token should count for more because of its weight alone: the comparisons lower that
    weight, and the next claim is about what weight leaves open.
    """
    return Evidence(
        leads(forks, forks.concept),
        {
            "0.6 to 0.4": leads(forks, forks.peaked),
            "0.5 to 0.5": leads(forks, forks.even),
            "0.4 to 0.6": leads(forks, forks.swapped),
        },
    )


@claim(
    "Of two tokens with equal weights the more probable one dominates the next step",
    source=WU,
    reported="models rely on the token of the highest probability; equal weights, which "
    "would separate probability from weight, were not tried",
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="bits",
    controls={
        REVERSED: control(
            less(),
            "the lead after the next prompt that finds the second token more likely, minus that after this one",
        )
    },
    comparisons={"0.4 to 0.6": "0.4 of the more probable token and 0.6 of the other"},
)
def test_top1_dominates_beyond_its_weight(forks: Forks) -> Evidence:
    """As for the concept token, with half of each of the prompt's two most probable tokens.

    A longer embedding, or a branch that is flat, may draw the mixture to one token in any context. So the same mixture
    in another context must lead to the first token less.
    """
    elsewhere = forks.reversed_lead.double() - forks.even.lead
    return Evidence(
        leads(forks, forks.even),
        {REVERSED: trials(forks.prompts, value=elsewhere), "0.4 to 0.6": leads(forks, forks.swapped)},
    )


def leads(forks: Forks, fed: Fed) -> list[Trial]:
    """One trial per fork: how much nearer a mixture leads to the first branch than to the second."""
    return trials(
        forks.prompts,
        output=fed.follows,
        value=fed.lead,
        mixture=fed.spelled,
        inputs={
            "probabilities of the two": forks.probabilities,
            "bits to the first branch": fed.to_first,
            "bits to the second": fed.to_second,
            "bits from branch to branch": forks.apart,
        },
        outputs={"first branch": forks.first_follows, "second branch": forks.second_follows},
    )
