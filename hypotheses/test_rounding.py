"""Do coarser weights change what concept tokens do?"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.readings import EVEN
from fixtures.rounding import Followed, follow
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
# Bits after the tokens below which rounding has changed nothing.
CHANGED = 0.01
# A quarter more, in doublings.
QUARTER_MORE = 0.32
# What follows the two tokens has to differ for it to matter which of them a mixture follows.
APART = 0.2
AFTER_TOKENS, THIRD, EIGHT = (
    "after the tokens",
    "the third token in place of the mixture",
    "rounded to 8 bits",
)
NOT_CORRECTED = "flatness left in"
TOP, TOP_OF_TOKEN = "the next token after the mixture", "the next token after the more probable token"


@claim(
    "Rounding the weights again to 4 bits changes what follows an even mixture of two tokens more than what follows "
    "the tokens, beyond what its flatness explains",
    source=SOURCE,
    reported=REPORTED,
    rule=more(trials=100, matters=QUARTER_MORE),
    unit="doublings",
    controls={
        THIRD: control(
            less(than=QUARTER_MORE, trials=100),
            "the same number for the third most probable token, a token like the two but no mixture",
        ),
        AFTER_TOKENS: control(
            more(trials=100),
            "by how many doublings the divergence after the tokens exceeds 0.01 bits: rounding changes anything",
            protects="refuted",
        ),
    },
    comparisons={
        NOT_CORRECTED: "the same number without the part that flatness explains",
        EIGHT: "the same number under weights rounded to 8 bits",
    },
    seed=1,
)
def test_rounding_changes_mixtures_more_than_tokens(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Round all matrices to nearest, in blocks of 32 that share a scale, and compare with the weights as they are.

    Value: the logarithm to base 2 of the Jensen-Shannon divergence between what follows the even mixture of an
    opening's two most probable tokens under both, less the mean of the logarithms after the two tokens, less the slope
    times by how many bits of entropy more the mixture is followed. The slope, of the logarithm by the entropy, is
    fitted to the differences between the two tokens of each opening. The tokens are those that are most probable before
    rounding, and the entropies are those before rounding; the mixture is made from the table that the model has. The
    weights of the models here have been rounded once before, to 4 bits in another way.
    """
    prompts = [opening.text for opening in draw_openings(100)]
    own = follow(lm, prompts, k=3)
    four, eight = (own.moved(followed_when_rounded(lm, prompts, own.ids, bits)) for bits in (4, 8))
    entropies = torch.stack([entropy_of(after) for after in (*own.tokens, own.mixture)]).double()
    pairs, third, mixture = entropies[:2], entropies[2], entropies[3]
    return Evidence(
        trials(
            shown(lm, prompts, own.ids),
            value=beyond_flatness(four.mixture, four.tokens[:2], mixture, pairs),
            inputs={"bits after the mixture": four.mixture, "bits after the tokens": four.tokens[:2].mean(0)},
        ),
        {
            THIRD: trials(prompts, value=beyond_flatness(four.tokens[2], four.tokens[:2], third, pairs)),
            AFTER_TOKENS: trials(prompts, value=logs(four.tokens[:2].mean(0)) - log2(CHANGED)),
            NOT_CORRECTED: trials(prompts, value=logs(four.mixture) - logs(four.tokens[:2]).mean(0)),
            EIGHT: trials(prompts, value=beyond_flatness(eight.mixture, eight.tokens[:2], mixture, pairs)),
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
    drawn = [opening.text for opening in draw_openings(190)]
    own = follow(lm, drawn)
    wide = own.apart >= APART
    kept = [prompt for prompt, apart in zip(drawn, wide.tolist(), strict=True) if apart]
    at_least(60, kept, "openings whose two most probable tokens are continued differently")
    own = own.of(wide)
    four, eight = (followed_when_rounded(lm, kept, own.ids, bits) for bits in (4, 8))
    prompts = shown(lm, kept, own.ids)

    def changed(one: Tensor, other: Tensor) -> list[Trial]:
        return trials(prompts, success=one != other)

    def named(followed: Followed) -> list[str]:
        second = (~followed.follows_first).long().unsqueeze(1)
        return [lm.token(token) for token in followed.ids.gather(1, second).flatten().tolist()]

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
            TOP_OF_TOKEN: changed(own.tokens[0].argmax(-1), four.tokens[0].argmax(-1)),
        },
    )


def followed_when_rounded(lm: LanguageModel, prompts: list[str], ids: Tensor, bits: int) -> Followed:
    """Compute what follows under the weights rounded to `bits` bits."""
    with lm.rounded(bits):
        return follow(lm, prompts, ids.shape[1], ids)


def entropy_of(after: Tensor) -> Tensor:
    """Entropies [prompts] in bits of distributions [prompts, vocab]."""
    return entropy_bits(after.clamp(min=1e-30).log())


def logs(moved: Tensor) -> Tensor:
    """Logarithms to base 2 of divergences, each at least 1e-9 bits, below which rounding decides."""
    return moved.clamp(min=1e-9).log2()


def beyond_flatness(moved: Tensor, pairs: Tensor, entropy: Tensor, entropies: Tensor) -> Tensor:
    """Compute how many doublings [prompts] a divergence is above those of two tokens of equal entropy.

    Args:
        moved: [prompts] the divergences.
        pairs: [2, prompts] those after the two tokens.
        entropy: [prompts] of what follows before rounding.
        entropies: [2, prompts] the same after the two tokens.
    """
    flatter = entropies[0] - entropies[1]
    slope = (flatter * (logs(pairs[0]) - logs(pairs[1]))).sum() / (flatter**2).sum()
    return logs(moved) - logs(pairs).mean(0) - slope * (entropy - entropies.mean(0))


def shown(lm: LanguageModel, prompts: list[str], ids: Tensor) -> list[str]:
    """Each prompt with its mixture, as trials show it."""
    half = EVEN[0]
    return [
        f"{prompt}<{half} {lm.token(first)} + {half} {lm.token(second)}>"
        for prompt, (first, second) in zip(prompts, ids[:, :2].tolist(), strict=True)
    ]
