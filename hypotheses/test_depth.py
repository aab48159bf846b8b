"""Where is the second path of a mixture lost?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.depths import DEPTHS, LAST, PEAKED, measure_depth_shares
from fixtures.draws import Draw
from fixtures.forks import Fork, draw_forks
from fixtures.pools.openings import Opening
from fixtures.sources import ILLUSION
from vsg_core import Evidence, LanguageModel, Trial, claim, control, doses, less, more, trials

if TYPE_CHECKING:
    from torch import Tensor

LEFT = "at the last layer, minus its weight"
BEYOND = "beyond a token that is not there"
PERCENT = [100 * depth for depth in DEPTHS]
SECOND = doses("second token at {:g} % of the depth", PERCENT, "% of the depth")
OTHER = doses("another prompt's token at {:g} %", PERCENT, "% of the depth")
# Of the values, guessed before any were seen: a tenth of a share per quarter.
SPREAD = 0.1


@claim(
    "The hidden states lose the second token of a mixture faster in the first quarter of the layers than in the rest",
    source=ILLUSION("and its workshop version, ICLR 2026 LIT"),
    reported="models off the shelf collapse a superposed input within the first few layers; its rival, Wu et al. "
    "(arXiv 2508.03440), sees both paths by the logit lens at first, and the second one pruned with depth",
    # A twentieth of the second token's weight of 0.4, all that there is to lose.
    rule=more(matters=0.02),
    unit="share per quarter",
    controls={
        LEFT: control(less(), "what is left of the second token's share, minus its weight of 0.4", "both")
    },
    comparisons={
        BEYOND: "the same number for the second token's share less that of another prompt's token",
        **SECOND,
        **OTHER,
    },
)
def test_second_path_is_lost_early(lm: LanguageModel, draw_openings: Draw[Opening]) -> Evidence:
    """Value: share lost in the first quarter of the layers, minus the mean loss per quarter of the layers in the rest.

    A positive mean agrees with a loss in the first layers, a negative one with pruning as depth grows. It does not show
    that the first token gains what the second one loses. The state at 0.6 of a fork's more probable token and 0.4 of
    the other is fitted, at each depth, as a weighted sum of the states at either token and at a token of another prompt
    in the same place, each dimension divided by its standard deviation over the forks' branches. A state that drifts
    towards what any token leaves there gets a larger share of every token, which would hide a loss: the comparison
    takes the share of the token that is not in the mixture off. At depth 0 the two are 0.4 and 0. If nothing is lost by
    the last layer, there is no part that loses it faster: that control guards all verdicts. The openings have a top-1
    probability under 0.6 and branches at least 0.2 bits apart.
    """
    forks = draw_forks(lm, draw_openings, spread=SPREAD)
    shares = measure_depth_shares(lm, forks)
    beyond = shares.second - shares.other
    columns = zip(SECOND | OTHER, [*shares.second.T, *shares.other.T], strict=True)
    return Evidence(
        paths(forks, shares.early_loss(shares.second), shares.second),
        {
            LEFT: paths(forks, shares.second[:, LAST] - PEAKED[1], shares.second),
            BEYOND: paths(forks, shares.early_loss(beyond), beyond),
            **{arm: trials([fork.prompt for fork in forks], value=column) for arm, column in columns},
        },
    )


def paths(forks: list[Fork], values: Tensor, shares: Tensor) -> list[Trial]:
    """One trial per fork: its value [forks], with the shares at every depth [forks, depths]."""
    return trials(
        [fork.prompt for fork in forks],
        value=values,
        mixture=[fork.spelled(PEAKED) for fork in forks],
        inputs={
            "share by depth": shares,
            "bits from branch to branch": [fork.apart for fork in forks],
        },
    )
