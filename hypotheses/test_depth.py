"""Where is the second path of a mixture lost?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.forks import DEPTHS, PEAKED, Forks, SecondShares
from fixtures.sources import ILLUSION, WU
from vsg_core import Evidence, Trial, claim, control, doses, less, more, trials

if TYPE_CHECKING:
    from torch import Tensor

LAST = "in the next distribution, less its weight"
LENS = "by the lens after a quarter, less its weight"
PERCENT = [100 * depth for depth in DEPTHS]
CURVES = doses("lens at {:g} % of the depth", PERCENT, "% of the depth") | doses(
    "hidden state at {:g} %", PERCENT, "% of the depth"
)
WEIGHT = PEAKED[1]


@claim(
    "The second path is pruned with depth: its share of a 0.6 to 0.4 mixture falls from the middle to the last layer",
    source=WU,
    reported="the logit lens shows both paths at first, then the top-1 path's share of top predictions rising to 1",
    # Shares are 0 to 1: a twentieth of that range, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="share",
    controls={
        LAST: control(less(), "the second token's share in the next distribution minus its weight of 0.4")
    },
    comparisons=CURVES,
)
def test_second_path_is_pruned_with_depth(forks: Forks, second_shares: SecondShares) -> Evidence:
    """Value: the second token's share at the middle layer minus that in the next distribution.

    The share is where the lens's distribution at the mixture lies between those at either token, at the same layer,
    by least squares: 0 is the first token's, 1 the second's, and a blend at 0.6 to 0.4 has 0.4. An early lens does not
    predict yet, and its share may have any value. A fall is therefore not enough, and the share must also end below
    its weight. The shares of the hidden states themselves need no lens.
    """
    fallen = second_shares.lens_at(0.5) - second_shares.lens_at(1.0)
    left = second_shares.lens_at(1.0) - WEIGHT
    return Evidence(
        paths(forks, second_shares, fallen),
        {LAST: paths(forks, second_shares, left), **curves(forks, second_shares)},
    )


@claim(
    "The second path collapses within the first layers: after a quarter of them half of its weight is gone",
    source=ILLUSION("and its workshop version, ICLR 2026 LIT"),
    reported="models off the shelf collapse a superposed input within the first few layers; the pull to commit to a "
    "token is located in the last ones",
    rule=less(than=-0.2),
    unit="share",
    controls={
        LENS: control(less(), "the share that the logit lens shows after a quarter of the layers minus 0.4")
    },
    comparisons=CURVES,
)
def test_second_path_collapses_in_the_first_layers(forks: Forks, second_shares: SecondShares) -> Evidence:
    """The rival in time. Value: the second token's share after a quarter of the layers minus its weight of 0.4.

    The share is that of the hidden states, because the softmax of an early lens takes away most of it by itself: at
    depth 0, before any layer, the hidden state's share is 0.4 and the lens shows 0.1 to 0.2.
    """
    in_states = second_shares.hidden_at(0.25).double() - WEIGHT
    by_lens = second_shares.lens_at(0.25).double() - WEIGHT
    return Evidence(
        paths(forks, second_shares, in_states),
        {LENS: paths(forks, second_shares, by_lens), **curves(forks, second_shares)},
    )


def paths(forks: Forks, shares: SecondShares, values: Tensor) -> list[Trial]:
    """One trial per fork: its value [forks], with the second token's share at every depth by the lens."""
    return trials(
        forks.prompts,
        output=forks.peaked.follows,
        value=values,
        mixture=forks.peaked.spelled,
        inputs={"share by depth": shares.lens},
    )


def curves(forks: Forks, shares: SecondShares) -> dict[str, list[Trial]]:
    """The second token's share at each depth, by the lens and in the hidden states."""
    columns = zip(CURVES, [*shares.lens.T, *shares.hidden.T], strict=True)
    return {arm: trials(forks.prompts, value=column) for arm, column in columns}
