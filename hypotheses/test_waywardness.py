"""Does the token nearest to a vector say what the vector does?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.noun_pairs import NounPair
from fixtures.sources import WAYWARDNESS
from fixtures.steering import held_radii, next_after, steer
from fixtures.words import single_token
from vsg_core import (
    Evidence,
    LanguageModel,
    Trial,
    claim,
    control,
    js_divergence_bits,
    mostly,
    nearest_tokens,
    not_mostly,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

# Prompts that the vectors are fitted to, and others in which they are tried. A noun comes next in all of them.
FITTED = (
    "We were all looking at the",
    "She wrote a short story about the",
    "In the picture you can see the",
)
TRIED = ("Yesterday they found the", "My friend could not stop thinking about the")
# How far from the first noun's continuation, towards the second's, in shares of what lies between them: -1 is the
# first's, 1 the second's.
TURNED = 0.5
# Pairs whose continuations are nearer to each other have too little between them.
APART = 0.2
FREE = 60
ANYWHERE, ANOTHER = "without holding the nearest token", "taken for another pair's second noun"
RANDOM, TOWARDS, IN_FITTED = (
    "a step in a random direction", "a step towards the second noun", "in the prompts it is fitted to",
)  # fmt: skip


@claim(
    "For most pairs of nouns, a vector whose nearest token is the first can be continued like the second, in prompts "
    "that it was not fitted to",
    source=WAYWARDNESS,
    reported="prompts of several vectors, trained on classification tasks, solve them within 2 % of the best while "
    "their nearest tokens spell any other text",
    rule=mostly(),
    controls={
        ANOTHER: control(
            not_mostly(),
            "the same vectors: are they continued like the second noun of the pair before in the list?",
        ),
        ANYWHERE: control(
            mostly(trials=FREE),
            f"the same steps for the first {FREE} pairs, as far as they lead",
            protects="refuted",
        ),
    },
    comparisons={
        RANDOM: "as long as the step that was found",
        TOWARDS: "as long as the step that was found, on the straight line to the second noun's embedding",
        IN_FITTED: "the vectors in the prompts that their steps were computed in",
    },
)
def test_vector_acts_as_another_than_its_nearest_token(
    lm: LanguageModel, draw_noun_pairs: Draw[NounPair], generator: torch.Generator
) -> Evidence:
    """Steer the embedding of a pair's first noun by gradients until three prompts continue as after the second noun.

    The vector stays within 0.45 of the distance to the nearest other token. A success: the first noun is still its
    nearest token, by distance and by cosine, and after two other prompts its next distribution has moved from the
    first noun's to the second's: the Jensen-Shannon divergence from the first's minus that from the second's is more
    than half of the divergence between these two, summed over both prompts. Pairs are those whose own continuations
    are at least 0.2 bits apart after these prompts. In the arms other than the claim's own the nearest token is not
    asked.

    The number and the size of the steps were chosen on pairs of the hand-written list, by the loss in the prompts that
    are fitted. More steps could find what these do not, so a model is refuted only where they suffice once the nearest
    token is not held.
    """
    pairs = draw_noun_pairs(120, lambda some: apart(*continuations(lm, some)))
    start, end = embedded(lm, pairs)
    first, second = continuations(lm, pairs)
    ids = torch.tensor([single_token(lm, pair.first) for pair in pairs])
    wanted, radii = next_after(lm, FITTED, end), held_radii(lm, ids)
    found = steer(lm, FITTED, start, wanted, radii, held=True)
    free = steer(lm, FITTED, start[:FREE], wanted[:FREE], radii[:FREE], held=False)
    length = (found - start).norm(dim=-1, keepdim=True)
    random = start + length * normalize(lm.noise_like(start, generator))
    towards = start + length * normalize(end - start)

    def arm(values: Tensor) -> list[Trial]:
        return trials(shown(pairs[: len(values)]), success=values > TURNED, inputs={"turned": values})

    after = next_after(lm, TRIED, found)
    values = turned(after, first, second)
    nearest = {name: nearest_tokens(lm, found, name)[0].cpu() for name in ("l2", "cosine")}
    held = (nearest["l2"] == ids) & (nearest["cosine"] == ids)
    own = trials(
        shown(pairs),
        output=likeliest(lm, after),
        success=held & (values > TURNED),
        inputs={
            "turned": values,
            "step": length.squeeze(-1) / lm.embedding_norm,
            **{f"nearest by {name}": [lm.token(i) for i in near.tolist()] for name, near in nearest.items()},
        },
        outputs={"first noun": likeliest(lm, first), "second noun": likeliest(lm, second)},
    )
    fitted = turned(next_after(lm, FITTED, found), next_after(lm, FITTED, start), wanted)
    return Evidence(
        own,
        {
            ANOTHER: arm(turned(after, first, second.roll(1, 0))),
            ANYWHERE: arm(turned(next_after(lm, TRIED, free), first[:FREE], second[:FREE])),
            RANDOM: arm(turned(next_after(lm, TRIED, random), first, second)),
            TOWARDS: arm(turned(next_after(lm, TRIED, towards), first, second)),
            IN_FITTED: arm(fitted),
        },
    )


def embedded(lm: LanguageModel, pairs: Sequence[NounPair]) -> tuple[Tensor, Tensor]:
    """The embeddings of the first and the second nouns, [pairs, hidden] float32 each."""
    ids = torch.tensor([[single_token(lm, noun) for noun in pair.nouns] for pair in pairs])
    first, second = lm.embed(ids).float().unbind(1)
    return first, second


def continuations(lm: LanguageModel, pairs: Sequence[NounPair]) -> tuple[Tensor, Tensor]:
    """Compute what follows each noun in the prompts TRIED: [pairs, prompts, vocab] for the first and the second."""
    first, second = next_after(lm, TRIED, torch.cat(embedded(lm, pairs))).chunk(2)
    return first, second


def apart(first: Tensor, second: Tensor) -> list[bool]:
    """Return whether two continuations [pairs, prompts, vocab] differ by APART bits in the mean over the prompts."""
    return [bits >= APART for bits in js_divergence_bits(first, second).mean(-1).tolist()]


def turned(after: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Measure how far continuations are from the first's to the second's: [pairs], -1 to 1.

    The divergence from the first minus that from the second, in divergences between both; sums over the prompts. All
    continuations are [pairs, prompts, vocab].
    """
    from_first, from_second, between = (
        js_divergence_bits(one, other).sum(-1)
        for one, other in ((after, first), (after, second), (first, second))
    )
    return (from_first - from_second) / between


def normalize(vectors: Tensor) -> Tensor:
    """Vectors [n, hidden] of length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True)


def shown(pairs: Sequence[NounPair]) -> list[str]:
    """The vectors of these pairs, as trials show them."""
    return [f"{TRIED[0]} <{pair.first}, steered to {pair.second}>" for pair in pairs]


def likeliest(lm: LanguageModel, after: Tensor) -> list[str]:
    """The most probable next token in the first prompt, from [pairs, prompts, vocab]."""
    return [lm.token(i) for i in after[:, 0].argmax(-1).tolist()]
