"""What kind of vectors are concept tokens?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.sources import FILE, QWEN_CODE, STUDY
from vsg_core import (
    ConceptToken,
    Evidence,
    LanguageModel,
    Mixture,
    Trial,
    claim,
    control,
    decompose,
    doses,
    entropy_bits,
    more,
    nearest_tokens,
    nearly_always,
    not_mostly,
    presets,
    top_k_ids,
    torch,
    trials,
    write_concepts,
)

if TYPE_CHECKING:
    from torch import Tensor

ARTIFACTS = "conversations_and_artifacts"
# Numbers of mixed tokens next to the 32 of the claim, and the prompts of each comparison.
COMPONENTS, COMPARED = (2, 4, 8, 16, 64, 128), 20
ELSEWHERE = "share found after another prompt"


@claim(
    "A mixture of 32 tokens can be taken apart into its tokens and weights, from its vector alone",
    source=STUDY("README, Results", "#results"),
    reported="three tokens read off a mixture of 50: Paris, located, a; how many the vector itself keeps was not asked",
    identity=True,
    rule=nearly_always(trials=100),
    controls={
        "the tokens after another prompt": control(not_mostly(), "their mixture, which must not be found")
    },
    comparisons={
        **doses("{:g} tokens", COMPONENTS, "mixed tokens"),
        "32 random directions": "rows with the same norms: what is found there, too, is not about the model",
    },
)
def test_mixtures_of_32_tokens_can_be_taken_apart(
    lm: LanguageModel, open_prompts: list[str], open_logits: Tensor, generator: torch.Generator
) -> Evidence:
    """A mixture succeeds when 90 % of its weight is found on the right tokens.

    Its tokens are the 32 most probable after a prompt; its weights are drawn uniformly from all that sum to 1, as
    the model's own leave nearly all to a few. The reader is greedy, so that this is the least that can be found.
    """
    draws = torch.empty(len(open_prompts), max(COMPONENTS)).exponential_(generator=generator)

    def arms(table: Tensor, sizes: Mapping[int, int]) -> list[list[Trial]]:
        return take_apart(lm, table, open_prompts, open_logits, [draws[:n, :k] for k, n in sizes.items()])

    whole, *fewer = arms(lm.embedding_table, {32: len(open_prompts), **dict.fromkeys(COMPONENTS, COMPARED)})
    (random,) = arms(lm.noise_like(lm.embedding_table.float(), generator), {32: COMPARED})
    elsewhere = [(trial.inputs or {})[ELSEWHERE] >= 0.9 for trial in whole]
    return Evidence(
        whole,
        {
            "the tokens after another prompt": trials(open_prompts, success=elsewhere),
            **{f"{k} tokens": arm for k, arm in zip(COMPONENTS, fewer, strict=True)},
            "32 random directions": random,
        },
    )


def take_apart(
    lm: LanguageModel, table: Tensor, prompts: list[str], logits: Tensor, draws: list[Tensor]
) -> list[list[Trial]]:
    """Mix the first n prompts' k most probable tokens, for each `draws` [n, k] of weights: one trial per prompt."""
    mixed: list[list[Mixture]] = []
    vectors: list[Tensor] = []
    for drawn in draws:
        ids = top_k_ids(logits[: len(drawn)], drawn.shape[-1])  # [n, k]
        weights = (drawn / drawn.sum(-1, keepdim=True)).sort(descending=True).values.to(lm.device)
        vectors.append((weights.unsqueeze(-1) * table[ids].float()).sum(1))  # [n, hidden]
        mixed.append(
            [Mixture(tuple(i), tuple(w)) for i, w in zip(ids.tolist(), weights.tolist(), strict=True)]
        )
    most = [2 * drawn.shape[-1] for drawn in draws for _ in drawn]
    # All at once, since every round multiplies the whole table with the vectors that are left
    read = iter(decompose(lm, torch.cat(vectors), most=most, table=table))
    return [taken_apart(lm, prompts[: len(arm)], arm, list(islice(read, len(arm)))) for arm in mixed]


def taken_apart(
    lm: LanguageModel, prompts: list[str], mixed: list[Mixture], read: list[Mixture]
) -> list[Trial]:
    """One trial per prompt: the mixture and what the reader found in its vector."""
    found = [one.normalised() for one in read]
    right = [one.overlap(other) for one, other in zip(mixed, found, strict=True)]
    return trials(
        prompts,
        output=[", ".join(f"{token!r} {weight:.3f}" for token, weight in one.spelled(lm)) for one in read],
        success=[share >= 0.9 for share in right],
        mixture=[one.spelled(lm) for one in mixed],
        inputs={
            "tokens found": [len({*a.token_ids} & {*b.token_ids}) for a, b in zip(mixed, read, strict=True)],
            "share found": right,
            ELSEWHERE: [mixed[i - 1].overlap(one) for i, one in enumerate(found)],
        },
    )


# The weight under which no token has the most of a mixture.
HALF = 0.5
EXCHANGED, AT_RANDOM = "the two heaviest exchanged", "the same weights on random tokens"


