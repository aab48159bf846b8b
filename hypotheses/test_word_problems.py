"""Does thinking in mixtures solve more problems?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import mean

from fixtures.draws import Draw
from fixtures.partly_mixed import PartlyMixed, forks, is_mixed, mixed_positions
from fixtures.pools.word_problems import WordProblem
from fixtures.sources import MIXTURE_OF_INPUTS, MULTIPLEX, SOFT_THINKING, SWI_REASONING, WU
from fixtures.worked import (
    LEAD,
    Attempts,
    GivenBack,
    WorkedProblems,
    as_problems,
    takes_one_operation,
    work,
)
from vsg_core import (
    ConceptWriter,
    Evidence,
    LanguageModel,
    NotApplicable,
    Source,
    Thought,
    Trial,
    at_least,
    claim,
    control,
    difference,
    more,
    presets,
    rate,
    sometimes,
    trials,
)

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


EVERYWHERE, AT_RANDOM, SUREST = "mixed everywhere", "mixed at random", "mixed where surest"
CLOSED = "mixtures that the gate turns into tokens"


@claim(
    "Mixing only where the entropy is high solves more small arithmetic word problems than mixing everywhere does",
    source=SWI_REASONING("abstract"),
    reported="switching between tokens and mixtures by trends of the entropy raised the mean accuracy by 1.5 to 2.8 % "
    "on mathematical and STEM benchmarks; mixing throughout is said to diffuse probability and to add noise",
    rule=rate(above=0, over=EVERYWHERE, trials=100, matters=0.05),
    positive_controls={
        **CAN,
        CLOSED: control(
            difference(above=0.05, trials=100),
            "share of the positions of a thought mixed everywhere whose mixture, with less than 0.9 on its heaviest "
            "token, has an entropy that the gate takes for low",
        ),
    },
    controls={
        "high entropy against random positions": control(
            rate(above=0, over=AT_RANDOM, trials=100),
            "if it solves no more, mixing less anywhere would do as well",
        )
    },
    comparisons={
        EVERYWHERE: SOFT,
        AT_RANDOM: "as many mixtures, at random, and greedy tokens at the other positions",
        SUREST: "as many mixtures, where the entropy is lowest, and greedy tokens at the other positions",
    },
)
def test_mixing_where_unsure_beats_mixing_everywhere(
    worked_problems: WorkedProblems, partly_mixed: PartlyMixed
) -> Evidence:
    """Success: the problem is solved after a thought that mixes where the entropy is above a limit.

    Elsewhere the thought has greedy tokens. The limit is the median entropy of the mixtures of vanilla Soft Thinking on
    the same problems, whatever it does to the answers, so that half of them are left; a distribution that is nearly one
    token gives that token in every way of thinking. The source compares an entropy with that at the beginning of a
    block of positions, and limits the number of switches; thoughts of 13 positions have no blocks. The problems are
    those of the claims before: 4 runs of 5 decide about 5 points if the two ways disagree on up to 6 problems in 100.
    For the other places, the first 100 problems are asked.
    """
    worked, partly = worked_problems, partly_mixed
    ways = {
        EVERYWHERE: worked.soft,
        AT_RANDOM: partly.at_random,
        SUREST: partly.surest,
        "unsure": partly.unsure,
    }
    arms = {
        name: with_positions(attempts, "positions mixed", mixed_positions) for name, attempts in ways.items()
    }
    unsure = arms.pop("unsure")
    return Evidence(
        unsure,
        {
            **solved({"greedy tokens": worked.greedy}),
            CLOSED: trials(
                worked.soft.questions,
                output=worked.soft.traces,
                value=shares_closed(worked, partly.limit),
                inputs={"limit in bits": [partly.limit] * len(worked.problems)},
            ),
            "high entropy against random positions": unsure[: len(arms[AT_RANDOM])],
            **arms,
        },
    )


def shares_closed(worked: WorkedProblems, limit: float) -> list[float]:
    """By problem, the share of the soft thought's positions that are mixtures with an entropy of at most a limit."""
    closed = [
        [is_mixed(concept) and entropy <= limit for concept, entropy in zip(concepts, bits, strict=True)]
        for concepts, bits in zip(worked.concepts, worked.entropies, strict=True)
    ]
    return [sum(positions) / len(positions) if positions else 0.0 for positions in closed]


