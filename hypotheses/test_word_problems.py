"""Does thinking in mixtures solve more problems?"""

from __future__ import annotations

import re

from vsg_core import Evidence, NotApplicable, Trial, claim, difference, rate

SOFT_THINKING = "Zhang et al., Soft Thinking, arXiv 2505.15778"
SOFT_THINKING_LINK = "https://arxiv.org/abs/2505.15778"
OWN = "the effect of Cold Stop alone"
COLD = "with Cold Stop after 4 steps"
ENDED = "thoughts that Cold Stop ends after their sum"
CAN = {"greedy tokens": rate(above=0.1, trials=100)}


@claim(
    "Soft Thinking solves more small arithmetic word problems than sampling does",
    source=SOFT_THINKING,
    link=SOFT_THINKING_LINK,
    reported="on three models of 32B and 70B the mean pass@1 on four mathematical benchmarks rose by up to 2.48 points "
    "over sampled chains of thought (83.84 to 86.32 on QwQ-32B); the readme warns of models up to 14B",
    rule=difference(above=0.0, trials=100),
    positive_controls=CAN,
    comparisons=["sampled tokens", "Soft Thinking", COLD],
)
def test_soft_thinking_beats_sampling(word_problems, worked_problems):
    """Value: 1 where Soft Thinking solves the problem, less the share of two sampled thoughts that do.

    Three worked examples, then the problem; a thought of up to 40 positions, ended by a new line; then "Answer:"
    and greedy tokens. Both think at temperature 0.6 with the same top_k, top_p and min_p, one mixing the weights
    that the other draws from. Cold Stop as its authors set it waits for 256 confident steps in a row, so it never
    ends a thought as short as these; scaled down to 4 it is shown beside. Positive control: greedy thoughts solve
    more than a tenth, where another problem's answer would be right 3 times in 100. Greedy tokens may beat sampled
    ones by themselves: whether mixtures do better than those is the next claim.
    """
    solved = scored(word_problems, worked_problems)
    sampled = [
        (one + other) / 2 for one, other in zip(solved["sampled"], solved["sampled again"], strict=True)
    ]
    return Evidence(
        differences(word_problems, worked_problems, solved, "soft", ["sampled", "sampled again"]),
        {
            "greedy tokens": arm(word_problems, worked_problems, solved, "greedy"),
            "Soft Thinking": arm(word_problems, worked_problems, solved, "soft"),
            COLD: arm(word_problems, worked_problems, solved, "soft cold"),
            "sampled tokens": [
                Trial(problem.question, output=thought.answer, value=share)
                for problem, thought, share in zip(
                    word_problems, worked_problems["sampled"], sampled, strict=True
                )
            ],
        },
    )


@claim(
    "Soft Thinking solves more small arithmetic word problems than greedy decoding does",
    source=f"{SOFT_THINKING}; against it Wu et al., arXiv 2508.03440",
    link=SOFT_THINKING_LINK,
    reported="greedy decoding fell behind it, on code by over 10 points for one model; Wu et al. found vanilla Soft "
    "Thinking to score about as greedy decoding does, on three models of 32B",
    rule=difference(above=0.0, trials=100),
    positive_controls=CAN,
    comparisons=["Soft Thinking", COLD],
)
def test_soft_thinking_beats_greedy_decoding(word_problems, worked_problems):
    """Value: 1 where Soft Thinking solves the problem, less 1 where a greedy thought does; otherwise as above."""
    solved = scored(word_problems, worked_problems)
    cells = {"greedy tokens": "greedy", "Soft Thinking": "soft", COLD: "soft cold"}
    arms = {name: arm(word_problems, worked_problems, solved, cell) for name, cell in cells.items()}
    return Evidence(differences(word_problems, worked_problems, solved, "soft", ["greedy"]), arms)


