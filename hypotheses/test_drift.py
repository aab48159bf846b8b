"""Do concept tokens stay where tokens are, also many in a row?"""

from __future__ import annotations

from vsg_core import ConceptWriter, Evidence, Trial, claim, difference, presets, torch

STUDY = "abstractionlair/vector-space-generation"
README = "https://github.com/abstractionlair/vector-space-generation"
SPECIFICATION = f"{README}/blob/main/docs/implementation-spec.md"
NUMBERS = ("N = 2", "N = 3", "N = 4", "N = 8")


@claim(
    "Concept tokens lie nearer to a token's embedding than the hidden states they come from do, at the same norm",
    source=f"{STUDY}, README, Plan 2",
    link=f"{README}#plan-2",
    reported="mixing embeddings is said to force one to stay in the area of the space populated by token embeddings",
    rule=difference(above=0.1),
    controls={"noise instead of concept tokens": difference(below=0.1)},
    comparisons=["raw hidden states", "plain mixtures"],
)
def test_concept_tokens_stay_nearer_the_table_than_hidden_states(lm, open_prompts, open_logits, generator):
    """Value: distance to the nearest token, in norms of the vector, of the hidden state minus of the concept token.

    The hidden state is what the head sees, scaled to the concept token's norm; "raw" is not scaled. The bound is
    a tenth of the norm. The control puts Gaussian noise of that norm in the concept token's place, which must be
    no nearer than that: else any vector would be.
    """
    from fixtures.concepts import remoteness

    rows = torch.arange(len(open_prompts))
    study, plain = (
        ConceptWriter(lm, mixing)(open_logits, rows, 0).inputs for mixing in (presets.STUDY, presets.PLAIN)
    )
    raw = lm.hidden_states(open_prompts)[:, -1].to(lm.device)
    noise = torch.randn(study.shape, generator=generator).to(lm.device)
    norms = study.float().norm(dim=-1, keepdim=True)  # [prompts, 1]
    hidden, noise = (vectors / vectors.norm(dim=-1, keepdim=True) * norms for vectors in (raw, noise))
    far = {
        name: remoteness(lm, vectors).tolist()
        for name, vectors in {
            "hidden state": hidden, "raw": raw, "noise": noise, "concept token": study, "plain mixture": plain,
        }.items()
    }  # fmt: skip

    def farther(name, than):
        return [
            Trial(prompt, value=far[name][i] - far[than][i], inputs={name: far[name][i], than: far[than][i]})
            for i, prompt in enumerate(open_prompts)
        ]

    arms = {
        "noise instead of concept tokens": farther("hidden state", "noise"),
        "raw hidden states": farther("raw", "concept token"),
        "plain mixtures": farther("hidden state", "plain mixture"),
    }
    return Evidence(farther("hidden state", "concept token"), arms)


@claim(
    "The more concept tokens in a row, the farther from the tokens' embeddings: the 8th farther than the 2nd",
    source=f"{STUDY}, docs/implementation-spec.md, Expected Outcomes",
    link=SPECIFICATION,
    reported="expected: N of 2 or 3 should work, above 4 may drift off-manifold; N up to 4 was run, not measured",
    rule=difference(above=0.0),
    comparisons=[*NUMBERS, "with no regard to the text"],
)
def test_concept_tokens_leave_the_table_as_they_follow_each_other(lm, open_prompts, drift):
    """Excess: distance of the N-th concept token to the nearest token, in its own norms, after N - 1 concept tokens,
    minus that of the concept token that would come N-th after N - 1 greedy tokens.

    Value: excess of the 8th minus that of the 2nd; the comparisons are the excesses. A concept token is farther
    from every token where the text can go on in more ways, whatever came before: the excess takes that off, and
    "with no regard to the text" leaves it in.
    """
    excess = drift.remoteness - drift.remoteness_in_text
    grown = drift.remoteness[:, -1] - drift.remoteness[:, 0]
    arms = {name: paths(open_prompts, drift, excess[:, n]) for n, name in enumerate(NUMBERS)}
    arms["with no regard to the text"] = paths(open_prompts, drift, grown)
    return Evidence(paths(open_prompts, drift, excess[:, -1] - excess[:, 0]), arms)


@claim(
    "The more concept tokens in a row, the more the prediction departs from that after as many greedy tokens",
    source=f"{STUDY}, README, Plan 1: Issues; docs/implementation-spec.md, Expected Outcomes",
    link=SPECIFICATION,
    reported="expected: as the vectors go on, they get so far from training that the output becomes garbage; to depart "
    "is no garbage yet, drawn tokens do so too",
    rule=difference(above=0.0),
    comparisons=[*NUMBERS, *(f"drawn tokens, {name}" for name in NUMBERS)],
)
def test_predictions_drift_with_the_number_of_concept_tokens(lm, open_prompts, drift):
    """Value: Jensen-Shannon divergence, in bits, of the next-token distribution after 8 of the study's concept tokens
    from that after 8 greedy tokens, minus the same at 2. The comparisons are the divergences.

    Any two paths part as they go on. So tokens drawn from the model are followed as well, each path as fluent as
    the model itself: a drift below theirs is a change of subject at most, and no sign of garbage.
    """
    arms = {
        prefix + name: paths(open_prompts, drift, bits[:, n])
        for prefix, bits in (("", drift.bits), ("drawn tokens, ", drift.bits_drawn))
        for n, name in enumerate(NUMBERS)
    }
    return Evidence(paths(open_prompts, drift, drift.bits[:, -1] - drift.bits[:, 0]), arms)


@claim(
    "After 8 concept tokens the prediction is nearer to that after 8 greedy tokens than it is after 8 drawn ones",
    source="Wu et al., LLMs are Single-threaded Reasoners, arXiv 2508.03440, abstract",
    link="https://arxiv.org/abs/2508.03440",
    reported="reliance on the heaviest token is said to reduce plain Soft Thinking to a form of greedy decoding",
    rule=difference(below=0.0),
    comparisons=NUMBERS,
)
def test_concept_tokens_stay_with_greedy_decoding(lm, open_prompts, drift):
    """The rival of drift into garbage. Value: divergence in bits from greedy of the concept tokens' path minus that
    of the drawn tokens' path, at 8; the comparisons have it at each N.

    The tokens are drawn at temperature 1, the concept tokens are the study's, whose sharpening helps.
    """
    nearer = drift.bits - drift.bits_drawn
    arms = {name: paths(open_prompts, drift, nearer[:, n]) for n, name in enumerate(NUMBERS)}
    return Evidence(paths(open_prompts, drift, nearer[:, -1]), arms)


def paths(prompts, drift, values):
    """A trial a prompt: its value [prompts], and the two paths."""
    return [
        Trial(prompt, output=soft, value=value, outputs={"greedy tokens": hard})
        for prompt, soft, hard, value in zip(
            prompts, drift.heaviest, drift.greedy, values.tolist(), strict=True
        )
    ]