def with_positions(attempts: Attempts, name: str, count: Callable[[Thought], int]) -> list[Trial]:
    """One trial per problem: it is solved; with a count of some of the positions of its thought."""
    return trials(
        attempts.questions,
        output=attempts.text,
        success=attempts.solved,
        inputs={
            name: [count(thought) for thought in attempts.thoughts],
            "of": [len(thought.steps) for thought in attempts.thoughts],
        },
    )


ONE = "one sampled token"
ONE_SENTENCE = "thoughts sampled from the same weights, of which each token is the first of the three"
NO_TRAINING = "of the same model before its training the numbers could not be looked up"
MULTIPLEX_REPORTED = (
    "after training with it, three samples merged were better than discrete chains of thought from pass@1 to pass@1024 "
    f"(abstract); {NO_TRAINING}"
)


@claim(
    "Thoughts that merge three sampled tokens at each position solve at most 5 in 100 word problems fewer than "
    "thoughts in one sampled token do",
    source=MULTIPLEX,
    reported=MULTIPLEX_REPORTED,
    rule=rate(above=-0.05, over=ONE, trials=100),
    positive_controls={
        **CAN,
        "thoughts with a fork": control(
            sometimes(trials=100),
            "thoughts in which the three tokens differ somewhere; the others are one thought",
        ),
    },
    controls={
        "no thought": control(
            rate(below=-0.05, over=ONE, trials=100),
            "the answer follows the question at once: if this loses nothing either, thoughts do not matter",
        )
    },
    comparisons={ONE: ONE_SENTENCE},
)
def test_merging_three_samples_loses_nothing(
    worked_problems: WorkedProblems, partly_mixed: PartlyMixed, given_back: GivenBack
) -> Evidence:
    """Success: the problem is solved after a thought in mean embeddings of three sampled tokens.

    They are drawn independently from the weights that Soft Thinking mixes. The problems are those of the claims before.
    If the two ways disagree on 10 problems in 100 (a standard deviation of 0.32), the interval is ±4.2 points wide, and
    a true difference of 0 holds in 3 runs of 5; 4 of 5 take some 320 problems.
    """
    merged = partly_mixed.merged
    return Evidence(
        with_positions(merged, "forks", forks),
        {
            **solved(
                {
                    "greedy tokens": worked_problems.greedy,
                    "no thought": given_back.none,
                    ONE: worked_problems.sampled,
                }
            ),
            "thoughts with a fork": trials(
                merged.questions,
                output=merged.traces,
                success=[forks(thought) > 0 for thought in merged.thoughts],
            ),
        },
    )


FEWEST_FORKS = 60


@claim(
    "Where three sampled tokens differ somewhere in a thought, merging three at each position solves more word "
    "problems than sampling one does",
    source=MULTIPLEX,
    reported="a merged token is said to behave as a token where the model is sure, and to stand for several next "
    f"steps where it is not; {MULTIPLEX_REPORTED}",
    rule=rate(above=0, over=ONE, trials=FEWEST_FORKS, matters=0.05),
    positive_controls={"greedy tokens": control(sometimes(trials=FEWEST_FORKS), "thoughts in greedy tokens")},
    controls={
        "merged against greedy tokens": control(
            rate(above=0, over="greedy tokens", trials=FEWEST_FORKS),
            "if merged tokens solve no more than these, it is enough to leave less to chance",
        )
    },
    comparisons={ONE: ONE_SENTENCE},
)
def test_merging_three_samples_gains_at_forks(
    worked_problems: WorkedProblems, partly_mixed: PartlyMixed
) -> Evidence:
    """Success: as in the claim before, of the problems whose thoughts fork.

    One token and three are drawn alike, so both thoughts are the same up to the first position at which the three
    differ. Which problems have one does not depend, therefore, on what merging does. 4 runs of 5 decide about 7.5
    points on 150 problems if the two ways disagree on 11 of 100; 5 points take some 380.
    """
    forked = [forks(thought) > 0 for thought in partly_mixed.merged.thoughts]
    at_least(FEWEST_FORKS, list(filter(None, forked)), "thoughts in which three sampled tokens differ")
    merged = with_positions(partly_mixed.merged.only(forked), "forks", forks)
    return Evidence(
        merged,
        {
            **solved(
                {
                    "greedy tokens": worked_problems.greedy.only(forked),
                    ONE: worked_problems.sampled.only(forked),
                }
            ),
            "merged against greedy tokens": merged,
        },
    )