@claim(
    "Cold Stop, scaled to short thoughts, raises the share of word problems solved by more than mixing does",
    source=f"{SOFT_THINKING}, table 3; Wu et al., arXiv 2508.03440",
    link=SOFT_THINKING_LINK,
    reported="on QwQ-32B, Soft Thinking solved 83.3 % of AIME 2024 with Cold Stop and 73.3 % without, fewer than the "
    "76.9 % of sampled chains of thought; discrete tokens with Cold Stop were not tried",
    rule=difference(above=0.0, trials=100),
    positive_controls={**CAN, ENDED: rate(above=0.1, trials=100)},
    controls={OWN: difference(above=0.0, trials=100)},
    comparisons=["tokens with Cold Stop", "mixtures", "mixtures with Cold Stop"],
)
def test_cold_stop_matters_more_than_mixing(word_problems, worked_problems):
    """Greedy tokens or vanilla mixtures, each with and without Cold Stop: 2 x 2.

    Value: the effect of Cold Stop (the mean over both writers) less that of mixing (the mean over both ways to
    stop); of the four cells all but two cancel: tokens with Cold Stop less mixtures without. Thoughts here are some
    20 positions and not thousands, so Cold Stop waits for 4 steps in a row and not 256 below the paper's 0.01 nats.
    Positive control: it ends more than a tenth of the soft thoughts after a sum with its result ("= 12"); where it
    only cuts them short before, what it is for was not tried. Control: the effect of Cold Stop by itself must be
    above 0, else it raises nothing, and only mixing lowers.
    """
    solved = scored(word_problems, worked_problems)
    cells = {
        "greedy tokens": "greedy",
        "tokens with Cold Stop": "greedy cold",
        "mixtures": "soft",
        "mixtures with Cold Stop": "soft cold",
    }
    arms = {name: arm(word_problems, worked_problems, solved, cell) for name, cell in cells.items()}
    outcomes = zip(*(solved[cell] for cell in ("greedy cold", "greedy", "soft cold", "soft")), strict=True)
    gains = [(token_cold - token + soft_cold - soft) / 2 for token_cold, token, soft_cold, soft in outcomes]
    if len(set(gains)) == 1:
        raise NotApplicable("Cold Stop changes whether a problem is solved for none: no effect to compare")
    arms[OWN] = [
        Trial(problem.question, value=gain) for problem, gain in zip(word_problems, gains, strict=True)
    ]
    arms[ENDED] = [
        Trial(
            problem.question, output=thought.trace, success=thought.ended == "cold" and summed(thought.trace)
        )
        for problem, thought in zip(word_problems, worked_problems["soft cold"], strict=True)
    ]
    return Evidence(differences(word_problems, worked_problems, solved, "greedy cold", ["soft"]), arms)


@claim(
    "Mixture of Inputs solves more small arithmetic word problems than the plain mixture does",
    source="Zhuang et al., Text Generation Beyond Discrete Token Sampling, arXiv 2505.14827",
    link="https://arxiv.org/abs/2505.14827",
    reported="means over four benchmarks, Mixture of Inputs against the mixture of the distribution alone: 74.2 to 61 "
    "on QwQ-32B, 55.5 to 47.0, 60.3 to 47.9, and 41.7 to 41.4 on Gemma-3-27B (the authors' readme)",
    rule=difference(above=0.0, trials=100),
    positive_controls=CAN,
    comparisons=["Mixture of Inputs", "plain mixture", "sampled tokens"],
)
def test_mixture_of_inputs_beats_the_plain_mixture(word_problems, worked_problems):
    """Value: 1 where Mixture of Inputs (beta 1) solves the problem, less 1 where the same weights mixed plainly do.

    Both without Cold Stop, at Soft Thinking's settings. Mixture of Inputs writes a sampled token and feeds it mixed
    with what it was sampled from, so whatever it gains could be the token's and not the mixture's: sampled tokens,
    which leave the mixture out, are shown beside.
    """
    solved = scored(word_problems, worked_problems)
    cells = {
        "greedy tokens": "greedy",
        "Mixture of Inputs": "inputs",
        "plain mixture": "soft",
        "sampled tokens": "sampled",
    }
    arms = {name: arm(word_problems, worked_problems, solved, cell) for name, cell in cells.items()}
    return Evidence(differences(word_problems, worked_problems, solved, "inputs", ["soft"]), arms)


def scored(problems, worked):
    """For each arm, whether its answer to each problem is right: 1 or 0."""
    return {
        name: [
            int(solves(thought.answer, problem.answer))
            for problem, thought in zip(problems, thoughts, strict=True)
        ]
        for name, thoughts in worked.items()
    }


def solves(answer, number):
    """Whether the first number of an answer is the right one."""
    found = re.search(r"-?\d+(?:\.\d+)?", answer)
    return found is not None and float(found.group()) == number


def summed(trace):
    """Whether a thought holds a sum with its result."""
    return re.search(r"=\s*-?\d", trace) is not None


def worked_text(thought):
    """A thought and its answer as one line."""
    return f"{thought.trace.strip()} Answer:{thought.answer}"


def arm(problems, worked, solved, name):
    """A trial a problem: one arm solved it."""
    return [
        Trial(
            problem.question,
            output=worked_text(thought),
            success=bool(success),
            inputs={"thought ended by": thought.ended},
        )
        for problem, thought, success in zip(problems, worked[name], solved[name], strict=True)
    ]


def differences(problems, worked, solved, name, others):
    """A trial a problem: 1 where one arm solves it, less the share of the others that do.

    Raises:
        NotApplicable: the same for every problem, so that no difference can be told.
    """
    trials = [
        Trial(
            problem.question,
            output=worked_text(worked[name][i]),
            value=solved[name][i] - sum(solved[other][i] for other in others) / len(others),
            inputs={"sum": problem.sum, "answer": problem.answer, "thought ended by": worked[name][i].ended},
            outputs={other: worked_text(worked[other][i]) for other in others},
        )
        for i, problem in enumerate(problems)
    ]
    if len({trial.value for trial in trials}) == 1:
        raise NotApplicable(
            f"{name} and {', '.join(others)} solve the same {sum(solved[name])} of {len(problems)} problems: "
            "no difference to tell"
        )
    return trials
