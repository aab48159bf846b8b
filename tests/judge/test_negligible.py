"""The smallest effect that matters: the verdict *negligible*, its precedence, its rules, and the trials it takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.judging import declare, successes, values
from vsg_core.errors import WrongUse
from vsg_core.judge.arms import control
from vsg_core.judge.judging import judge
from vsg_core.judge.power import power_text, trials_to_decide
from vsg_core.judge.rules import (
    Rule,
    always,
    difference,
    equivalence,
    less,
    more,
    rate,
    rules_digest,
)
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.vocabulary import Verdict

RUNS = 250
# Four standard errors of a simulated share near 0.8.
SLACK = 4 * math.sqrt(0.8 * 0.2 / RUNS)
# 40 values of mean 0 whose 90 % interval is ±0.27 and whose 95 % interval is ±0.32.
SPREAD = [1.0, -1.0] * 20


def shifted(by: float) -> list[Trial]:
    return values([value + by for value in SPREAD])


@pytest.mark.parametrize(
    ("rule", "by", "verdict"),
    [
        (more(), 0.0, "inconclusive"),
        (more(matters=0.3), 0.0, "negligible"),
        # The 90 % interval decides: it is inside, the 95 % interval is not.
        (more(matters=0.26), 0.0, "inconclusive"),
        (more(matters=0.4), 0.1, "negligible"),
        (more(matters=0.4), 0.2, "inconclusive"),
        # An effect beyond chance can still be too small to matter.
        (more(), 0.5, "holds"),
        (more(matters=0.5), 0.5, "holds"),
        (more(matters=0.8), 0.5, "negligible"),
        (less(matters=0.8), 0.5, "negligible"),
        (more(matters=0.8), -0.5, "negligible"),
        (more(matters=0.5), -0.5, "refuted"),
        # The margin is around the limit.
        (more(than=2, matters=0.3), 2.0, "negligible"),
        (more(than=2, matters=0.3), 0.0, "refuted"),
    ],
)
def test_an_effect_within_the_margin_is_negligible(rule: Rule, by: float, verdict: Verdict) -> None:
    assert judge(declare(rule), shifted(by)).verdict == verdict


def test_the_reason_shows_the_interval_that_decided() -> None:
    judged = judge(declare(more(matters=0.3), unit="bits"), shifted(0.0))
    assert judged.reason == (
        "0.00 bits [−0.32, 0.32] of 40, rule: above 0 bits; "
        "negligible: the 90 % interval [−0.27, 0.27] is within ±0.3 bits of that"
    )
    assert judged.interval == pytest.approx((-0.3239, 0.3239), abs=1e-4)


def test_a_rate_over_an_arm_can_be_negligible() -> None:
    claim = declare(rate(above=0, over="other", matters=0.1), comparisons=["other"])
    judged = judge(claim, Evidence(successes(198, 200), {"other": successes(199, 200)}))
    assert judged.verdict == "negligible"
    assert judged.reason.endswith("is within ±10 points of that")
    judged = judge(claim, Evidence(successes(150, 200), {"other": successes(100, 200)}))
    assert judged.verdict == "holds"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rate(above=0.5, matters=0.05), "only a difference and a rate over another arm have"),
        (lambda: Rule(kind="equivalence", side="within", limit=1.0, matters=0.5), "only a difference and"),
        (lambda: Rule(kind="always", side="at most", limit=0.01, trials=1, matters=0.5), "only a diff"),
        (lambda: more(matters=0), "matters is 0: give a number above 0, in the unit of the limit"),
        (lambda: more(matters=-0.1), "matters is -0.1: give a number above 0"),
        (lambda: less(matters=math.inf), "matters is inf"),
        (lambda: less(matters=math.nan), "matters is nan"),
        (lambda: more(matters=True), "matters is True"),
        (lambda: more(matters="0.1"), "matters is '0.1'"),  # type: ignore[arg-type]
        (lambda: rate(above=0, over="a", matters=1), "and below 1 for a difference of rates"),
    ],
)
def test_an_invalid_margin_is_refused(make: Any, message: str) -> None:
    with pytest.raises(WrongUse) as error:
        make()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_only_the_claims_own_rule_can_be_negligible() -> None:
    with pytest.raises(WrongUse, match="only the claim's own rule can be negligible"):
        declare(more(), controls={"noise": control(less(matters=0.1), "noise")})


def test_rules_without_a_margin_keep_their_digests() -> None:
    """The digests below are those of recorded verdicts from before rules could name a smallest effect."""
    assert rules_digest(more(), {}, {"a": less()}) == "6b8d4be469218ac5"
    assert rules_digest(rate(above=0.5), {}, {}) == "720e6a5d63770fb8"
    digests = {rules_digest(rule, {}, {}) for rule in (more(), more(matters=0.1), more(matters=0.2))}
    assert len(digests) == 3
    guarding = [rules_digest(more(), {}, {"a": less()}, {"a": word}) for word in ("holds", "refuted", "both")]
    assert guarding[0] == rules_digest(more(), {}, {"a": less()})
    assert len(set(guarding)) == 3


def test_the_margin_is_part_of_the_text() -> None:
    assert more(matters=0.1).text == (
        "difference above 0, negligible within ±0.1 of it, at least 40 trials, alpha 0.05"
    )
    assert "negligible within ±5 points of it" in rate(above=0, over="a", matters=0.05).text


@given(st.lists(st.floats(-10, 10), min_size=10, max_size=20), st.floats(0.01, 5), st.floats(0.01, 5))
def test_a_wider_margin_makes_no_effect_matter_more(numbers: list[float], one: float, other: float) -> None:
    if max(numbers) - min(numbers) < 1e-3:
        return
    narrow, wide = sorted((one, other))
    plain, less_wide, wider = (
        judge(declare(difference(above=0, trials=10, matters=margin)), values(numbers)).verdict
        for margin in (None, narrow, wide)
    )
    assert less_wide in (plain, "negligible")
    if less_wide == "negligible":
        assert wider == "negligible"


@pytest.mark.parametrize("matters", [0.3, 0.5])
def test_the_computed_trials_decide_in_four_of_five_runs(matters: float) -> None:
    rule = more(matters=matters, trials=10)
    n = trials_to_decide(rule, 1.0)
    assert verdict_share(rule, n, matters, "holds") >= 0.8 - SLACK
    assert verdict_share(rule, n, 0.0, "negligible") == pytest.approx(0.8, abs=0.03 + SLACK)
    assert verdict_share(rule, round(0.8 * n), 0.0, "negligible") < 0.8 - SLACK
    assert trials_to_decide(more(matters=10 * matters, trials=10), 10.0) == n


def verdict_share(rule: Rule, n: int, truth: float, verdict: Verdict) -> float:
    """Simulate how often n normal values around a true mean give a verdict."""
    rng = np.random.default_rng(0)
    claim = declare(rule)
    runs = rng.normal(truth, size=(RUNS, n))
    return sum(judge(claim, values(run.tolist())).verdict == verdict for run in runs) / len(runs)


@pytest.mark.parametrize(("base", "matters"), [(0.1, 0.2), (0.5, 0.25)])
def test_the_computed_trials_of_a_rate_over_an_arm(base: float, matters: float) -> None:
    rule = rate(above=0, over="other", matters=matters)
    n = trials_to_decide(rule, base)
    rng = np.random.default_rng(0)
    claim = declare(rate(above=0, over="other", matters=matters, trials=10), comparisons=["other"])

    def share(truth: float, verdict: Verdict) -> float:
        counts = zip(rng.binomial(n, truth, RUNS), rng.binomial(n, base, RUNS), strict=True)
        given = [
            judge(
                claim,
                # Prompts of different names are not pairs.
                Evidence(
                    successes(int(own), n),
                    {"other": [Trial(f"other {i}", success=i < arm) for i in range(n)]},
                ),
            ).verdict
            for own, arm in counts
        ]
        return given.count(verdict) / len(given)

    assert min(share(base + matters, "holds"), share(base, "negligible")) >= 0.8 - SLACK
    fewer = trials_to_decide(rate(above=0, over="other", matters=matters + 0.05), base)
    assert fewer < n


@pytest.mark.parametrize(
    ("rule", "spread", "message"),
    [
        (more(), 1.0, "the rule names no smallest effect that matters"),
        (equivalence(within=1), 1.0, "names no smallest effect"),
        (always(), 1.0, "names no smallest effect"),
        (more(matters=0.1), 0.0, "a standard deviation of 0.0"),
        (more(matters=1e-4), 1.0, "more than 100,000 trials"),
        (rate(above=0, over="a", matters=0.1), 0.95, "leave 0 to 1"),
    ],
)
def test_trials_that_cannot_be_computed(rule: Rule, spread: float, message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        trials_to_decide(rule, spread)


def test_the_text_on_power_has_what_is_negligible() -> None:
    assert "a true mean at the limit is negligible in 80 % of runs while" in power_text(more(matters=1), 40)
    rule = rate(above=0, over="other", matters=0.1)
    found = power_text(rule, 100).rpartition("; ")[2]
    claim = declare(rule, comparisons=["other"])
    given = [
        k
        for k in range(101)
        if judge(claim, Evidence(successes(k, 100), {"other": successes(0, 100)})).verdict == "negligible"
    ]
    assert found == f"is negligible for {given[0]} to {given[-1]} successes"
    assert power_text(rate(above=0, over="other", matters=0.01), 100).endswith("is negligible at no count")