SAMPLES = 8
# At this temperature Gumbel-softmax has all its weight on the token with the largest sum of log weight and noise, which
# is a draw from the weights.
SAMPLING = replace(presets.GUMBEL, gumbel=1e-6)
TOKENS, GAIN, BITS = (
    "sampled tokens",
    "gain of eight thoughts over one",
    "entropy above that of sampled tokens",
)


@claim(
    "Eight thoughts in Gumbel-softmax mixtures solve more small word problems of one operation at least once (pass@8) "
    "than eight thoughts in tokens sampled at the same entropy do",
    source=WU,
    reported='"stronger exploration potential compared to conventional COT", and higher scores on eight benchmarks '
    "(abstract, on models of 32B); the figures of pass@k could not be looked up",
    rule=rate(above=0, over=TOKENS, trials=40, matters=0.05),
    positive_controls={
        TOKENS: control(
            sometimes(trials=40),
            "Gumbel-softmax with the same noise at a temperature near 0, which is sampling",
        ),
        GAIN: control(
            difference(above=0.05, trials=40),
            "of sampled tokens: whether one of eight thoughts solves the problem, minus the share that do",
        ),
    },
    controls={
        BITS: control(
            difference(below=0.1, trials=40),
            "mean over all positions and thoughts; if Gumbel-softmax draws at a higher entropy, sampling at a higher "
            "temperature might do as well",
        )
    },
)
def test_gumbel_softmax_covers_more_than_sampling(
    lm: LanguageModel, draw_word_problems: Draw[WordProblem]
) -> Evidence:
    """Success: the problem is solved after at least one of eight thoughts (pass@8).

    Both ways draw from the weights that Soft Thinking mixes: the heaviest token of a Gumbel-softmax mixture is a draw
    from them, at any of its temperatures (0.5 here, as in the source). They share the noise of each thought and
    position, so the thoughts are the same up to the first position where the mixture is not one token. Eight thoughts
    of a problem are one trial.

    40 problems are what two ways and eight thoughts leave in a catalogue of minutes: if the two ways disagree on 10
    problems in 100, 4 runs of 5 decide about 14 points. 5 points take some 340 problems (`--trials 340`).
    """
    problems = as_problems(draw_word_problems(40, lambda drawn: map(takes_one_operation, drawn)))
    ways = {"Gumbel-softmax": presets.GUMBEL, TOKENS: SAMPLING}
    attempts = work(
        lm,
        problems,
        {
            f"{name} {seed}": ConceptWriter(lm, mixing, seed=seed)
            for name, mixing in ways.items()
            for seed in range(SAMPLES)
        },
    )
    mixed, sampled = ([attempts[f"{name} {seed}"] for seed in range(SAMPLES)] for name in ways)
    return Evidence(
        covered(mixed),
        {
            TOKENS: covered(sampled),
            GAIN: trials(sampled[0].questions, value=gains(sampled)),
            BITS: trials(
                sampled[0].questions,
                value=[
                    one - other
                    for one, other in zip(mean_entropies(mixed), mean_entropies(sampled), strict=True)
                ],
            ),
        },
    )


def covered(samples: list[Attempts]) -> list[Trial]:
    """One trial per problem: one of several thoughts solves it."""
    by_problem = list(zip(*(attempts.solved for attempts in samples), strict=True))
    return trials(
        samples[0].questions,
        output=["\n".join(texts) for texts in zip(*(attempts.text for attempts in samples), strict=True)],
        success=list(map(any, by_problem)),
        inputs={
            "answer": [problem.answer for problem in samples[0].problems],
            "thoughts that solve it": list(map(sum, by_problem)),
        },
    )


def gains(samples: list[Attempts]) -> list[float]:
    """By problem, whether one of several thoughts solves it, minus the share of them that do.

    Raises:
        NotApplicable: no problem is solved by some of its thoughts only, so several cover no more than one.
    """
    found = [max(row) - mean(row) for row in zip(*(each.solved for each in samples), strict=True)]
    if not any(found):
        raise NotApplicable(
            f"all {len(samples)} sampled thoughts solve the problem or none does, in each of {len(found)} problems: "
            "there is nothing to cover"
        )
    return found


def mean_entropies(samples: list[Attempts]) -> list[float]:
    """By problem, the mean entropy in bits at all positions of several thoughts; 0 if they have none."""
    by_problem = zip(*(attempts.thoughts for attempts in samples), strict=True)
    bits = [[step.entropy for thought in thoughts for step in thought.steps] for thoughts in by_problem]
    return [mean(entropies) if entropies else 0.0 for entropies in bits]


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
