"""Are the weights of a mixture lost on the way up, or not used?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fixtures.depths import WeightReader, layers_at, states_after, strangers
from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.sources import ILLUSION
from vsg_core import (
    Evidence,
    LanguageModel,
    Mixture,
    Trial,
    claim,
    control,
    doses,
    mostly,
    not_mostly,
    torch,
    trials,
)

if TYPE_CHECKING:
    from torch import Tensor

# A third of them is what the reader is fitted on.
OPENINGS = 180
# Mixtures per opening of the reader's own, each with other weights.
PER_OPENING = 3
LIGHTEST, HEAVIEST = 0.1, 0.9
CLOSE = 0.05
HALF = 0.5
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
EXCHANGED, TWIN, GUESS = "second token exchanged", "in the untrained twin", "without the state"
CURVE = doses("{:g} % of the depth", [100 * depth for depth in DEPTHS], "% of the depth")


@claim(
    "Halfway up, the weights of most mixtures of two tokens can still be read from the hidden state to within 0.05 by "
    "a reader that was fitted on other prompts",
    source=ILLUSION,
    reported="in models off the shelf the superposition either collapses or is not used at all",
    rule=mostly(),
    controls={
        EXCHANGED: control(
            not_mostly(), "the same state read as a mixture of the first token and of another prompt's"
        ),
        TWIN: control(
            mostly(),
            "the same on the same architecture with random weights, which has learned no pruning",
            "refuted",
        ),
    },
    comparisons=CURVE | {GUESS: "the mean weight of the mixtures that the reader was fitted on, for all"},
)
def test_weights_can_be_read_halfway_up(
    lm: LanguageModel, draw_openings: Draw[Opening], generator: torch.Generator
) -> Evidence:
    """A mixture succeeds where its second token's weight is read to within 0.05, and so the first one's as well.

    What can be read is not lost, whatever follows the mixture. The two most probable tokens of an opening are mixed
    with weights drawn from 0.1 to 0.9. A network loses nothing for a reader who runs it on every weight of the same
    mixture and compares; so this reader has seen neither the prompt nor the tokens. It gets the states at the mixture
    and at either token in the same place and is fitted on a third of the openings: a projection onto the way from one
    token's state to the other's, and a cubic. At depth 0 the weights can be read exactly by construction. If the
    weight could be read from the distance to one token or from the norm, the other token would not matter, so it is
    exchanged. If the reader is too weak for random weights too, a miss does not show a loss.
    """
    prompts = [opening.text for opening in draw_openings(OPENINGS)]
    ids = lm.next_logits(prompts).topk(2).indices
    weights = LIGHTEST + (HEAVIEST - LIGHTEST) * torch.rand(len(prompts), PER_OPENING, generator=generator)
    fitted = len(prompts) // 3
    own = read_weights(lm, prompts, ids, weights, fitted)
    with lm.untrained() as twin:
        untrained = read_weights(twin, prompts, ids, weights, fitted, depths=(HALF,))
    asked, true = prompts[fitted:], weights[fitted:, 0].double()

    def arm(read: Tensor) -> list[Trial]:
        mixed = zip(ids[fitted:].tolist(), true.tolist(), strict=True)
        return trials(
            asked,
            output=[f"{weight:.3f}" for weight in read.tolist()],
            success=((read - true).abs() <= CLOSE).tolist(),
            value=read - true,
            mixture=[
                Mixture.from_weights({pair[0]: 1 - weight, pair[1]: weight}).spelled(lm)
                for pair, weight in mixed
            ],
        )

    return Evidence(
        arm(own.at[HALF]),
        {
            EXCHANGED: arm(own.exchanged),
            TWIN: arm(untrained.at[HALF]),
            GUESS: arm(weights[:fitted].double().mean().expand(len(asked))),
            **{name: arm(own.at[depth]) for name, depth in zip(CURVE, DEPTHS, strict=True)},
        },
    )


@dataclass(frozen=True)
class WeightsRead:
    """Second tokens' weights as they were read, [mixtures] float64.

    Args:
        at: by depth.
        exchanged: halfway up, with the states of a token that is not in the mixture in place of the second one's.
    """

    at: dict[float, Tensor]
    exchanged: Tensor


def read_weights(
    lm: LanguageModel,
    prompts: list[str],
    ids: Tensor,
    weights: Tensor,
    fitted: int,
    depths: tuple[float, ...] = DEPTHS,
) -> WeightsRead:
    """Fit readers on the first prompts, and read one mixture after each of the others.

    Args:
        ids: [prompts, 2] the tokens that are mixed.
        weights: [prompts, n] the second token's weights; all are used for fitting, only the first for reading.
        fitted: number of prompts to fit on.
        depths: of the readers; one of them is half.
    """
    firsts, seconds = lm.embed(ids).unbind(1)
    others = lm.embed(strangers(ids))
    mixed = [
        lm.mix(torch.stack([1 - column, column], dim=1).to(ids.device), ids) for column in weights.T
    ]  # [prompts, hidden] each
    shown = states_after(lm, prompts[:fitted], [vectors[:fitted] for vectors in (firsts, seconds, *mixed)])
    asked = states_after(
        lm, prompts[fitted:], [vectors[fitted:] for vectors in (mixed[0], firsts, seconds, others)]
    )
    at: dict[float, Tensor] = {}
    exchanged = torch.empty(0)
    for depth, layer in zip(depths, layers_at(lm, depths, shown[0].shape[1] - 1), strict=True):
        first, second, *mixtures = (states[:, layer] for states in shown)
        reader = WeightReader.fitted(
            torch.cat(mixtures),
            first.repeat(len(mixtures), 1),
            second.repeat(len(mixtures), 1),
            weights[:fitted].T.flatten(),
        )
        mixture, own_first, own_second, other = (states[:, layer] for states in asked)
        at[depth] = reader.read(mixture, own_first, own_second)
        if depth == HALF:
            exchanged = reader.read(mixture, own_first, other)
    return WeightsRead(at, exchanged)
