"""Does thinking in mixtures solve more problems?"""

from __future__ import annotations

from fixtures.sources import MIXTURE_OF_INPUTS, SOFT_THINKING
from fixtures.worked import LEAD, Attempts, WorkedProblems
from vsg_core import Evidence, NotApplicable, Source, Trial, claim, control, more, sometimes, trials

CAN = {
    "greedy tokens": control(
        sometimes(trials=100), "thoughts in greedy tokens; another problem's answer is right 3 times in 100"
    )
}
DIFFERS = "traces that differ from the greedy ones"
# A mixture that always leads where its heaviest token leads leaves nothing to compare.
SOFT_DIFFERS = {
    DIFFERS: control(
        sometimes(trials=100), "thoughts in mixtures whose heaviest tokens are not all the greedy thought's"
    )
}
AGAINST_GREEDY = "against greedy tokens"
SOFT = "thoughts in the mixtures of vanilla Soft Thinking"
WARNING = 'the authors\' readme warns of "suboptimal results on smaller models (≤7B or even ≤14B)"'


@claim(
    "Soft Thinking solves more small arithmetic word problems than sampling does",
    source=SOFT_THINKING,
    reported="on three models of 32B and 70B the mean pass@1 on four mathematical benchmarks rose by up to 2.48 points "
    f"over sampled chains of thought (83.84 to 86.32 on QwQ-32B); {WARNING}",
    rule=LEAD,
    unit="of problems",
    positive_controls={**CAN, **SOFT_DIFFERS},
    controls={
        AGAINST_GREEDY: control(
            more(trials=100),
            "the same difference from greedy thoughts: if it is not above 0, it is enough to leave less to chance",
        )
    },
    comparisons={
        "sampled tokens": "thoughts sampled from the weights that Soft Thinking mixes",
        "Soft Thinking": SOFT,
    },
)
def test_soft_thinking_beats_sampling(worked_problems: WorkedProblems) -> Evidence:
    """Value: 1 where Soft Thinking solves the problem, minus 1 where a sampled thought does.

    Three worked examples and the problem are followed by a thought of up to 40 positions, which a new line ends, then
    by "Answer:" and greedy tokens. At temperature 0.6 and with the same top_k, top_p and min_p, one method mixes the
    weights that the other samples from. Greedy tokens may beat sampled ones, so Soft Thinking must beat those, too.

    All claims about word problems share these problems: 216 from the pool, half of them of one operation. 4 runs of 5
    decide about 5 points if the two ways disagree on up to 6 problems in 100 (a standard deviation of 0.25), and about
    6 points if they disagree on 9 (0.3). Smaller leads need `--trials`: 3 points take some 600 problems.
    """
    worked = worked_problems
    arms = {"greedy tokens": worked.greedy, "Soft Thinking": worked.soft, "sampled tokens": worked.sampled}
    return Evidence(
        lead(worked.soft, {"sampled": worked.sampled}),
        {
            **solved(arms),
            DIFFERS: differ(worked.soft, worked.greedy),
            AGAINST_GREEDY: lead(worked.soft, {"greedy": worked.greedy}),
        },
    )


@claim(
    "Soft Thinking solves more small arithmetic word problems than greedy decoding does",
    source=Source(f"{SOFT_THINKING.text}; against it Wu et al., arXiv 2508.03440", SOFT_THINKING.link),
    reported="greedy decoding fell behind it, on code by over 10 points for one model; Wu et al. found vanilla Soft "
    f"Thinking to score about as greedy decoding does, on three models of 32B; {WARNING}",
    rule=LEAD,
    unit="of problems",
    positive_controls={**CAN, **SOFT_DIFFERS},
    comparisons={"Soft Thinking": SOFT},
    no_control="the value is a paired difference from greedy thoughts on the same problems",
)
def test_soft_thinking_beats_greedy_decoding(worked_problems: WorkedProblems) -> Evidence:
    """Value: 1 where Soft Thinking solves the problem, minus 1 where a thought in greedy tokens does.

    The problems and their number are those of the claim before. Where both thoughts have the same text, they differ
    only in what lies under it, so the share of other traces bounds nearly all of the effect.
    """
    worked = worked_problems
    arms = {"greedy tokens": worked.greedy, "Soft Thinking": worked.soft}
    return Evidence(
        lead(worked.soft, {"greedy": worked.greedy}),
        {**solved(arms), DIFFERS: differ(worked.soft, worked.greedy)},
    )


