"""What of a thought in concept tokens does its answer depend on?"""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.sources import COCONUT, ILLUSION, SOFT_THINKING, WU
from fixtures.worked import NEARLY_ONE, Attempts, GivenBack, WorkedProblems, shares_saved
from vsg_core import (
    Evidence,
    Source,
    Trial,
    cannot,
    claim,
    control,
    difference,
    rate,
    sometimes,
    trials,
)

MIXED = "mixtures that are not nearly one token"


@claim(
    "The number that answers a word problem changes in fewer than 5 % of cases if only the heaviest token of every "
    "concept token of the thought is kept",
    source=Source(f"{WU.text}; {ILLUSION.text}", WU.link),
    reported="models rely predominantly on the most probable component of a soft input (Wu et al., on three models of "
    "32B); off-the-shelf models collapse mixtures to one interpretation within the first layers (Rizvi-Martel et al.); "
    "neither abstract gives the share of answers that change",
    rule=rate(below=0.05, trials=100),
    positive_controls={
        MIXED: control(
            difference(above=0.3, trials=100),
            "share of a thought's concept tokens whose heaviest token weighs less than 0.9",
        )
    },
    controls={
        "the heaviest dropped": control(
            rate(above=0.05, trials=100),
            "the others are kept instead: if that changes as few answers, they do not depend on the concept tokens",
        )
    },
    comparisons={
        "solved after whole mixtures": "thoughts in the mixtures of vanilla Soft Thinking",
        "solved after the heaviest tokens": "the same thoughts, of which only the heaviest tokens are left",
    },
)
def test_dropping_all_but_the_heaviest_keeps_the_answer(
    worked_problems: WorkedProblems, given_back: GivenBack
) -> Evidence:
    """Success: the first number of the answer is another one, or only one of the answers has a number.

    The mixtures are written by vanilla Soft Thinking and then replaced in the finished thought, so that both thoughts
    have as many positions and the same text. Greedy decoding is something else, since each of its tokens follows
    those that it chose before. Where it wrote the same tokens, though, its answer is the one after the heaviest
    tokens, and is used for it. 216 problems hold up to 4 changed answers and are refuted from 18.
    """
    worked, soft = worked_problems, worked_problems.soft
    few = soft.head(len(given_back.rest.problems))
    return Evidence(
        changed(soft, given_back.heaviest, worked),
        {
            MIXED: trials(
                soft.questions,
                output=soft.traces,
                value=[share_below(weights, NEARLY_ONE) for weights in worked.heaviest_weights],
            ),
            "the heaviest dropped": changed(few, given_back.rest, worked),
            "solved after whole mixtures": solved(soft),
            "solved after the heaviest tokens": solved(given_back.heaviest),
        },
    )


def share_below(weights: Sequence[float], limit: float) -> float:
    """The share of weights below a limit; 0 if there are none."""
    return sum(weight < limit for weight in weights) / len(weights) if weights else 0.0


def changed(attempts: Attempts, others: Attempts, worked: WorkedProblems) -> list[Trial]:
    """One trial per problem: the first number of the answer is not that after the whole mixtures."""
    return trials(
        attempts.questions,
        output=others.answers,
        success=[one != other for one, other in zip(attempts.numbers, others.numbers, strict=True)],
        inputs={
            "thought": attempts.traces,
            "weights of the heaviest": [
                [round(weight, 3) for weight in weights]
                for weights in worked.heaviest_weights[: len(attempts.problems)]
            ],
        },
        outputs={"after whole mixtures": attempts.answers},
    )


def solved(attempts: Attempts) -> list[Trial]:
    """One trial per problem: it is solved."""
    return trials(attempts.questions, output=attempts.answers, success=attempts.solved)


OTHER, NONE = "another problem's concept tokens", "no thought"


