"""Where is the second path lost: with depth, with training?"""

from __future__ import annotations

from vsg_core import Evidence, NotApplicable, Trial, claim, difference, js_divergence_bits, torch

LAST = "in the next distribution, less its weight"
LENS = "by the lens after a quarter, less its weight"
SCALED = "against untrained logits spread as far"
RIZVI = "Rizvi-Martel et al., The Illusion of Superposition?, arXiv 2604.06374"
RIZVI_LINK = "https://arxiv.org/abs/2604.06374"


def lens_arms():
    """The comparisons that draw a curve by depth."""
    depths = (0, 25, 50, 75, 100)
    return [f"lens at {d} % of the depth" for d in depths] + [f"hidden state at {d} %" for d in depths]


@claim(
    "The second path is pruned with depth: its share of a 0.6 to 0.4 mixture falls from the middle to the last layer",
    source="Wu et al., LLMs are Single-threaded Reasoners, arXiv 2508.03440",
    link="https://arxiv.org/abs/2508.03440",
    reported="the logit lens shows both paths at first, then the top-1 path's share of top predictions rising to 1",
    rule=difference(above=0.0),
    controls={LAST: difference(below=0.0)},
    comparisons=lens_arms(),
)
def test_second_path_is_pruned_with_depth(lm, forks, second_token_by_depth):
    """Value: the second token's share at the middle layer less that in the next distribution.

    The share is where the lens's distribution at the mixture lies between those at either token, at the same
    layer, by least squares: 0 is the first token's, 1 the second's, and a blend at 0.6 to 0.4 has 0.4. What an
    early lens shows is no prediction yet, and its share may lie anywhere. So a fall is not enough, the share
    must also end below its weight: that is the control. The curves are the comparisons; the hidden states' own
    need no lens.
    """
    depth = second_token_by_depth
    fallen, left = depth.lens[:, 2] - depth.lens[:, -1], depth.lens[:, -1] - 0.4
    return Evidence(
        path_trials(lm, forks, depth, fallen.tolist()),
        {LAST: path_trials(lm, forks, depth, left.tolist()), **curves(forks, depth)},
    )


@claim(
    "The second path collapses within the first layers: after a quarter of them half of its weight is gone",
    source=f"{RIZVI}, and its workshop version, ICLR 2026 LIT",
    link=RIZVI_LINK,
    reported="models off the shelf collapse a superposed input within the first few layers; the pull to commit to a "
    "token is put in the last ones",
    rule=difference(below=-0.2),
    controls={LENS: difference(below=0.0)},
    comparisons=lens_arms(),
)
def test_second_path_collapses_in_the_first_layers(lm, forks, second_token_by_depth):
    """The rival in time. Value: the second token's share in the hidden states after a quarter of the layers less its
    weight of 0.4.

    In the hidden states, since the softmax of an early lens takes most of the share by itself: at depth 0, where
    no layer has done anything and the hidden state's share is 0.4, it shows 0.1 to 0.2. Control: by the lens the
    share after a quarter must lie below its weight as well.
    """
    depth = second_token_by_depth
    return Evidence(
        path_trials(lm, forks, depth, [share - 0.4 for share in depth.hidden[:, 1].tolist()]),
        {
            LENS: path_trials(lm, forks, depth, [share - 0.4 for share in depth.lens[:, 1].tolist()]),
            **curves(forks, depth),
        },
    )


def path_trials(lm, forks, depth, values):
    """One value a fork, with the whole curve."""
    from fixtures.forks import PEAKED

    return [
        Trial(
            fork.prompt,
            fork.follows[PEAKED],
            value=value,
            inputs={"mixture": fork.mixture(lm, PEAKED), "share by depth": curve},
        )
        for fork, value, curve in zip(forks, values, depth.lens.tolist(), strict=True)
    ]


def curves(forks, depth):
    """The second token's share at each depth, by lens and in the hidden states."""
    columns = [*depth.lens.T.tolist(), *depth.hidden.T.tolist()]
    return {
        arm: [Trial(fork.prompt, value=share) for fork, share in zip(forks, column, strict=True)]
        for arm, column in zip(lens_arms(), columns, strict=True)
    }


@claim(
    "Training makes mixtures less faithful: the next distribution strays further from the blend of its branches than "
    "with the weights that training began with",
    source=RIZVI,
    link=RIZVI_LINK,
    reported="only models trained from scratch on latent thoughts use superposition, and pretraining on language makes "
    "models commit to a token; untrained weights were not compared",
    rule=difference(above=0.0),
    controls={SCALED: difference(above=0.0)},
    comparisons=["trained", "untrained"],
)
def test_training_reduces_mixture_fidelity(lm, forks):
    """Half of each of a prompt's two likeliest tokens; the same tokens and prompts in the same architecture untrained.

    How far it strays: the divergence to the even blend of the branches, as a share of that and of the divergence
    between the branches; 0 is a perfect blend. Value: trained less untrained. One draw of random weights, with the
    spread and the tied head of the published configuration: how far untrained weights stray depends on both.
    Untrained logits are all alike, which makes any softmax blend: in the control they are spread as far as the
    trained ones (same standard deviation after the first token).
    """
    if lm.initial is None:
        raise NotApplicable(f"nothing says which random weights the training of {lm.name} began with")
    from contextlib import closing

    from fixtures.forks import EVEN, FIRST, MIXES, SECOND, after
    from fixtures.readings import mix_two

    def strays(p):
        stray = js_divergence_bits(p[EVEN], (p[FIRST] + p[SECOND]) / 2)
        return (stray / (stray + js_divergence_bits(p[FIRST], p[SECOND]))).tolist()

    ids = torch.tensor([fork.ids for fork in forks], device=lm.device)  # [forks, 2]
    sequences = [fork.prompt for fork in forks]
    plain, scaled = [0.0] * len(forks), [0.0] * len(forks)
    with closing(lm.untrained()) as untrained:
        fed = {FIRST: ids[:, 0], SECOND: ids[:, 1], EVEN: mix_two(untrained, ids, MIXES[EVEN])}
        for rows, logits in after(untrained, sequences, fed):
            spread = logits[FIRST][:, lm.is_token].std(-1, keepdim=True)  # [batch, 1]
            factor = torch.tensor([[forks[row].spread] for row in rows]).to(spread) / spread
            found = strays({name: one.softmax(-1) for name, one in logits.items()})
            far = strays({name: (factor * one).softmax(-1) for name, one in logits.items()})
            for row, stray, spread_stray in zip(rows, found, far, strict=True):
                plain[row], scaled[row] = stray, spread_stray
    trained = [fork.to_blend[EVEN] / (fork.to_blend[EVEN] + fork.apart) for fork in forks]

    def trials(values):
        return [
            Trial(fork.prompt, fork.follows[EVEN], value=value, inputs={"mixture": fork.mixture(lm, EVEN)})
            for fork, value in zip(forks, values, strict=True)
        ]

    return Evidence(
        trials([with_it - without for with_it, without in zip(trained, plain, strict=True)]),
        {
            SCALED: trials([with_it - without for with_it, without in zip(trained, scaled, strict=True)]),
            "trained": trials(trained),
            "untrained": trials(plain),
        },
    )
