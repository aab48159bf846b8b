"""Do concept tokens preserve superpositions?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fixtures.sources import STUDY
from vsg_core import (
    ConceptWriter,
    Evidence,
    LanguageModel,
    Mixing,
    Mixture,
    Trial,
    claim,
    control,
    decompose,
    js_divergences_bits,
    less,
    more,
    mostly,
    nearest_tokens,
    nearly_always,
    not_mostly,
    presets,
    torch,
    trials,
    write_concepts,
)

if TYPE_CHECKING:
    from torch import Tensor

RESULTS = STUDY("README, Results", "#results")
TO_TOP, TO_BLEND, TO_PERMUTED = "bits to top-1 branch", "bits to blend", "bits to permuted blend"


@claim(
    "A concept token's components and their weights can be recovered from its vector alone",
    source=RESULTS,
    headline=True,
    reported="the nearest tokens showed superpositions of truly different responses: Paris, located, a",
    rule=nearly_always(),
    controls={
        "weights permuted": control(
            not_mostly(), "the components found, compared with the true ones in permuted weights"
        )
    },
    comparisons={
        "nearest token alone": "the nearest token, taken for the whole mixture",
        "in a random table": "the same tokens and weights, mixed from the rows of an untrained model's table",
    },
)
def test_mixture_is_recoverable_from_its_vector(lm: LanguageModel, forking_prompts: list[str]) -> Evidence:
    """A prompt succeeds when 90 % of the weight is found on the right tokens.

    The vector is the study's mixture after a prompt whose top-1 probability is under 0.6; sharpening can still leave
    nearly all weight on one token. The reader gets the vector and the embedding table, and expects few components.
    This is about vectors: whether the model itself uses the mixture is the next claim.
    """
    concepts = [trace.steps[0] for trace in write_concepts(lm, forking_prompts, mixing=presets.STUDY)]
    mixtures = [concept.mixture for concept in concepts]
    vectors = torch.stack([concept.vector for concept in concepts])  # [prompts, hidden]
    recovered = [mixture.normalised() for mixture in decompose(lm, vectors)]
    nearest = nearest_tokens(lm, vectors)[0].tolist()
    with lm.untrained() as twin:
        in_random_table = [mixture.normalised() for mixture in decompose(twin, twin.mix(mixtures))]
    permuted = [mixture.permuted() for mixture in mixtures]
    shown = {
        "output": [spelled(lm, mixture) for mixture in recovered],
        "mixture": [mixture.spelled(lm) for mixture in mixtures],
        "inputs": {"entropy_bits": [concept.entropy for concept in concepts]},
    }
    only_nearest = [Mixture((token,), (1.0,)) for token in nearest]
    return Evidence(
        overlaps(forking_prompts, mixtures, recovered, **shown),
        {
            "weights permuted": overlaps(forking_prompts, permuted, recovered, **shown),
            "nearest token alone": overlaps(
                forking_prompts, mixtures, only_nearest, output=[repr(lm.token(token)) for token in nearest]
            ),
            "in a random table": overlaps(forking_prompts, mixtures, in_random_table),
        },
    )


def overlaps(prompts: list[str], true: list[Mixture], read: list[Mixture], **columns: Any) -> list[Trial]:
    """One trial per prompt: the weight that the true mixture and the one read share; success from 90 %."""
    shares = [one.overlap(other) for one, other in zip(true, read, strict=True)]
    return trials(prompts, success=[share >= 0.9 for share in shares], value=shares, **columns)


def spelled(lm: LanguageModel, mixture: Mixture) -> str:
    """The heaviest tokens with their weights, as one line."""
    return ", ".join(f"{token!r} {weight:.3f}" for token, weight in mixture.spelled(lm))


REST_PERMUTED = {
    "rest permuted": control(
        less(), "bits to the blend minus bits to a blend whose minor branches have each other's weights"
    )
}


@claim(
    "After a concept token the next distribution is nearer to the blend of its branches than to the top-1 branch",
    source=RESULTS,
    headline=True,
    reported="the vectors were superpositions of different potential responses, each with its own continuation",
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="bits",
    controls=REST_PERMUTED,
)
def test_next_step_blends_the_branches(lm: LanguageModel, forking_prompts: list[str]) -> Evidence:
    """Value, in bits: the Jensen-Shannon divergence to the top-1 branch minus that to the blend of all branches.

    This is the mean over prompts, where a few that blend by far can outweigh many that do not; the next claim counts.
    """
    return follow_branches(lm, forking_prompts)


@claim(
    "After a concept token the next distribution is, for most prompts, nearer to the blend than to the top-1 branch",
    source=RESULTS,
    headline=True,
    reported="the vectors were superpositions of different potential responses, each with its own continuation",
    rule=mostly(),
    unit="bits",
    controls=REST_PERMUTED,
)
def test_next_step_blends_the_branches_of_most_prompts(
    lm: LanguageModel, fresh_forking_prompts: list[str]
) -> Evidence:
    """A prompt succeeds when the divergence to the blend is the smaller one.

    Counted on other prompts, because the numbers of the claim on the mean suggested the question.
    """
    return follow_branches(lm, fresh_forking_prompts)


def follow_branches(lm: LanguageModel, prompts: list[str]) -> Evidence:
    """Compare the model's next step after a concept token with its next step after each of the components.

    The concept token is the study's with its 10 heaviest tokens, so that each branch can be followed: the
    same prompt, then that token. The blend weighs the branches as the mixture weighs their tokens. The study's
    norm clip is left out. If the control is not below 0, the minor branches' weights leave no trace of their own.
    """
    writer = ConceptWriter(lm, Mixing(temperature=0.8, top_k=10, sharpening=1.5))
    blends: dict[int, Trial] = {}
    permuted: dict[int, Trial] = {}
    for rows, state in lm.prefill(prompts, room=1):
        written = writer(state.logits, rows, step=0)
        every = torch.arange(len(rows))
        after_concept = lm.step(lm.select(state, every), written.inputs).logits.softmax(-1)
        counts = [len(concept.mixture.token_ids) for concept in written.kept]
        tokens = torch.tensor([token for concept in written.kept for token in concept.mixture.token_ids])
        all_branches = lm.logits_after(state, every.repeat_interleave(torch.tensor(counts)), tokens)
        each = zip(rows.tolist(), written.kept, all_branches.softmax(-1).split(counts), strict=True)
        for i, (row, concept, branches) in enumerate(each):
            bits = bits_to_branches(after_concept[i], branches, concept.mixture)
            follows, shown = lm.token(int(after_concept[i].argmax())), concept.mixture.spelled(lm)
            gap = bits[TO_TOP] - bits[TO_BLEND]
            blends[row] = Trial(prompts[row], follows, gap > 0, gap, inputs=bits, mixture=shown)
            permuted[row] = Trial(prompts[row], follows, value=bits[TO_BLEND] - bits[TO_PERMUTED])
    return Evidence(
        [blends[row] for row in sorted(blends)],
        {"rest permuted": [permuted[row] for row in sorted(permuted)]},
    )


def bits_to_branches(after_concept: Tensor, branches: Tensor, mixture: Mixture) -> dict[str, float]:
    """[vocab] and [branches, vocab] probabilities -> divergences from the former to blends of the latter."""
    weights = torch.tensor(mixture.weights).to(branches.device)
    # The top keeps its weight.
    others = torch.cat([weights[:1], weights[1:].flip(0)])
    targets = {TO_TOP: branches[0], TO_BLEND: weights @ branches, TO_PERMUTED: others @ branches}
    bits = js_divergences_bits([after_concept], list(targets.values()))[0]
    return dict(zip(targets, bits.tolist(), strict=True))
