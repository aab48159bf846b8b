"""Does writing in vectors differ from writing in tokens?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import eq, ne
from typing import TYPE_CHECKING, Any

from fixtures.draws import Draw
from fixtures.generation import (
    Agreement,
    Continuations,
    Traces,
    compare_with_greedy,
    share_agreeing,
    share_before_departure,
)
from fixtures.pools.openings import Opening
from fixtures.prompts import Fact
from fixtures.sources import WU
from vsg_core import (
    ConceptWriter,
    Evidence,
    LanguageModel,
    Mixing,
    Source,
    Trial,
    always,
    claim,
    control,
    decode,
    more,
    mostly,
    not_mostly,
    presets,
    rarely,
    trials,
)

if TYPE_CHECKING:
    pass


# Positions that are compared with greedy tokens
COMPARED = 8


@claim(
    "Along vanilla Soft Thinking more of the most probable tokens are the greedy ones than along tokens sampled from "
    "the same weights",
    source=WU,
    reported="reliance on the heaviest component reduces vanilla Soft Thinking to a form of greedy decoding; on "
    "three 32B models it scored about as greedy decoding did",
    rule=more(matters=0.05),
    unit="of the positions",
    comparisons={
        "before the first departure": "the share of positions before the first that is not greedy",
        "against the sampled tokens": "the sampled tokens in place of the most probable ones along them",
    },
    no_control="the value already subtracts the agreement along sampled tokens, read in the same way",
)
def test_soft_traces_agree_with_greedy_traces(lm: LanguageModel, draw_openings: Draw[Opening]) -> Evidence:
    """Write 8 positions in concept tokens, greedy tokens and sampled tokens, at Soft Thinking's published settings.

    Value: the share of the greedy tokens that are the heaviest along the concept tokens, minus the share of them that
    are the most probable along the sampled tokens. A sample is often not the most probable token, whatever came before,
    so sampled tokens themselves are only a comparison. The first position agrees by construction and does not count;
    paths are compared up to where the greedy text ends.
    """
    prompts = [opening.text for opening in draw_openings(spread=0.25)]
    return Evidence(*agreement_trials(lm, prompts, compare_with_greedy(lm, prompts, COMPARED)))


def agreement_trials(
    lm: LanguageModel, prompts: list[str], found: Agreement
) -> tuple[list[Trial], dict[str, list[Trial]]]:
    """The claim's own trials and its comparisons: one per prompt after which there are at least 2 greedy tokens."""
    rows = [row for row, tokens in enumerate(found.greedy) if len(tokens) > 1]

    def shares(share: Callable[..., float], paths: list[list[int]]) -> list[float]:
        return [share(paths[row], found.greedy[row]) for row in rows]

    def arm(share: Callable[..., float], others: list[list[int]], **columns: Any) -> list[Trial]:
        pairs = zip(shares(share, found.soft.tokens), shares(share, others), strict=True)
        return trials([prompts[row] for row in rows], value=[own - other for own, other in pairs], **columns)

    def texts(paths: list[list[int]]) -> list[str]:
        return [lm.decode(paths[row]) for row in rows]

    own = arm(
        share_agreeing,
        found.most_probable,
        output=texts(found.soft.tokens),
        mixture=[found.soft.first_mixtures[row] for row in rows],
        inputs={
            "heaviest tokens that are greedy": shares(share_agreeing, found.soft.tokens),
            "most probable tokens that are greedy": shares(share_agreeing, found.most_probable),
            "mean weight of the heaviest": [found.soft.mean_weights[row] for row in rows],
        },
        outputs={"greedy": texts(found.greedy), "sampled": texts(found.sampled)},
    )
    return own, {
        "before the first departure": arm(share_before_departure, found.most_probable),
        "against the sampled tokens": arm(share_agreeing, found.sampled),
    }


@claim(
    "Vanilla Soft Thinking is deterministic: the seed never changes its trace",
    source=Source(f"{WU.text}; official code, eric-ai-lab/Soft-Thinking", WU.link),
    reported="no step of the vanilla method draws anything; the authors' readme says that results still vary with "
    "the device and with how many requests run at once",
    identity=True,
    rule=always(),
    controls={
        "with Gumbel-softmax": control(not_mostly(), "a method that does draw: its two traces must differ")
    },
    comparisons={"in other batches": "after prompts that fork: the same 16 positions in batches of 25"},
)
def test_vanilla_soft_thinking_is_deterministic(
    lm: LanguageModel,
    open_prompts: list[str],
    fresh_prompts: list[str],
    facts: list[Fact],
    forking_prompts: list[str],
    traces: Traces,
) -> Evidence:
    """Compare tokens and weights of 4 concept tokens with seeds 0 and 1, in the same batch, to the last digit.

    By its definition the method draws nothing; this checks the implementation. In other batches, sums round
    differently: a token absorbs such a difference, a mixture passes it on.
    """
    prompts = [*open_prompts, *fresh_prompts, *(fact.prompt for fact in facts)]
    vanilla, gumbel = presets.SOFT_THINKING, presets.GUMBEL
    runs = [(mixing, seed) for mixing in (vanilla, gumbel) for seed in (0, 1)]
    # Apart, since writers that share batches would not compute in the same ones.
    written = {run: decode(lm, prompts, ConceptWriter(lm, run[0], seed=run[1]), 4) for run in runs}

    def same(mixing: Mixing) -> list[Trial]:
        first, second = (Continuations(lm, written[mixing, seed]) for seed in (0, 1))
        return concept_trials(prompts, first, map(eq, first.mixtures, second.mixtures))

    batches = compared(forking_prompts, traces.soft, traces.soft_elsewhere, eq)
    return Evidence(same(vanilla), {"with Gumbel-softmax": same(gumbel), "in other batches": batches})


@claim(
    "Soft Thinking with Gumbel-softmax is not deterministic: for most prompts a different seed gives a different trace",
    source=WU("section on Stochastic Soft Thinking"),
    reported="Gumbel-softmax adds enough randomness, as smooth as one chooses, and scored best of all, at a "
    "temperature of 0.5",
    identity=True,
    rule=mostly(),
    controls={
        "the same seed": control(rarely(), "the same seed twice: only the draws may make traces differ")
    },
)
def test_gumbel_softmax_is_not_deterministic(forking_prompts: list[str], traces: Traces) -> Evidence:
    """Compare the heaviest tokens of 16 positions with seeds 0 and 1, Gumbel-softmax at temperature 0.5."""
    return Evidence(
        compared(forking_prompts, traces.gumbel, traces.gumbel_reseeded, ne),
        {"the same seed": compared(forking_prompts, traces.gumbel, traces.gumbel_again, ne)},
    )


def compared(
    prompts: list[str], first: Continuations, second: Continuations, relation: Callable[..., bool]
) -> list[Trial]:
    """One trial per prompt: the heaviest tokens of two traces are equal (eq) or differ (ne)."""
    success = map(relation, first.tokens, second.tokens)
    return concept_trials(prompts, first, success, outputs={"the other trace": second.text})


def concept_trials(
    prompts: list[str], written: Continuations, success: Iterable[bool], **columns: Any
) -> list[Trial]:
    """One trial per prompt, with its trace's heaviest tokens, their mean weight and its first mixture."""
    return trials(
        prompts,
        output=written.text,
        success=success,
        mixture=written.first_mixtures,
        inputs={"mean weight of the heaviest": written.mean_weights},
        **columns,
    )
