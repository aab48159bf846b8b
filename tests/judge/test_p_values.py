"""The p-value of a verdict, Holm's correction, the share of trials on the claim's side, and what controls protect."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.support.judging import declare, successes, values
from vsg_core.errors import WrongUse
from vsg_core.judge.arms import control
from vsg_core.judge.holm import holm
from vsg_core.judge.judging import Judgement, judge
from vsg_core.judge.rules import Rule, always, difference, equivalence, less, more, mostly, rarely, rate
from vsg_core.judge.trials import Evidence, Trial

NORMAL = np.random.default_rng(0).normal(0.4, size=40).tolist()


def judged(rule: Rule, trials: list[Trial], other: list[Trial] | None = None) -> Judgement:
    arms = {"other": other} if other else {}
    return judge(declare(rule, comparisons=list(arms)), Evidence(trials, arms))


CASES: list[tuple[Rule, list[Trial], list[Trial] | None]] = [
    (mostly(), successes(29), None),
    (mostly(), successes(8), None),
    (mostly(), successes(23), None),
    (rarely(trials=100), successes(1, 100), None),
    (rate(above=0, over="other"), successes(30), successes(14)),
    (rate(below=0, over="other"), successes(30), successes(14)),
    (rate(above=0, over="other", matters=0.2), successes(3, 200), successes(1, 200)),
    (difference(above=0), values(NORMAL), None),
    (difference(above=0.8), values(NORMAL), None),
    (difference(above=0.4), values(NORMAL), None),
    (difference(above=0.4, matters=0.5), values(NORMAL), None),
    (equivalence(within=1), values(NORMAL), None),
    (equivalence(within=0.1), values(NORMAL), None),
    (always(), successes(400, 400), None),
    (always(open_rate=0.05), successes(40, 40), None),
]


@pytest.mark.parametrize(("rule", "trials", "other"), CASES)
def test_the_p_value_is_the_smallest_alpha_that_gives_the_verdict(
    rule: Rule, trials: list[Trial], other: list[Trial] | None
) -> None:
    found = judged(rule, trials, other)
    p = found.p_value
    assert p is not None
    assert (found.verdict == "inconclusive") == (p > rule.alpha)
    if not 1e-11 < p < 0.49:
        return
    at = {factor: judged(replace(rule, alpha=p * factor), trials, other).verdict for factor in (0.999, 1.001)}
    if found.verdict == "inconclusive":
        assert at[0.999] == "inconclusive" != at[1.001]
    else:
        assert at[0.999] != found.verdict == at[1.001]


def test_p_values_are_those_of_the_tests_that_the_intervals_invert() -> None:
    t_test = stats.ttest_1samp(NORMAL, 0).pvalue
    assert judged(difference(above=0), values(NORMAL)).p_value == pytest.approx(t_test, rel=1e-5)
    one_sided = stats.binomtest(29, 40, 0.5, alternative="greater").pvalue
    assert judged(mostly(), successes(29)).p_value == pytest.approx(2 * one_sided, rel=1e-5)
    both = max(
        stats.ttest_1samp(NORMAL, -1, alternative="greater").pvalue,
        stats.ttest_1samp(NORMAL, 1, alternative="less").pvalue,
    )
    assert judged(equivalence(within=1), values(NORMAL)).p_value == pytest.approx(both, rel=1e-5)
    assert judged(always(), successes(400, 400)).p_value == pytest.approx(0.99**400, rel=1e-5)


def test_extreme_p_values_stay_inside_their_range() -> None:
    assert judged(always(), successes(399, 400)).p_value == 1e-12
    assert judged(mostly(), successes(400, 400)).p_value == 1e-12
    assert judged(rate(above=0, over="other"), successes(0), successes(0)).p_value == 1.0


def test_what_was_not_run_has_no_p_value() -> None:
    claim = declare(mostly(), positive_controls={"copies": mostly()})
    found = judge(claim, Evidence(successes(40), {"copies": successes(0)}))
    assert (found.verdict, found.p_value, found.share) == ("not run", None, None)


def test_a_verdict_is_as_sure_as_the_controls_that_guard_it() -> None:
    claim = declare(mostly(), controls={"noise": control(rate(below=0.5), "noise")})

    def found(own: int, noise: int) -> Judgement:
        return judge(claim, Evidence(successes(own), {"noise": successes(noise)}))

    alone = judged(mostly(), successes(40)).p_value
    assert found(40, 0).p_value == alone
    # A control that holds barely.
    assert found(40, 12).p_value == pytest.approx(2 * stats.binom.cdf(12, 40, 0.5), rel=1e-5)
    # One that does not: no alpha up to 0.05 gives the verdict.
    assert found(40, 20).verdict == "inconclusive"
    assert found(40, 20).p_value > 0.05  # type: ignore[operator]
    # It does not guard *refuted*.
    assert found(0, 20).p_value == judged(mostly(), successes(0)).p_value


@pytest.mark.parametrize(
    ("protects", "own", "verdict"),
    [
        ("holds", 1.0, "inconclusive"), ("holds", -1.0, "refuted"), ("holds", 0.0, "negligible"),
        ("refuted", 1.0, "holds"), ("refuted", -1.0, "inconclusive"), ("refuted", 0.0, "inconclusive"),
        ("both", 1.0, "inconclusive"), ("both", -1.0, "inconclusive"), ("both", 0.0, "inconclusive"),
    ],
)  # fmt: skip
def test_a_failing_control_leaves_open_what_it_protects(protects: Any, own: float, verdict: str) -> None:
    claim = declare(more(matters=0.4), controls={"noise": control(less(), "noise", protects=protects)})

    def found(noise: float) -> Judgement:
        trials, arm = (values([v + by for v in (1.0, -1.0) * 20]) for by in (own, noise))
        return judge(claim, Evidence(trials, {"noise": arm}))

    assert found(1.0).verdict == verdict
    assert ("; but control 'noise':" in found(1.0).reason) == (verdict == "inconclusive")
    assert found(-1.0).verdict == {1.0: "holds", -1.0: "refuted", 0.0: "negligible"}[own]


def test_what_a_control_protects_is_checked_and_shown() -> None:
    with pytest.raises(
        WrongUse, match=re.escape("control(protects='all'): give one of holds, refuted, both")
    ):
        control(less(), "noise", protects="all")  # type: ignore[arg-type]
    with pytest.raises(WrongUse, match="positive control 'copies' protects 'both': leave it out"):
        declare(more(), positive_controls={"copies": control(more(), "copies", protects="both")})
    claim = declare(more(), controls={"noise": control(less(), "noise", protects="both")})
    assert claim.rule_text.endswith(
        "; control 'noise', protects both: difference below 0, at least 40 trials, alpha 0.05"
    )
    assert declare(more(), controls={"noise": less()}).arms[0].protects == "holds"
    assert declare(more(), comparisons=["noise"]).arms[0].protects is None


def test_the_share_counts_independent_units_on_the_claims_side() -> None:
    numbers = [1.0] * 10 + [0.0] * 10 + [-2.0] * 20
    assert judged(more(), values(numbers)).share == 0.25
    assert judged(less(), values(numbers)).share == 0.5
    assert judged(equivalence(within=1.5), values(numbers)).share == 0.5
    assert judged(mostly(), successes(29)).share is None
    assert judged(rate(above=0, over="other"), successes(29), successes(9)).share is None
    clusters = [
        Trial(f"{c} {v}", value=v, cluster=str(c))
        for c in range(40)
        for v in ((-1.0, 4.0) if c < 10 else (1.0, -2.0))
    ]
    assert judged(more(), clusters).share == 0.25


@pytest.mark.parametrize("size", [1, 2, 5, 40, 300])
def test_holm_is_that_of_statsmodels(size: int) -> None:
    rng = np.random.default_rng(size)
    p_values = [*rng.random(size).tolist(), *(rng.random(size) ** 8).tolist(), 0.04, 0.04, 1.0]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_keeps_the_order_and_counts_the_whole_family() -> None:
    assert holm([0.04, 0.001, 0.03]) == pytest.approx([0.06, 0.003, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
