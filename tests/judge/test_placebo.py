"""Placebos: permuted labels are permuted indeed, and the judge finds as little in them as alpha allows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.support.judging import declare, successes, values
from vsg_core.judge.claims import Claim
from vsg_core.judge.judging import judge
from vsg_core.judge.measures import by_unit, judged_verdict, measure
from vsg_core.judge.placebo import PLACEBOS, SWAPPED, placebo, placebos_of
from vsg_core.judge.rules import Rule, difference, equivalence, mostly, rate
from vsg_core.judge.trials import Evidence, Trial

RUNS = 200
# At most this share of runs may decide, four standard errors above 5 %.
MOST = 0.05 + 4 * np.sqrt(0.05 * 0.95 / RUNS)


def clustered(trials: list[Trial], each: int) -> list[Trial]:
    """Join `each` trials after another to one independent unit."""
    return [replace(trial, cluster=str(place // each)) for place, trial in enumerate(trials)]


def normal(units: int, each: int, draws: np.random.Generator) -> Evidence:
    """Values far from any limit; those of a cluster agree."""
    means = draws.normal(3, 1, units).repeat(each)
    return Evidence(clustered(values((means + draws.normal(0, 0.1, len(means))).tolist()), each))


def outcomes(units: int, each: int, draws: np.random.Generator, paired: bool = True) -> Evidence:
    """Outcomes of two arms that differ by about 50 points; those of a cluster agree."""
    drawn = (draws.random((2, units)) < [[0.8], [0.3]]).repeat(each, axis=1)
    own, other = (
        [Trial(f"{'prompt' if paired else arm} {place}", success=each) for place, each in enumerate(row)]
        for arm, row in enumerate(drawn.tolist())
    )
    arms = [clustered(trials, each) if each > 1 else trials for trials in (own, other)]
    if not paired and each > 1:
        arms[1] = [replace(trial, cluster=f"other {trial.cluster}") for trial in arms[1]]
    return Evidence(arms[0], {"other": arms[1]})


def share_decided(claim: Claim, units: int, each: int, paired: bool = True) -> float:
    """Return the share of RUNS placebos of different evidence that hold or are refuted."""
    draws = np.random.default_rng(7)
    decided = 0
    for run in range(RUNS):
        if claim.rule.kind in ("difference", "equivalence"):
            evidence = normal(units, each, draws)
        else:
            evidence = outcomes(units, each, draws, paired)
        # The effect itself is far beyond chance.
        assert run or judge(claim, evidence).verdict in ("holds", "refuted")
        # The judge's verdict, without its p-values, which take a hundred times longer.
        permuted, given = placebo(claim, evidence, f"seed {run}", 1 + run % PLACEBOS)
        measured, _ = measure(permuted.rule, given.trials, given.arms, "the placebo")
        decided += judged_verdict(permuted.rule, measured) in ("holds", "refuted")
    return decided / RUNS


@pytest.mark.parametrize(("units", "each"), [(60, 3), (400, 1)])
@pytest.mark.parametrize(
    "rule",
    [
        difference(above=1, matters=0.05), equivalence(within=0.5), rate(below=0.1, over="other"), mostly(),
    ],
    ids=lambda rule: rule.text,
)  # fmt: skip
def test_placebos_are_rarely_decided(rule: Rule, units: int, each: int) -> None:
    assert (
        share_decided(declare(rule, comparisons=["other"] * (rule.kind in ("rate", "always"))), units, each)
        <= MOST
    )


@pytest.mark.parametrize("each", [1, 3])
def test_placebos_of_arms_without_pairs_are_rarely_decided(each: int) -> None:
    claim = declare(rate(above=0.1, over="other"), comparisons=["other"])
    assert share_decided(claim, 100, each, paired=False) <= MOST


def test_some_placebos_are_decided() -> None:
    """A rate of zero would show that labels lead to nothing at all, not that alpha is kept."""
    claim = declare(difference(above=1))
    assert share_decided(claim, 60, 1) >= 0.05 - 4 * np.sqrt(0.05 * 0.95 / RUNS)


def test_about_half_of_the_values_are_mirrored_at_the_limit() -> None:
    claim = declare(difference(above=1))
    _, given = placebo(claim, Evidence(values([1.5] * 399 + [1.25])), "seed", 1)
    kept = Counter(trial.value for trial in given.trials)
    assert set(kept) <= {1.5, 0.5, 1.25, 0.75}
    assert 150 < kept[1.5] < 250


def test_trials_of_a_cluster_are_mirrored_together() -> None:
    claim = declare(difference(above=0))
    trials = clustered(values([0.5] * 300), 3)
    _, given = placebo(claim, Evidence(trials), "seed", 1)
    assert {len({trial.value for trial in unit}) for unit in by_unit(given.trials).values()} == {1}
    assert {trial.value for trial in given.trials} == {0.5, -0.5}


def test_outcomes_of_pairs_are_swapped_between_both_arms() -> None:
    claim = declare(rate(above=0.2, over="other"), comparisons=["other"])
    evidence = Evidence(successes(400, 400), {"other": successes(0, 400)})
    judged, given = placebo(claim, evidence, "seed", 1)
    assert (judged.rule.limit, judged.rule.over, judged.rule.matters) == (0, SWAPPED, None)
    own, other = given.trials, given.arms[SWAPPED]
    assert [trial.prompt for trial in own] == [trial.prompt for trial in evidence.trials]
    assert all(one.success is not two.success for one, two in zip(own, other, strict=True))
    assert 150 < sum(bool(trial.success) for trial in own) < 250


def test_a_plain_rate_is_swapped_with_its_first_control() -> None:
    controls = {"elsewhere": mostly(), "control": mostly()}
    claim = declare(mostly(), controls=controls, no_control="", comparisons=["first"])
    arms = {"first": successes(40), "elsewhere": successes(40, 50), "control": successes(0)}
    _, given = placebo(claim, Evidence(successes(40), arms), "seed", 1)
    assert all(
        one.success is not two.success for one, two in zip(given.trials, given.arms[SWAPPED], strict=True)
    )


def test_a_rate_without_another_arm_is_cut_in_two() -> None:
    trials = successes(40, 81)
    judged, given = placebo(declare(mostly()), Evidence(trials), "seed", 1)
    dealt = [trial.prompt for trial in (*given.trials, *given.arms[SWAPPED])]
    assert sorted(dealt) == sorted(trial.prompt for trial in trials)
    assert (len(given.trials), len(given.arms[SWAPPED])) == (40, 41)
    assert judge(judged, given).n == 40


def test_the_coins_depend_on_the_seed_and_the_number_alone() -> None:
    claim = declare(difference(above=0))
    evidence = Evidence(values(range(1, 101)))

    def signs(seed: str, number: int) -> list[float | None]:
        return [trial.value for trial in placebo(claim, evidence, seed, number)[1].trials]

    assert signs("seed", 1) == signs("seed", 1)
    assert len({tuple(signs(seed, number)) for seed in ("seed", "other") for number in (1, 2, 12)}) == 6


def test_twenty_placebos_are_shared_out_among_the_claims() -> None:
    claims = [f"claim_{place}" for place in range(14)]
    assert placebos_of(claims, "claim_0") == [1, 15]
    assert placebos_of(claims, "claim_13") == [14]
    assert sorted(number for claim in claims for number in placebos_of(claims, claim)) == list(
        range(1, PLACEBOS + 1)
    )
