"""Do concept tokens stay where tokens are, also many in a row?"""

from __future__ import annotations

from fixtures.draws import Draw
from fixtures.paths import (
    DRIFT_AT,
    Distances,
    Drift,
    FromGreedy,
    measure_distances,
    measure_from_greedy,
    remoteness,
)
from fixtures.pools.openings import Opening
from fixtures.sources import FILE, SPECIFICATION, STUDY, WU
from vsg_core import (
    ConceptWriter,
    Evidence,
    LanguageModel,
    Trial,
    claim,
    control,
    doses,
    less,
    more,
    presets,
    torch,
    trials,
)

AT_EACH_N = doses("N = {:g}", DRIFT_AT, "vectors in a row")


@claim(
    "Concept tokens lie nearer to a token's embedding than the hidden states they come from do, at the same norm",
    source=STUDY("README, Plan 2", "#plan-2"),
    reported="mixing embeddings is said to force one to stay in the area of the space populated by token embeddings",
    identity=True,
    rule=more(than=0.1),
    unit="of the norm",
    controls={"noise instead of concept tokens": control(less(than=0.1), "Gaussian noise of the same norm")},
    comparisons={
        "raw hidden states": "the hidden state is not scaled",
        "plain mixtures": "the full next-token distribution in place of the study's mixture",
    },
)
def test_concept_tokens_stay_nearer_the_table_than_hidden_states(
    lm: LanguageModel, open_prompts: list[str], open_logits: torch.Tensor, generator: torch.Generator
) -> Evidence:
    """Value: the hidden state's distance to the nearest token minus the concept token's, in norms of each vector.

    The hidden state is what the head sees, scaled to the concept token's norm. The bound is a tenth of the norm.
    """
    rows = torch.arange(len(open_prompts))
    study, plain = (
        ConceptWriter(lm, mixing)(open_logits, rows, 0).inputs for mixing in (presets.STUDY, presets.PLAIN)
    )
    raw = lm.hidden_states(open_prompts)[:, -1].to(lm.device)
    noise = torch.randn(study.shape, generator=generator).to(lm.device)
    norms = study.float().norm(dim=-1, keepdim=True)  # [prompts, 1]
    hidden, noise = (vectors / vectors.norm(dim=-1, keepdim=True) * norms for vectors in (raw, noise))
    vectors = {
        "hidden state": hidden,
        "raw": raw,
        "noise": noise,
        "concept token": study,
        "plain mixture": plain,
    }
    far = {name: remoteness(lm, rows).double() for name, rows in vectors.items()}

    def farther(name: str, than: str) -> list[Trial]:
        return trials(open_prompts, value=far[name] - far[than], inputs={name: far[name], than: far[than]})

    return Evidence(
        farther("hidden state", than="concept token"),
        {
            "noise instead of concept tokens": farther("hidden state", than="noise"),
            "raw hidden states": farther("raw", than="concept token"),
            "plain mixtures": farther("hidden state", than="plain mixture"),
        },
    )


