"""Is king - man + woman = queen?"""

from __future__ import annotations

from fixtures.analogies import Analogies
from fixtures.sources import MIKOLOV
from vsg_core import Evidence, LanguageModel, Source, Trial, claim, control, mostly, not_mostly, trials


@claim(
    "King - man + woman = queen: the token nearest to the sum is the answer, in most analogies",
    source=MIKOLOV,
    reported="King - Man + Woman comes closest to Queen, in word vectors and with the premises left out",
    rule=mostly(),
    comparisons={"premises left out": "the same sums, without any spelling of the three premises"},
    no_control="its rival, that a premise is nearest, is a claim of its own, and at most one of the two can "
    "hold",
)
def test_king_minus_man_plus_woman_is_queen(lm: LanguageModel, analogies: Analogies) -> Evidence:
    """Take static embeddings, the cosine, the whole vocabulary, nothing left out; any spelling of the answer counts.

    Each analogy is two pairs of words of one relation (gender, capitals, plurals, ...) that the tokenizer has as
    single tokens; no pair is used twice.
    """
    return Evidence(
        matched(lm, analogies, analogies.nearest, analogies.answers),
        {"premises left out": matched(lm, analogies, analogies.nearest_other, analogies.answers)},
    )


@claim(
    "King - man + woman = queen with the premises left out: the nearest other token is the answer, in most analogies",
    source=MIKOLOV,
    reported="with the premises left out, up to two thirds of analogies were right in word vectors made for it",
    rule=mostly(),
    controls={
        "king alone": control(not_mostly(), "the nearest neighbour of king, with the same words left out")
    },
    comparisons={"nothing left out": "the same sums, among all tokens"},
)
def test_king_minus_man_plus_woman_is_queen_premises_left_out(
    lm: LanguageModel, analogies: Analogies
) -> Evidence:
    """Leave out every spelling of the three premises (" King", "king", "KING") from the same sums.

    That may find the answer without any arithmetic, as the next neighbour of king: so the control must not reach
    most.
    """
    return Evidence(
        matched(lm, analogies, analogies.nearest_other, analogies.answers),
        {
            "king alone": matched(lm, analogies, analogies.nearest_to_king, analogies.answers),
            "nothing left out": matched(lm, analogies, analogies.nearest, analogies.answers),
        },
    )


@claim(
    "King - man + woman = king: the token nearest to the sum is a premise, in most analogies",
    source=Source(
        "Linzen, arXiv 1606.07736; Nissim et al., arXiv 1905.09866", "https://arxiv.org/abs/1905.09866"
    ),
    reported="unless the premises are left out, word vectors mostly give one of them back, so that man is to doctor "
    "as woman is to doctor",
    rule=mostly(),
    no_control="it is the rival of the claims on queen, and vectors at right angles, as random ones nearly are, "
    "show the effect by arithmetic",
)
def test_king_minus_man_plus_woman_is_king(lm: LanguageModel, analogies: Analogies) -> Evidence:
    """Test the rival of the claims on queen: the same sums, nothing left out.

    Where the four words lie at right angles, as random vectors nearly do, it holds by arithmetic.
    """
    return Evidence(matched(lm, analogies, analogies.nearest, analogies.premises))


def matched(
    lm: LanguageModel, analogies: Analogies, found: list[int], sought: list[list[int]]
) -> list[Trial]:
    """Count the analogies whose token found is one of those sought."""
    return trials(
        analogies.shown,
        output=[repr(lm.token(token)) for token in found],
        success=[token in ids for token, ids in zip(found, sought, strict=True)],
        inputs={"relation": analogies.relations},
    )
