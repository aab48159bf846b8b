"""How does the model combine the tokens of a mixture?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.draws import Draw
from fixtures.forks import after, each_after
from fixtures.measured import FORKING
from fixtures.pools.openings import Opening
from fixtures.readings import EVEN, mix_two
from vsg_core import (
    Evidence,
    LanguageModel,
    Mixture,
    claim,
    control,
    doses,
    js_divergence_bits,
    js_divergences_bits,
    less,
    more,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

# Between branches, in bits: of nearer ones the two blends are hardly different.
APART = 0.2
ALONE = "the two tokens alone, minus the mixture"
TOKENS = "the two tokens alone"
ANOTHER = "another prompt's mixture, minus this one"
GEOMETRIC = "nearer to the geometric blend"
NORMS = (0.7, 0.85, 1.0, 1.15, 1.3, 1.5)
NORM = "norm {:g}"


@claim(
    "After an even mixture of two tokens the next distribution is nearer to the geometric than to the arithmetic blend "
    "of both branches",
    rule=more(matters=0.1),
    controls={
        ALONE: control(
            less(), "the nearness after either token alone, averaged, minus that after their mixture"
        ),
        ANOTHER: control(
            less(), "the nearness after the mixture of another prompt's two tokens, minus that after its own"
        ),
    },
    comparisons={TOKENS: "the nearness after either token alone, averaged"},
)
def test_next_is_nearer_to_the_geometric_blend(lm: LanguageModel, draw_openings: Draw[Opening]) -> Evidence:
    """Value, -1 to 1: distance to the arithmetic minus to the geometric blend, over that between the blends.

    A distance is the square root of the Jensen-Shannon divergence, which is a metric. At 1 what follows is the
    geometric blend, the normalised product of the branches' square roots, as in a network that is linear up to its
    logits; at -1 it is the arithmetic blend, their mean. The tokens are the two most probable ones after openings whose
    top-1 probability is under 0.6 and whose branches are at least 0.2 bits apart. A
    single branch is nearer to one of the blends as well, so the mixture must exceed its tokens, and another prompt's
    mixture, which has nothing to do with these blends. If the tokens alone are as near as the mixture, a negative mean
    shows that the model follows one branch, not that it blends arithmetically.
    """
    prompts, ids = draw_forks(lm, draw_openings)
    even = mix_two(lm, ids, EVEN)
    own, alone, another, to_arithmetic, to_geometric, blends_apart, apart = torch.zeros(
        7, len(prompts)
    ).double()
    follows = torch.zeros(3, len(prompts), dtype=torch.long)
    for rows, logits in after(lm, prompts, [*ids.T, even, even.roll(1, 0)]):
        first, second, mixed, other = (one.softmax(-1) for one in logits)
        arithmetic = (first + second) / 2
        geometric = ((logits[0] + logits[1]) / 2).softmax(-1)
        bits = js_divergences_bits([mixed, first, second, other], [arithmetic, geometric]).cpu()
        between = js_divergence_bits(arithmetic, geometric).double().cpu()
        near = (bits[:, 0].sqrt() - bits[:, 1].sqrt()) / between.sqrt()  # [4, batch]
        own[rows], alone[rows], another[rows] = near[0], near[1:3].mean(0), near[3]
        to_arithmetic[rows], to_geometric[rows] = bits[0]
        blends_apart[rows], apart[rows] = between, js_divergence_bits(first, second).double().cpu()
        follows[:, rows] = torch.stack([one.argmax(-1) for one in (mixed, arithmetic, geometric)]).cpu()
    after_mixture, after_arithmetic, after_geometric = (
        [lm.token(top) for top in row] for row in follows.tolist()
    )
    return Evidence(
        trials(
            prompts,
            output=after_mixture,
            value=own,
            mixture=spelled(lm, ids),
            inputs={
                "bits to the arithmetic blend": to_arithmetic,
                "bits to the geometric blend": to_geometric,
                "bits from blend to blend": blends_apart,
                "bits from branch to branch": apart,
            },
            outputs={"arithmetic blend": after_arithmetic, "geometric blend": after_geometric},
        ),
        {
            ALONE: trials(prompts, value=alone - own),
            ANOTHER: trials(prompts, value=another - own),
            TOKENS: trials(prompts, value=alone),
        },
    )


@claim(
    "Brought back to the mean norm of its two tokens, an even mixture leads nearer to the blend of both branches",
    rule=more(matters=0.01),
    unit="bits",
    controls={
        ALONE: control(
            less(), "what the same factor gains on either token alone, minus its gain on the mixture"
        )
    },
    comparisons={
        GEOMETRIC: "the gain in nearness to the geometric blend, in place of the arithmetic one",
        **doses(NORM, NORMS, "mean norms of the two tokens"),
    },
)
def test_mean_norm_leads_nearer_to_the_blend(lm: LanguageModel, draw_openings: Draw[Opening]) -> Evidence:
    """Value, in bits: the divergence from the even blend after the plain mixture minus that after the longer one.

    A mixture is shorter than its tokens, because they point in different directions. The blend is the arithmetic one,
    the divergence Jensen-Shannon's. The forks are chosen as for the geometric blend,
    from other openings. A larger factor may flatten what follows any vector and so lead nearer to any blend: on the
    tokens themselves the same factor must gain less. The comparisons give the mixture other norms.
    """
    prompts, ids = draw_forks(lm, draw_openings)
    tokens, even = lm.embed(ids), mix_two(lm, ids, EVEN)  # [prompts, 2, hidden], [prompts, hidden]
    factors = tokens.norm(dim=-1).mean(1, keepdim=True) / even.norm(dim=-1, keepdim=True)  # [prompts, 1]
    longer = [factors * norm * even for norm in NORMS]
    plain, plain_geometric, geometric_gains, alone, apart = torch.zeros(5, len(prompts)).double()
    gains = torch.zeros(len(NORMS), len(prompts)).double()
    follows = torch.zeros(2, len(prompts), dtype=torch.long)
    at_one = NORMS.index(1.0)
    fed = [*ids.T, even, *(factors * token for token in tokens.unbind(1)), *longer]
    for rows, logits in after(lm, prompts, fed):
        first, second, mixed, first_longer, second_longer, *rescaled = (one.softmax(-1) for one in logits)
        blends = [(first + second) / 2, ((logits[0] + logits[1]) / 2).softmax(-1)]
        compared = [mixed, first, second, first_longer, second_longer, *rescaled]
        # Each [compared, batch].
        bits, to_geometric = js_divergences_bits(compared, blends).cpu().unbind(1)
        plain[rows], plain_geometric[rows] = bits[0], to_geometric[0]
        gains[:, rows] = bits[0] - bits[5:]
        geometric_gains[rows] = to_geometric[0] - to_geometric[5 + at_one]
        alone[rows] = (bits[1:3] - bits[3:5]).mean(0)
        apart[rows] = js_divergence_bits(first, second).double().cpu()
        follows[:, rows] = torch.stack([one.argmax(-1) for one in (mixed, rescaled[at_one])]).cpu()
    after_plain, after_longer = ([lm.token(top) for top in row] for row in follows.tolist())
    own = trials(
        prompts,
        output=after_longer,
        value=gains[at_one],
        mixture=spelled(lm, ids),
        inputs={
            "factor": factors.squeeze(1),
            "bits to the blend after the plain mixture": plain,
            "bits to the geometric blend after the plain mixture": plain_geometric,
            "bits from branch to branch": apart,
        },
        outputs={"plain mixture": after_plain},
    )
    return Evidence(
        own,
        {
            ALONE: trials(prompts, value=alone - gains[at_one]),
            GEOMETRIC: trials(prompts, value=geometric_gains),
            **{NORM.format(norm): trials(prompts, value=row) for norm, row in zip(NORMS, gains, strict=True)},
        },
    )


def draw_forks(lm: LanguageModel, draw_openings: Draw[Opening]) -> tuple[list[str], Tensor]:
    """Draw 200 openings that fork, and find the two most probable next tokens of each: prompts and ids [prompts, 2]."""
    tops: dict[str, list[int]] = {}

    def usable(openings: list[Opening]) -> list[bool]:
        prompts = [opening.text for opening in openings]
        forking, ids = are_forks(lm, prompts)
        tops.update(zip(prompts, ids.tolist(), strict=True))
        return forking

    prompts = [opening.text for opening in draw_openings(200, usable)]
    return prompts, torch.tensor([tops[prompt] for prompt in prompts], device=lm.device)


def are_forks(lm: LanguageModel, prompts: list[str]) -> tuple[list[bool], Tensor]:
    """Find which prompts have a top-1 probability under 0.6 and branches at least 0.2 bits apart.

    Returns:
        one answer per prompt, and the two most probable next tokens [prompts, 2] of each.
    """
    forking = torch.zeros(len(prompts), dtype=torch.bool)
    ids = torch.zeros(len(prompts), 2, dtype=torch.long)
    for rows, state in lm.prefill(prompts, room=1):
        probabilities, top = state.logits.softmax(-1).topk(2)
        first, second = (logits.softmax(-1) for logits in each_after(lm, state, [*top.T]))
        apart = js_divergence_bits(first, second) >= APART
        forking[rows] = ((probabilities[:, 0] < FORKING) & apart).cpu()
        ids[rows] = top.cpu()
    return forking.tolist(), ids


def spelled(lm: LanguageModel, ids: Tensor) -> list[list[tuple[str, float]]]:
    """The even mixtures of ids [n, 2], as trials show them."""
    return [Mixture((first, second), EVEN).spelled(lm) for first, second in ids.tolist()]
