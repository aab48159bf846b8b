"""What of a thought in concept tokens does its answer depend on?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fixtures.sources import COCONUT, ILLUSION, SOFT_THINKING, WU
from fixtures.worked import COLD_BITS, SAVED, Attempts, WorkedProblems, answer_after, vectors_of
from vsg_core import (
    ConceptToken,
    Evidence,
    LanguageModel,
    Mixture,
    NotApplicable,
    Source,
    Thought,
    Trial,
    cannot,
    claim,
    control,
    difference,
    rate,
    sometimes,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

MIXED = "mixtures that are not nearly one token"
# A concept token whose heaviest token has less is a mixture; of more, little can be dropped.
NEARLY_ONE = 0.9


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
    lm: LanguageModel, worked_problems: WorkedProblems
) -> Evidence:
    """Success: the first number of the answer is another one, or only one of the answers has a number.

    The mixtures are written by vanilla Soft Thinking and then replaced in the finished thought, so that both thoughts
    have as many positions and the same text. Greedy decoding is something else, since each of its tokens follows
    those that it chose before. Where it wrote the same tokens, though, its answer is the one after the heaviest
    tokens, and is used for it. 216 problems hold up to 4 changed answers and are refuted from 18.
    """
    worked, soft = worked_problems, worked_problems.soft
    pruned = Attempts(soft.problems, list(worked.greedy.thoughts))
    rows = [
        row
        for row, concepts in enumerate(worked.concepts)
        if ids(concepts) != worked.greedy.thoughts[row].steps
    ]
    if rows:
        kept = [lm.embed(torch.tensor(ids(worked.concepts[row]), dtype=torch.long)) for row in rows]
        answered = answer_after(lm, [soft.problems[row] for row in rows], {"heaviest": kept})["heaviest"]
        for row, thought in zip(rows, answered.thoughts, strict=True):
            pruned.thoughts[row] = thought
    few = soft.head(worked.fewer)
    rest = [without_the_heaviest(lm, concepts) for concepts in worked.concepts[: worked.fewer]]
    dropped = answer_after(lm, few.problems, {"rest": rest})["rest"]
    return Evidence(
        changed(soft, pruned, worked),
        {
            MIXED: trials(
                soft.questions,
                output=soft.traces,
                value=[share_below(weights, NEARLY_ONE) for weights in worked.heaviest_weights],
            ),
            "the heaviest dropped": changed(few, dropped, worked),
            "solved after whole mixtures": solved(soft),
            "solved after the heaviest tokens": solved(pruned),
        },
    )


def ids(concepts: Sequence[ConceptToken]) -> list[int]:
    """The heaviest token of each concept token."""
    return [concept.token_id for concept in concepts]


def without_the_heaviest(lm: LanguageModel, concepts: Sequence[ConceptToken]) -> Tensor:
    """Concept tokens [positions, hidden] of the other tokens alone, in proportion; where there are none, unchanged."""
    left = []
    for concept in concepts:
        rest = concept.mixture.by_token()
        weight = rest.pop(concept.token_id)
        total = sum(rest.values())
        left.append(
            Mixture.from_weights({token: share / total for token, share in rest.items()})
            if total > 0
            else Mixture.from_weights({concept.token_id: weight})
        )
    return lm.mix(left)


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
    lm: LanguageModel, worked_problems: WorkedProblems, generator: torch.Generator
) -> Evidence:
    """Success: the problem is solved after its own thought in the mixtures of vanilla Soft Thinking.

    The problems are those that all claims about word problems share, for shuffled ones, full stops and noise the first
    100. Every thought is given back as it is, followed by "Answer:" and greedy tokens; thoughts have about 13
    positions. The interval of 216 pairs is about ±4 points wide where the two arms disagree on 9 problems in 100.
    """
    worked, soft = worked_problems, worked_problems.soft
    own = [vectors_of(lm, concepts) for concepts in worked.concepts]
    half = len(own) // 2
    answered = answer_after(
        lm, soft.problems, {OTHER: own[half:] + own[:half], NONE: [vectors[:0] for vectors in own]}
    )
    few, own = soft.head(worked.fewer), own[: worked.fewer]
    stop = lm.embed(lm.tokenize(".", special=False)[:1])
    answered |= answer_after(
        lm,
        few.problems,
        {
            "shuffled": [vectors[shuffle(len(vectors), generator)] for vectors in own],
            "full stops": [stop.expand(len(vectors), -1) for vectors in own],
            "noise": [lm.noise_like(vectors, generator) for vectors in own],
        },
    )
    return Evidence(
        solved(soft),
        {
            "greedy tokens": solved(worked.greedy),
            "own concept tokens against no thought": solved(soft),
            **{name: solved(attempts) for name, attempts in answered.items()},
        },
    )


def shuffle(n: int, generator: torch.Generator) -> Tensor:
    """A random order [n] of n positions."""
    return torch.randperm(n, generator=generator)


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
    lm: LanguageModel, worked_problems: WorkedProblems, generator: torch.Generator
) -> Evidence:
    """Success: the problem is solved after a thought in mixtures that Cold Stop ended.

    Cold Stop ends a thought when a number of distributions in a row have less than 0.01 nats, the authors' setting.
    They wait for 256, in thoughts of thousands of positions. Here the number is the largest that saves a fifth of the
    positions on average, whatever it does to the answers; the claim does not apply where even 1 saves less. A thought
    that it does not end is the whole thought, whose answer is used.
    """
    worked, soft = worked_problems, worked_problems.soft
    steps, lengths = a_fifth_saved(worked.entropies)
    wholes = [len(thought.steps) for thought in soft.thoughts]
    shares = [1 - length / whole if whole else 0.0 for length, whole in zip(lengths, wholes, strict=True)]
    dealt = [shares[row] for row in shuffle(len(shares), generator).tolist()]
    random = [round(whole * (1 - share)) for whole, share in zip(wholes, dealt, strict=True)]
    cold, elsewhere = (cut(lm, worked, each) for each in (lengths, random))

    def arm(attempts: Attempts, positions: list[int]) -> list[Trial]:
        return trials(
            attempts.questions,
            output=attempts.text,
            success=attempts.solved,
            inputs={"positions": positions, "of": wholes},
            outputs={"whole": soft.text},
        )

    return Evidence(
        arm(cold, lengths),
        {
            WHOLE: solved(soft),
            "positions saved": trials(
                soft.questions, value=shares, inputs={"steps in a row": [steps] * len(shares)}
            ),
            "Cold Stop against stopping at random": arm(cold, lengths),
            AT_RANDOM: arm(elsewhere, random),
        },
    )


def cut(lm: LanguageModel, worked: WorkedProblems, lengths: Sequence[int]) -> Attempts:
    """The soft thoughts cut to numbers of positions and answered; whole thoughts keep their answers."""
    soft = worked.soft
    found = Attempts(soft.problems, list(soft.thoughts))
    rows = [row for row, length in enumerate(lengths) if length < len(soft.thoughts[row].steps)]
    if rows:
        given = [vectors_of(lm, worked.concepts[row][: lengths[row]]) for row in rows]
        answered = answer_after(lm, [soft.problems[row] for row in rows], {"cut": given})["cut"]
        for row, thought in zip(rows, answered.thoughts, strict=True):
            left = worked.concepts[row][: lengths[row]]
            found.thoughts[row] = Thought(left, "cut", lm.decode(ids(left)), thought.answer)
    return found


def a_fifth_saved(entropies: Sequence[Sequence[float]]) -> tuple[int, list[int]]:
    """The largest number of cold steps in a row that saves a fifth of the positions, and the lengths it leaves.

    Args:
        entropies: by thought, of the distribution at each position, in bits.

    Raises:
        NotApplicable: even one cold step saves less.
    """
    longest = max(map(len, entropies))
    for steps in range(longest, 0, -1):
        lengths = [cold_length(bits, steps) for bits in entropies]
        saved = [
            1 - length / len(bits) if bits else 0.0 for length, bits in zip(lengths, entropies, strict=True)
        ]
        if sum(saved) / len(saved) >= SAVED:
            return steps, lengths
    raise NotApplicable(f"distributions below {COLD_BITS} bits end thoughts before less than a fifth of them")


def cold_length(bits: Sequence[float], steps: int, limit: float = COLD_BITS) -> int:
    """The positions written before Cold Stop ends a thought: at the last of `steps` cold distributions in a row."""
    row = 0
    for position, entropy in enumerate(bits):
        row = row + 1 if entropy < limit else 0
        if row == steps:
            return position
    return len(bits)
