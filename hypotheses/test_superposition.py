"""Do concept tokens preserve superpositions?"""

from __future__ import annotations

from vsg_core import (
    ConceptWriter,
    Evidence,
    Mixing,
    Mixture,
    Trial,
    claim,
    decompose,
    difference,
    js_divergence_bits,
    nearest_tokens,
    presets,
    rate,
    torch,
    write_concepts,
)

STUDY = "abstractionlair/vector-space-generation, README, Results"
LINK = "https://github.com/abstractionlair/vector-space-generation#results"


@claim(
    "A concept token's components and their weights can be recovered from its vector alone",
    source=STUDY,
    link=LINK,
    headline=True,
    reported="the nearest tokens showed superpositions of truly different responses: Paris, located, a",
    rule=rate(above=0.9),
    controls={"weights permuted": rate(below=0.5)},
    comparisons=["nearest token alone", "in a random table"],
)
def test_mixture_is_recoverable_from_its_vector(lm, forking_prompts):
    """A prompt succeeds when 90 % of the weight is found on the right tokens.

    The vector is the study's mixture (temperature 0.8, top 50, sharpening 1.5) after a prompt whose top-1
    probability is under 0.6; sharpening can still leave nearly all weight on one token, so "nearest token
    alone" shows how often that token is enough. The reader sees the vector and the embedding table, and
    expects few components. Control: what it found, held against the same tokens with their weights permuted;
    it must fail there. This is about vectors: "in a random table" the same tokens with the same weights are mixed
    from the rows of an untrained model's table. Whether the model itself makes use of the mixture is the next claim.
    """
    traces = write_concepts(lm, forking_prompts, n=1, mixing=presets.STUDY)
    concepts = [trace.steps[0] for trace in traces]
    vectors = torch.stack([concept.vector for concept in concepts])  # [prompts, hidden]
    nearest = nearest_tokens(lm, vectors)[0].tolist()
    trials: list[Trial] = []
    permuted: list[Trial] = []
    top_only: list[Trial] = []
    for prompt, concept, found, top in zip(
        forking_prompts, concepts, decompose(lm, vectors), nearest, strict=True
    ):
        found, true = found.normalised(), concept.mixture
        inputs = {"mixture": true.spelled(lm), "entropy_bits": concept.entropy}
        recovered = ", ".join(f"{token!r} {weight:.3f}" for token, weight in found.spelled(lm))
        for arm, mixture in ((trials, true), (permuted, true.permuted())):
            share = mixture.overlap(found)
            arm.append(Trial(prompt, output=recovered, success=share >= 0.9, value=share, inputs=inputs))
        share = true.overlap(Mixture((top,), (1.0,)))
        top_only.append(Trial(prompt, output=repr(lm.token(top)), success=share >= 0.9, value=share))
    mixtures = [concept.mixture for concept in concepts]
    with lm.untrained() as twin:
        read = decompose(twin, twin.mix(mixtures))
    random_table = []
    for prompt, true, found in zip(forking_prompts, mixtures, read, strict=True):
        share = true.overlap(found.normalised())
        random_table.append(Trial(prompt, success=share >= 0.9, value=share))
    return Evidence(
        trials,
        {
            "weights permuted": permuted,
            "nearest token alone": top_only,
            "in a random table": random_table,
        },
    )


REST_PERMUTED = {"rest permuted": difference(below=0.0)}


@claim(
    "After a concept token the next distribution is nearer to the blend of its branches than to the top-1 branch",
    source=STUDY,
    link=LINK,
    headline=True,
    reported="the vectors were superpositions of different potential responses, each with its own continuation",
    rule=difference(above=0.0),
    controls=REST_PERMUTED,
)
def test_next_step_blends_the_branches(lm, forking_prompts):
    """Value, in bits: the Jensen-Shannon divergence to the top-1 branch minus that to the blend of all branches.

    The mean over prompts: a few that blend by far can outweigh many that do not, which the next claim counts.
    """
    return follow_branches(lm, forking_prompts)


@claim(
    "After a concept token the next distribution is, for most prompts, nearer to the blend than to the top-1 branch",
    source=STUDY,
    link=LINK,
    headline=True,
    reported="the vectors were superpositions of different potential responses, each with its own continuation",
    rule=rate(above=0.5),
    controls=REST_PERMUTED,
)
def test_next_step_blends_the_branches_of_most_prompts(lm, fresh_forking_prompts):
    """Counted on prompts of its own: the mean claim's numbers, on others, suggested the question.

    A prompt succeeds when the divergence to the blend is the smaller one.
    """
    return follow_branches(lm, fresh_forking_prompts)


def follow_branches(lm, prompts):
    """Where the model goes after a concept token, against where each of its tokens would have led.

    The concept token is the study's with its 10 heaviest tokens, so that each branch can be followed: the
    same prompt, then that token. The blend weighs the branches as the mixture weighs their tokens. Only
    prompts whose top-1 probability is under 0.6; the study's norm clip is left out. Control: the divergence
    to the blend minus that to a blend which keeps the top weight and gives the others' weights to other
    branches; it must be below 0, else the minor branches' weights leave no trace of their own.
    """
    writer = ConceptWriter(lm, Mixing(temperature=0.8, top_k=10, sharpening=1.5))
    trials, permuted = {}, {}
    for rows, state in lm.prefill(prompts, room=1):
        written = writer(state.logits, rows, step=0)
        after_concept = lm.step(lm.select(state, torch.arange(len(rows))), written.inputs).logits.softmax(-1)
        for i, (row, concept) in enumerate(zip(rows.tolist(), written.kept, strict=True)):
            tokens = torch.tensor(concept.mixture.token_ids)
            weights = torch.tensor(concept.mixture.weights).to(lm.device)
            branches = lm.step(lm.select(state, torch.full_like(tokens, i)), tokens).logits.softmax(-1)
            others = torch.cat([weights[:1], weights[1:].flip(0)])  # the top keeps its weight
            to_top = js_divergence_bits(after_concept[i], branches[0])
            to_blend = js_divergence_bits(after_concept[i], weights @ branches)
            to_permuted = js_divergence_bits(after_concept[i], others @ branches)
            inputs = {
                "mixture": concept.mixture.spelled(lm),
                "bits to top-1 branch": to_top.item(),
                "bits to blend": to_blend.item(),
                "bits to permuted blend": to_permuted.item(),
            }
            gap, follows = (to_top - to_blend).item(), lm.token(int(after_concept[i].argmax()))
            trials[row] = Trial(prompts[row], output=follows, success=gap > 0, value=gap, inputs=inputs)
            permuted[row] = Trial(prompts[row], output=follows, value=(to_blend - to_permuted).item())
    return Evidence(
        [trials[row] for row in sorted(trials)],
        {"rest permuted": [permuted[row] for row in sorted(permuted)]},
    )