@claim(
    "Mixture of Inputs solves more small arithmetic word problems than the plain mixture does",
    source=MIXTURE_OF_INPUTS,
    reported="means over four benchmarks, Mixture of Inputs against the mixture of the distribution alone: 74.2 to 61 "
    "on QwQ-32B, 55.5 to 47.0, 60.3 to 47.9, and 41.7 to 41.4 on Gemma-3-27B (the authors' readme)",
    rule=LEAD,
    unit="of problems",
    positive_controls=CAN,
    comparisons={
        "Mixture of Inputs": "thoughts that feed a sampled token mixed with the weights it was sampled from",
        "plain mixture": SOFT,
        "sampled tokens": "thoughts in sampled tokens alone, to which the gain of Mixture of Inputs may be due",
    },
    no_control="the value is a paired difference from the plain mixture of the same weights, on the same problems",
)
def test_mixture_of_inputs_beats_the_plain_mixture(worked_problems: WorkedProblems) -> Evidence:
    """Value: 1 where Mixture of Inputs (beta 1) solves the problem, minus 1 where the plain mixture does.

    Both mix the same weights, at Soft Thinking's settings and without Cold Stop. The problems are those of the claims
    before. The two ways disagreed on more of the listed problems (standard deviations of 0.28 to 0.39 on four models);
    at 0.37, 4 runs of 5 decide about 7.5 points.
    """
    worked = worked_problems
    arms = {
        "greedy tokens": worked.greedy,
        "Mixture of Inputs": worked.inputs,
        "plain mixture": worked.soft,
        "sampled tokens": worked.sampled,
    }
    return Evidence(lead(worked.inputs, {"soft": worked.soft}), solved(arms))


def solved(arms: dict[str, Attempts]) -> dict[str, list[Trial]]:
    """By arm, one trial per problem: it is solved."""
    return {
        name: trials(
            attempts.questions,
            output=attempts.text,
            success=attempts.solved,
            inputs={"thought ended by": attempts.ended},
        )
        for name, attempts in arms.items()
    }


def differ(attempts: Attempts, others: Attempts) -> list[Trial]:
    """One trial per problem: the two thoughts differ as text."""
    return trials(
        attempts.questions,
        output=attempts.traces,
        success=[one != other for one, other in zip(attempts.traces, others.traces, strict=True)],
        outputs={"greedy": others.traces},
    )


def lead(attempts: Attempts, others: dict[str, Attempts]) -> list[Trial]:
    """One trial per problem: 1 where it is solved, minus the share of the others that solve it."""
    return trials(
        attempts.questions,
        output=attempts.text,
        value=differences(shares_solved(attempts), shares_solved(*others.values())),
        inputs={
            "sum": [problem.sum for problem in attempts.problems],
            "answer": [problem.answer for problem in attempts.problems],
            "thought ended by": attempts.ended,
        },
        outputs={name: other.text for name, other in others.items()},
    )


def shares_solved(*ways: Attempts) -> list[float]:
    """The share of the given ways of thinking that solve each problem."""
    return [sum(row) / len(row) for row in zip(*(attempts.solved for attempts in ways), strict=True)]


def differences(shares: list[float], others: list[float]) -> list[float]:
    """Subtract the others' shares.

    Raises:
        NotApplicable: every difference is the same, so that its spread cannot be estimated.
    """
    found = [one - other for one, other in zip(shares, others, strict=True)]
    if len(set(found)) == 1:
        raise NotApplicable(
            f"the difference is {found[0]:g} for all {len(found)} problems: nothing to compare"
        )
    return found
