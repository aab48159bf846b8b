"""Is king - man + woman = queen?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, rate

MIKOLOV = "Mikolov et al., arXiv 1301.3781; abstractionlair/vector-space-generation, README, Conjecture"


@claim(
    "King - man + woman = queen: the token nearest to the sum is the answer, in most analogies",
    source=MIKOLOV,
    link="https://arxiv.org/abs/1301.3781",
    reported="King - Man + Woman comes closest to Queen, in word vectors and with the premises left out",
    rule=rate(above=0.5),
    comparisons=["premises left out"],
)
def test_king_minus_man_plus_woman_is_queen(lm, analogies):
    """Static embeddings, cosine, the whole vocabulary and nothing left out; any spelling of the answer counts.

    Each analogy is two pairs of words of one relation (gender, capitals, plurals, ...) that the tokenizer has as
    single tokens; no pair is used twice.
    """
    return Evidence(
        solved(lm, analogies, "nothing left out"),
        {"premises left out": solved(lm, analogies, "premises left out")},
    )


@claim(
    "King - man + woman = queen with the premises left out: the nearest other token is the answer, mostly",
    source=MIKOLOV,
    link="https://arxiv.org/abs/1301.3781",
    reported="with the premises left out, up to two thirds of analogies were right in word vectors made for it",
    rule=rate(above=0.5),
    controls={"king alone": rate(below=0.5)},
    comparisons=["nothing left out"],
)
def test_king_minus_man_plus_woman_is_queen_premises_left_out(lm, analogies):
    """The same sums; every spelling of the three premises is left out (" King", "king", "KING").

    That may find the answer without any arithmetic, as the next neighbour of king: the control asks king alone,
    with the same words left out, and must not reach most.
    """
    return Evidence(
        solved(lm, analogies, "premises left out"),
        {way: solved(lm, analogies, way) for way in ("king alone", "nothing left out")},
    )


@claim(
    "King - man + woman = king: the token nearest to the sum is a premise, in most analogies",
    source="Linzen, arXiv 1606.07736; Nissim et al., arXiv 1905.09866",
    link="https://arxiv.org/abs/1905.09866",
    reported="without leaving the premises out, word vectors mostly give one of the premises back, so that man is to "
    "doctor as woman is to doctor",
    rule=rate(above=0.5),
)
def test_king_minus_man_plus_woman_is_king(lm, analogies):
    """The rival of the claims on queen, on the same sums, nothing left out.

    Where the four words lie at right angles, as random vectors nearly do, it holds by arithmetic.
    """
    way = "nothing left out"
    return Evidence([found(lm, one, way, one.nearest[way] in one.premises) for one in analogies])


def solved(lm, analogies, way):
    """Each analogy, with the token that was found for it in one way: is it the answer?"""
    return [found(lm, one, way, one.nearest[way] in one.answers) for one in analogies]


def found(lm, one, way, success):
    """One analogy, with the token that was found for it."""
    return Trial(str(one), repr(lm.token(one.nearest[way])), success, inputs={"relation": one.relation})