@claim(
    "The more concept tokens in a row, the farther from the tokens' embeddings: the 5th to 8th farther than the first "
    "four",
    source=SPECIFICATION("Expected Outcomes"),
    reported="expected: N of 2 or 3 should work, above 4 may drift off-manifold; N up to 4 was run, not measured",
    # Distances are in norms of the vectors: a twentieth of one, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="of the norm",
    comparisons={**AT_EACH_N, "with no regard to the text": "distances in place of excesses"},
    no_control="the value already subtracts the distance of a concept token after greedy tokens: the same "
    "place, with no concept tokens before it",
)
def test_concept_tokens_leave_the_table_as_they_follow_each_other(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """Value: the mean excess distance of the 5th to 8th concept token minus that of the 1st to 4th.

    Excess: the distance of the N-th concept token to the nearest token, in its own norms, after N - 1 concept tokens,
    minus that of the concept token that would come N-th after N - 1 greedy tokens; 0 for the first. Where the text can
    go on in more ways, a concept token is farther from every token, whatever came before: the excess leaves that out.
    The excesses of neighbouring positions hardly correlate, so the means of four have half the spread of one.
    """
    prompts = [opening.text for opening in draw_openings(spread=0.3)]
    found = measure_distances(lm, prompts)
    return Evidence(
        paths(prompts, found, growth(found.excess)),
        {
            **at_each_n(prompts, found, found.excess[:, [n - 1 for n in DRIFT_AT]]),
            "with no regard to the text": paths(prompts, found, growth(found.remoteness)),
        },
    )


def growth(values: torch.Tensor) -> torch.Tensor:
    """The mean of the last four minus that of the first four of values [prompts, 8]."""
    return values[:, 4:].mean(-1) - values[:, :4].mean(-1)


@claim(
    "The more concept tokens in a row, the more the prediction departs from that after as many greedy tokens",
    source=STUDY(
        "README, Plan 1: Issues; docs/implementation-spec.md, Expected Outcomes",
        FILE + "docs/implementation-spec.md",
    ),
    reported="expected: as the vectors go on, they get so far from training that the output becomes garbage; to depart "
    "is not yet garbage, drawn tokens do so too",
    identity=True,
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="bits",
    comparisons={**AT_EACH_N, **doses("drawn tokens, N = {:g}", DRIFT_AT, "vectors in a row")},
    no_control="any two paths diverge as they go on, so no path is without the effect; how far drawn tokens "
    "diverge is a comparison",
)
def test_predictions_drift_with_the_number_of_concept_tokens(
    open_prompts: list[str], drift: Drift
) -> Evidence:
    """Value: the divergence after 8 of the study's concept tokens from 8 greedy tokens, minus that after 2 from 2.

    Divergence: Jensen-Shannon, in bits, of the next-token distributions. Any two paths diverge as they go on, so
    tokens drawn from the model are followed as well, each path as fluent as the model itself: a drift below theirs is
    at most a change of subject, not a sign of garbage.
    """
    return Evidence(
        paths(open_prompts, drift, drift.bits[:, -1] - drift.bits[:, 0]),
        at_each_n(open_prompts, drift, drift.bits)
        | at_each_n(open_prompts, drift, drift.bits_drawn, "drawn tokens, "),
    )


AVERAGE = "average over drawn paths"


@claim(
    "After 8 concept tokens the prediction is nearer to that after 8 greedy tokens than it is after 8 tokens drawn "
    "from the same weights",
    source=WU("abstract"),
    reported="reliance on the heaviest token is said to reduce plain Soft Thinking to a form of greedy decoding",
    # A divergence is at most 1 bit: a twentieth of that range, as 5 points of a rate.
    rule=less(matters=0.05),
    unit="bits",
    controls={
        AVERAGE: control(
            less(),
            "the average prediction over 4 drawn paths in place of the mean over their divergences: concept tokens "
            "that kept all paths at once would be as near as this, without being greedy",
        )
    },
    comparisons=AT_EACH_N,
)
def test_concept_tokens_stay_with_greedy_decoding(
    lm: LanguageModel, draw_openings: Draw[Opening]
) -> Evidence:
    """The alternative to a drift into garbage: a path that stays with greedy decoding.

    Value: the divergence, in bits, of the concept tokens' path from the greedy one, minus the mean over 4 paths of
    tokens drawn from the weights that the concept tokens mix, at 8: the study's, with its temperature and sharpening.
    """
    prompts = [opening.text for opening in draw_openings(150)]
    found = measure_from_greedy(lm, prompts)
    nearer = found.concepts - found.drawn
    return Evidence(
        paths(prompts, found, nearer[:, -1]),
        {
            AVERAGE: paths(prompts, found, (found.concepts - found.average)[:, -1]),
            **at_each_n(prompts, found, nearer),
        },
    )


def at_each_n(
    prompts: list[str], found: Drift | Distances | FromGreedy, values: torch.Tensor, prefix: str = ""
) -> dict[str, list[Trial]]:
    """The arms with the values [prompts, N] at each of DRIFT_AT."""
    return {
        prefix + name: paths(prompts, found, column) for name, column in zip(AT_EACH_N, values.T, strict=True)
    }


def paths(prompts: list[str], found: Drift | Distances | FromGreedy, values: torch.Tensor) -> list[Trial]:
    """One trial per prompt, with its value of [prompts] and both paths."""
    return trials(prompts, output=found.heaviest, value=values, outputs={"greedy tokens": found.greedy})
