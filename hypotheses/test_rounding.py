"""Do coarser weights change what concept tokens do?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.readings import EVEN
from fixtures.rounding import Followed, follow, two_likeliest
from fixtures.sources import study_file
from vsg_core import (
    Evidence,
    LanguageModel,
    Trial,
    at_least,
    claim,
    control,
    entropy_bits,
    less,
    more,
    rarely,
    sometimes,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

SOURCE = study_file("docs/models-without-quantization.md")
REPORTED = (
    "not tried: models that fit unquantised were chosen, for clean float16 weights in vector operations"
)
# A quarter more, in doublings.
QUARTER_MORE = 0.32
# What follows the two tokens has to differ for it to matter which of them a mixture follows.
APART = 0.2
AFTER_TOKENS, FLATTER, EIGHT = "after the tokens", "after the flatter token", "rounded to 8 bits"
TOP, TOP_OF_TOKEN = "the next token after the mixture", "the next token after the more probable token"


@claim(
    "Rounding the weights again to 4 bits changes what follows an even mixture of two tokens more than what follows "
    "the tokens",
    source=SOURCE,
    reported=REPORTED,
    rule=more(trials=100, matters=QUARTER_MORE),
    unit="doublings",
    controls={
        FLATTER: control(
            less(than=QUARTER_MORE, trials=100),
            "the token with more entropy after it against the other: flat distributions may move more by themselves",
        ),
        AFTER_TOKENS: control(
            more(than=0.01, trials=100),
            "the divergence in bits after the tokens: rounding changes anything at all",
            protects="refuted",
        ),
    },
    comparisons={EIGHT: "the same number under weights rounded to 8 bits"},
)
def test_rounding_changes_mixtures_more_than_tokens(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Round all matrices to nearest, in blocks of 32 that share a scale, and compare with the weights as they are.

    Value: the logarithm to base 2 of the Jensen-Shannon divergence between what follows the even mixture of an
    opening's two most probable tokens under both, less that of the mean of the divergences after the two tokens. A
    model that blends what follows the tokens has no more than 0: the divergence of two blends is at most the mean of
    the divergences of their parts. The tokens are those that are most probable before rounding; the mixture is made
    from the table that the model has. The weights of the models here have been rounded once before, to 4 bits in
    another way.
    """
    prompts = [opening.text for opening in draw_openings(100)]
    ids = two_likeliest(lm, prompts)
    own = follow(lm, prompts, ids)
    moved = {bits: own.moved(followed_when_rounded(lm, prompts, ids, bits)) for bits in (4, 8)}
    four, eight = moved[4], moved[8]
    entropies = torch.stack([entropy_bits(one.clamp(min=1e-30).log()) for one in (own.first, own.second)])
    flatter, other = (
        torch.where(entropies[0] >= entropies[1], one, two)
        for one, two in ((four.first, four.second), (four.second, four.first))
    )
    return Evidence(
        trials(
            shown(lm, prompts, ids),
            value=doublings(four.mixture, mean_of_tokens(four)),
            inputs={"bits after the mixture": four.mixture, "bits after the tokens": mean_of_tokens(four)},
        ),
        {
            FLATTER: trials(prompts, value=doublings(flatter, other)),
            AFTER_TOKENS: trials(prompts, value=mean_of_tokens(four)),
            EIGHT: trials(prompts, value=doublings(eight.mixture, mean_of_tokens(eight))),
        },
    )


@claim(
    "Rounding the weights again to 4 bits changes which of its two tokens an even mixture is continued like, for more "
    "than one prompt in ten",
    source=SOURCE,
    reported=REPORTED,
    rule=sometimes(trials=60),
    controls={EIGHT: control(rarely(trials=60), "the same under weights rounded to 8 bits")},
    comparisons={
        TOP: "whether the most probable next token after the mixture changes",
        TOP_OF_TOKEN: "whether the most probable next token after the more probable of the two tokens changes",
    },
)
def test_rounding_changes_which_token_a_mixture_follows(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Count the prompts on which the outcome of a forced choice, as claims on mixtures make it, depends on the weights.

    A mixture of an opening's two most probable tokens is continued like the one whose own next distribution is nearer
    to its own, by Jensen-Shannon divergence, under the same weights. Openings are those after which what follows the
    two tokens is at least 0.2 bits apart before rounding.
    """
    drawn = [opening.text for opening in draw_openings(120)]
    ids = two_likeliest(lm, drawn)
    own = follow(lm, drawn, ids)
    wide = own.apart >= APART
    kept = [prompt for prompt, apart in zip(drawn, wide.tolist(), strict=True) if apart]
    at_least(60, kept, "openings whose two likeliest tokens are continued differently")
    ids, own = ids[wide], Followed(own.first[wide], own.second[wide], own.mixture[wide])
    four, eight = (followed_when_rounded(lm, kept, ids, bits) for bits in (4, 8))
    prompts = shown(lm, kept, ids)

    def changed(one: Tensor, other: Tensor) -> list[Trial]:
        return trials(prompts, success=one != other)

    names = [[lm.token(token) for token in row] for row in ids.tolist()]

    def named(followed: Followed) -> list[str]:
        chosen = followed.follows_first.tolist()
        return [pair[0 if first else 1] for pair, first in zip(names, chosen, strict=True)]

    return Evidence(
        trials(
            prompts,
            output=named(four),
            success=own.follows_first != four.follows_first,
            outputs={"before rounding": named(own), EIGHT: named(eight)},
        ),
        {
            EIGHT: changed(own.follows_first, eight.follows_first),
            TOP: changed(own.mixture.argmax(-1), four.mixture.argmax(-1)),
            TOP_OF_TOKEN: changed(own.first.argmax(-1), four.first.argmax(-1)),
        },
    )


def followed_when_rounded(lm: LanguageModel, prompts: list[str], ids: Tensor, bits: int) -> Followed:
    """Compute what follows under the weights rounded to `bits` bits."""
    with lm.rounded(bits):
        return follow(lm, prompts, ids)


def mean_of_tokens(moved: Followed) -> Tensor:
    """[prompts] the mean of what is measured after the two tokens."""
    return (moved.first + moved.second) / 2


def doublings(one: Tensor, other: Tensor) -> Tensor:
    """[prompts] how often one divergence is twice the other; both at least 1e-9 bits, below which rounding decides."""
    return (one.clamp(min=1e-9) / other.clamp(min=1e-9)).log2()


def shown(lm: LanguageModel, prompts: list[str], ids: Tensor) -> list[str]:
    """Each prompt with its mixture, as trials show it."""
    half = EVEN[0]
    return [
        f"{prompt}<{half} {lm.token(first)} + {half} {lm.token(second)}>"
        for prompt, (first, second) in zip(prompts, ids.tolist(), strict=True)
    ]