@claim(
    "Where no token has half of the weight, the token nearest to a concept token is still its heaviest one, nearly "
    "always",
    source=STUDY(f"README, Results; the saved output and the log in {ARTIFACTS}", FILE + ARTIFACTS),
    reported="so in each of the vectors whose weights are printed, from 0.52 to 0.93 on the heaviest token",
    rule=nearly_always(trials=100),
    controls={
        EXCHANGED: control(
            not_mostly(),
            "whether the same token is the nearest after its weight and that of the second heaviest changed places",
        )
    },
    comparisons={
        "by cosine": "the token of the largest cosine",
        "by centred cosine": "the token of the largest cosine after subtracting the mean of the table from both",
        AT_RANDOM: "tokens that are alike only by chance: whether theirs is the heaviest",
    },
)
def test_nearest_token_is_the_heaviest(
    lm: LanguageModel, draw_openings: Draw[Opening], generator: torch.Generator
) -> Evidence:
    """The study's concept token after each prompt, and the token nearest to it by L2 distance, as in the study.

    Only prompts after which the heaviest token has less than half of the weight: with more than half, tokens must be
    very much alike for another one to be the nearest.
    """
    written: dict[str, ConceptToken] = {}

    def has_no_half(openings: list[Opening]) -> list[bool]:
        texts = [opening.text for opening in openings]
        traces = write_concepts(lm, texts, mixing=presets.STUDY)
        written.update({text: trace.steps[0] for text, trace in zip(texts, traces, strict=True)})
        return [written[text].mixture.weights[0] < HALF for text in texts]

    prompts = [opening.text for opening in draw_openings(120, has_no_half)]
    concepts = [written[prompt] for prompt in prompts]
    mixtures = [concept.mixture for concept in concepts]
    vectors = torch.stack([concept.vector for concept in concepts])  # [prompts, hidden]
    scattered = [on_random_tokens(lm, mixture, generator) for mixture in mixtures]

    def arm(mixed: list[Mixture], vectors: Tensor, wanted: list[Mixture], by: str = "l2") -> list[Trial]:
        """A success is nearest to the heaviest token of `wanted`."""
        nearest = nearest_tokens(lm, vectors, by=by)[0].tolist()
        return trials(
            prompts,
            output=[repr(lm.token(token)) for token in nearest],
            success=[near == one.heaviest for near, one in zip(nearest, wanted, strict=True)],
            mixture=[one.spelled(lm) for one in mixed],
        )

    exchanged = [with_the_two_heaviest_exchanged(mixture) for mixture in mixtures]
    return Evidence(
        arm(mixtures, vectors, mixtures),
        {
            EXCHANGED: arm(exchanged, lm.mix(exchanged), mixtures),
            "by cosine": arm(mixtures, vectors, mixtures, by="cosine"),
            "by centred cosine": arm(mixtures, vectors, mixtures, by="centred"),
            AT_RANDOM: arm(scattered, lm.mix(scattered), scattered),
        },
    )


def with_the_two_heaviest_exchanged(mixture: Mixture) -> Mixture:
    """The same mixture, in which the heaviest token and the second heaviest have each other's weight."""
    first, second, *rest = mixture.token_ids
    return Mixture((second, first, *rest), mixture.weights)


def on_random_tokens(lm: LanguageModel, mixture: Mixture, generator: torch.Generator) -> Mixture:
    """The weights of a mixture on as many different tokens, drawn from all with a CPU generator."""
    places = torch.randperm(len(lm.token_ids), generator=generator)[: len(mixture.weights)]
    return Mixture(tuple(lm.token_ids[place] for place in places.tolist()), mixture.weights)


@claim(
    "Mixtures shrink as entropy grows: of two, the one of more entropy keeps less of its tokens' norm, by more than 5 "
    "points on average",
    source=STUDY("src/qwen_concept_tokens.py: the norm is clipped at 1.5 times that of a token", QWEN_CODE),
    reported="only norms above 1.5 token norms were expected to need care; the saved output has no norms",
    identity=True,
    rule=more(than=0.05),
    unit="token norms",
    comparisons={
        "in mean token norms": "the bare norm, in which it matters whether frequent tokens are short or long",
        "the same weights on random tokens": "which are alike only by chance",
    },
    no_control="the direction is arithmetic whatever the vectors, so no arm is without the effect; a comparison shows "
    "its size for tokens that are alike only by chance",
)
def test_mixtures_shrink_with_entropy(
    lm: LanguageModel, open_prompts: list[str], open_logits: Tensor, generator: torch.Generator
) -> Evidence:
    """Value: the mixture's norm over the weighted mean norm of its tokens, the lower entropy's minus the higher's.

    Mixtures are plain, and prompts are paired as they follow each other in their list. The ratio never exceeds 1
    and falls as weights spread, whatever the vectors: the direction is arithmetic, and only the size is the
    model's. It depends on how alike the mixed tokens are.
    """
    weights = open_logits.softmax(-1)  # [prompts, vocab]
    tokens = lm.is_token.nonzero().flatten()
    scattered = torch.zeros_like(weights)
    scattered[:, tokens[torch.randperm(len(tokens), generator=generator).to(lm.device)]] = weights[:, tokens]
    norms = lm.mix(weights).float().norm(dim=-1)  # [prompts]
    by_chance = lm.mix(scattered).float().norm(dim=-1) / (scattered @ lm.embedding_norms)
    bits = entropy_bits(open_logits)
    pairs = torch.arange(len(open_prompts), device=bits.device).view(-1, 2)  # [pairs, 2]
    pairs = pairs.gather(-1, bits[pairs].argsort(dim=-1, stable=True))  # fewer bits first
    low, high = pairs.T
    prompts = [f"{open_prompts[i]} … / {open_prompts[j]} …" for i, j in zip(low, high, strict=True)]

    def arm(kept: Tensor) -> list[Trial]:
        return trials(
            prompts,
            value=kept[low] - kept[high],
            inputs={
                name: torch.stack([column[low], column[high]], dim=1)
                for name, column in {"bits": bits, "measured": kept}.items()
            },
        )

    return Evidence(
        arm(norms / (weights @ lm.embedding_norms)),
        {
            "in mean token norms": arm(norms / lm.embedding_norm),
            "the same weights on random tokens": arm(by_chance),
        },
    )