@claim(
    "A thought in concept tokens solves no more word problems than the concept tokens of another problem do",
    source=Source(f"{COCONUT.text}; {ILLUSION.text}", COCONUT.link),
    reported="pause tokens in place of Coconut's continuous thoughts reached 24.1 of its 34.1 % on GSM8k, 100.0 of "
    "99.8 % on ProntoQA and 96.6 of 97.0 % on ProsQA (table 1, on GPT-2 trained for it); Coconut answered 96.6 % with "
    "no latent token at all (Rizvi-Martel et al., ICLR workshop)",
    rule=cannot(over=OTHER, trials=100),
    positive_controls={
        "greedy tokens": control(
            rate(above=0, over=NONE, trials=100), "thoughts in greedy tokens, which must help over no thought"
        )
    },
    controls={
        "own concept tokens against no thought": control(
            rate(above=0, over=NONE, trials=100),
            "if these are not above it, another problem's only do harm",
            protects="refuted",
        )
    },
    comparisons={
        OTHER: "the thought of the problem half the list away, of which the question stays in sight",
        NONE: "the answer follows the question at once",
        "shuffled": "the problem's own concept tokens in a random order",
        "full stops": "as many full stops",
        "noise": "Gaussian vectors with the norms of the problem's own concept tokens",
    },
)
def test_own_concept_tokens_help_no_more_than_others(
    worked_problems: WorkedProblems, given_back: GivenBack
) -> Evidence:
    """Success: the problem is solved after its own thought in the mixtures of vanilla Soft Thinking.

    The problems are those that all claims about word problems share, for shuffled ones, full stops and noise the first
    100. Every thought is given back as it is, followed by "Answer:" and greedy tokens; thoughts have about 13
    positions. The interval of 216 pairs is about ±4 points wide where the two arms disagree on 9 problems in 100.
    """
    soft, given = worked_problems.soft, given_back
    return Evidence(
        solved(soft),
        {
            "greedy tokens": solved(worked_problems.greedy),
            "own concept tokens against no thought": solved(soft),
            OTHER: solved(given.other),
            NONE: solved(given.none),
            "shuffled": solved(given.shuffled),
            "full stops": solved(given.full_stops),
            "noise": solved(given.noise),
        },
    )


WHOLE, AT_RANDOM = "whole thoughts", "stopped at random"


@claim(
    "Cold Stop, set so that it saves a fifth of the positions of short thoughts in mixtures, loses fewer than 5 in 100 "
    "word problems",
    source=SOFT_THINKING("abstract and table 3"),
    reported="up to 22.4 % fewer tokens than chains of thought at a mean pass@1 of up to 2.48 points more, in thoughts "
    "of thousands of tokens on models of 32B and 70B; an author calls it a stopping strategy, which does not improve "
    "performance (issue 6 of their repository)",
    rule=rate(above=-0.05, over=WHOLE, trials=100),
    positive_controls={
        WHOLE: control(sometimes(trials=100), "thoughts that end by themselves solve problems"),
        "positions saved": control(
            difference(above=0.1, trials=100),
            "share of a thought's positions; the setting is chosen so that the mean is at least a fifth",
        ),
    },
    controls={
        "Cold Stop against stopping at random": control(
            rate(above=0, over=AT_RANDOM, trials=100),
            "if it solves no more, any stop that saves as much would do",
        )
    },
    comparisons={
        AT_RANDOM: "thoughts cut by the shares that Cold Stop saved of others, dealt out at random",
    },
)
def test_cold_stop_saves_a_fifth_at_equal_accuracy(
    worked_problems: WorkedProblems, given_back: GivenBack
) -> Evidence:
    """Success: the problem is solved after a thought in mixtures that Cold Stop ended.

    Cold Stop ends a thought when a number of distributions in a row have less than a limit. The authors wait for 256
    below 0.01 nats, in thoughts of thousands of positions. Here it waits for 2, and the limit is the lowest that saves
    a fifth of the positions on average, whatever it does to the answers; the trials name it. A thought that Cold Stop
    does not end is the whole thought, whose answer counts.
    """
    soft, given = worked_problems.soft, given_back
    wholes = [len(thought.steps) for thought in soft.thoughts]

    def arm(attempts: Attempts, lengths: list[int]) -> list[Trial]:
        return trials(
            soft.questions,
            output=attempts.answers,
            success=attempts.solved,
            inputs={"positions": lengths, "of": wholes, "limit in bits": [given.limit] * len(wholes)},
            outputs={"whole thought": soft.text},
        )

    cold = arm(given.cold, given.lengths)
    return Evidence(
        cold,
        {
            WHOLE: solved(soft),
            "positions saved": trials(soft.questions, value=shares_saved(given.lengths, wholes)),
            "Cold Stop against stopping at random": cold,
            AT_RANDOM: arm(given.at_random, given.dealt),
        },
    )
