"""Does a small adapter make mixtures readable?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.adapters import Adapter, named_as, training_nouns
from fixtures.draws import Draw
from fixtures.pools.noun_pairs import NounPair
from fixtures.prompts import Nouns
from fixtures.readings import COMPLETION, MIXTURE, WEIGHTS, components, mix_two
from fixtures.sources import SELF_INTERPRETATION
from fixtures.words import single_token
from vsg_core import Evidence, LanguageModel, Trial, claim, control, less, more, torch, trials

if TYPE_CHECKING:
    from torch import Tensor

GAIN = 0.05
SINGLE, LENGTH, RANDOM = "single nouns", "at the nouns' own length", "a random bias of the same length"
BIAS, SCALE, HEAVIER = "the bias alone", "the scale alone", "the heavier noun"
ADAPTER = "the whole adapter"
REPORTED = (
    "language models of up to 72 billion parameters described their internal states reliably with such an adapter; its "
    "bias alone accounted for 85 % of the improvement; mixtures were not tried"
)


@claim(
    "An adapter of one scale and one bias, trained on single nouns, makes it more probable that the lighter noun of a "
    "mixture is named",
    source=SELF_INTERPRETATION,
    reported=REPORTED,
    rule=more(trials=100, matters=GAIN),
    unit="probability",
    controls={
        LENGTH: control(
            less(than=GAIN, trials=100),
            "the mixture at the mean length of its nouns' embeddings, without the adapter",
        ),
        RANDOM: control(
            less(than=GAIN, trials=100),
            "the adapter's scale, with a bias of the same length in a random direction",
        ),
        SINGLE: control(
            more(trials=100),
            "by how much the adapter makes a heavier noun more probable as the name of its own embedding",
            protects="refuted",
        ),
    },
    comparisons={
        BIAS: "the mixture and the trained bias, not scaled",
        SCALE: "the mixture times the trained scale, without the bias",
        HEAVIER: "the same difference for the heavier noun",
    },
)
def test_adapter_makes_mixtures_readable(
    lm: LanguageModel,
    nouns: Nouns,
    adapter: Adapter,
    draw_noun_pairs: Draw[NounPair],
    generator: torch.Generator,
) -> Evidence:
    """Read 0.6 of a noun and 0.4 of another after three nouns named by themselves, with and without the adapter.

    Value: the probability that the next token is the lighter noun, with the adapter minus without it. The adapter is
    trained once, on nouns of the pool that are in none of the pairs, to have the noun named whose embedding it is
    given; it has never had a mixture.
    """
    pairs = draw_noun_pairs(100, lambda some: unseen(nouns, some))
    ids = tokens(lm, pairs)
    mixture = mix_two(lm, ids, WEIGHTS).float()
    heavier = lm.embed(ids[:, 0]).float()
    length = lm.embed(ids).float().norm(dim=-1).mean(-1, keepdim=True)
    random = Adapter(adapter.scale, lm.noise_like(adapter.bias.unsqueeze(0), generator)[0])
    plain = named_as(lm, nouns, mixture, ids[:, 1])
    adapted = named_as(lm, nouns, adapter(mixture), ids[:, 1])

    def lighter(vectors: Tensor) -> list[Trial]:
        return trials(shown(pairs), value=named_as(lm, nouns, vectors, ids[:, 1]) - plain)

    def heavier_named(vectors: Tensor) -> Tensor:
        return named_as(lm, nouns, vectors, ids[:, 0])

    return Evidence(
        trials(
            shown(pairs),
            value=adapted - plain,
            mixture=components([pair.nouns for pair in pairs], WEIGHTS),
            inputs={"without the adapter": plain, "with it": adapted},
        ),
        {
            LENGTH: lighter(mixture * length / mixture.norm(dim=-1, keepdim=True)),
            RANDOM: lighter(random(mixture)),
            SINGLE: trials(
                [COMPLETION.format(f"<{pair.first}>") for pair in pairs],
                value=heavier_named(adapter(heavier)) - heavier_named(heavier),
            ),
            BIAS: lighter(mixture + adapter.bias),
            SCALE: lighter(adapter.scale * mixture),
            HEAVIER: trials(shown(pairs), value=heavier_named(adapter(mixture)) - heavier_named(mixture)),
        },
    )


@claim(
    "More than half of what an adapter of one scale and one bias adds to the probability of a mixture's lighter noun, "
    "its bias adds alone",
    source=SELF_INTERPRETATION,
    reported=REPORTED,
    # In shares of the adapter's mean gain: 5 points of it.
    rule=more(trials=100, matters=0.05),
    positive_controls={
        ADAPTER: control(more(than=GAIN, trials=100), "what it adds, as a probability and not as a share")
    },
    comparisons={SCALE: "what the trained scale adds without the bias, less half of what the adapter adds"},
    no_control="the value is a difference: the bias is compared with the adapter that it is part of",
)
def test_adapter_is_mostly_its_bias(
    lm: LanguageModel, nouns: Nouns, adapter: Adapter, draw_noun_pairs: Draw[NounPair]
) -> Evidence:
    """Value: what the trained bias adds without the scale, less half of what the adapter adds, in mean adapter's gains.

    The adapter and the reading are those of the claim above, on other pairs. The value is -0.5 in the mean where the
    bias adds nothing, and 0.5 where it adds all.
    """
    pairs = draw_noun_pairs(100, lambda some: unseen(nouns, some))
    ids = tokens(lm, pairs)
    mixture = mix_two(lm, ids, WEIGHTS).float()
    plain, whole, bias, scale = (
        named_as(lm, nouns, vectors, ids[:, 1])
        for vectors in (mixture, adapter(mixture), mixture + adapter.bias, adapter.scale * mixture)
    )
    gain = whole - plain

    def of_gain(part: Tensor) -> Tensor:
        # Where the adapter adds nothing, the positive control has failed.
        return (part - plain - gain / 2) / gain.mean().clamp(min=1e-6)

    return Evidence(
        trials(
            shown(pairs),
            value=of_gain(bias),
            mixture=components([pair.nouns for pair in pairs], WEIGHTS),
            inputs={"plain": plain, ADAPTER: whole, BIAS: bias, SCALE: scale},
        ),
        {ADAPTER: trials(shown(pairs), value=gain), SCALE: trials(shown(pairs), value=of_gain(scale))},
    )


def unseen(nouns: Nouns, pairs: list[NounPair]) -> list[bool]:
    """Return whether neither noun of each pair has trained the adapter or is in the frame's examples."""
    seen = {*training_nouns(nouns), *nouns.examples}
    return [not seen.intersection(pair.nouns) for pair in pairs]


def tokens(lm: LanguageModel, pairs: list[NounPair]) -> Tensor:
    """[pairs, 2] the nouns' tokens."""
    return torch.tensor([[single_token(lm, noun) for noun in pair.nouns] for pair in pairs])


def shown(pairs: list[NounPair]) -> list[str]:
    """The question about each mixture, as trials show it."""
    return [COMPLETION.format(MIXTURE.format(*pair.nouns)) for pair in pairs]
