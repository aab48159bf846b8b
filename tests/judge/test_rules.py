"""Rules and the judge: the verdict for each kind of evidence, and the evidence that gets none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.judging import declare, successes, values
from vsg_core.errors import WrongUse
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import (
    Rule,
    always,
    cannot,
    difference,
    equivalence,
    less,
    more,
    mostly,
    nearly_always,
    not_mostly,
    rarely,
    rate,
    sometimes,
)
from vsg_core.judge.trials import Evidence, JudgingError, Trial

# Mean 0, standard deviation 0.6.
SPREAD = np.linspace(-1, 1, 40)


@pytest.mark.parametrize(
    ("rule", "trials", "verdict"),
    [
        (rate(above=0.5), successes(27), "holds"),
        (rate(above=0.5), successes(26), "inconclusive"),
        (rate(above=0.5), successes(14), "inconclusive"),
        (rate(above=0.5), successes(13), "refuted"),
        (rate(below=0.5), successes(13), "holds"),
        (rate(below=0.5), successes(27), "refuted"),
        (difference(above=0), values(SPREAD + 0.3), "holds"),
        (difference(above=0), values(SPREAD + 0.1), "inconclusive"),
        (difference(above=0), values(SPREAD - 0.3), "refuted"),
        (difference(below=1), values(SPREAD + 0.3), "holds"),
        (equivalence(within=0.2), values(SPREAD), "holds"),
        (equivalence(within=0.2), values(SPREAD + 0.1), "inconclusive"),
        (equivalence(within=0.2), values(SPREAD + 0.4), "refuted"),
        (equivalence(within=0.2), values(SPREAD - 0.4), "refuted"),
        (always(), successes(299, 299), "holds"),
        (always(), successes(298, 298), "inconclusive"),
        (always(), successes(298, 299), "refuted"),
        (always(), successes(2, 3), "refuted"),
        (always(open_rate=0.05), successes(59, 59), "holds"),
        (always(open_rate=0.05), successes(58, 58), "inconclusive"),
    ],
)
def test_verdict(rule: Any, trials: list[Trial], verdict: str) -> None:
    assert judge(declare(rule), trials).verdict == verdict


def test_the_numbers_are_those_of_the_textbook() -> None:
    """Mendel's peas (Conover 1971, p. 97) and Student's sleep data (1908), with the numbers from R's help pages."""
    shown = judge(declare(rate(above=0.5)), successes(682, 925))
    assert (shown.estimate, shown.n) == (682 / 925, 925)
    assert shown.interval == pytest.approx((0.7076683, 0.7654066), abs=1e-7)
    assert shown.reason == "74 % [71 %, 77 %] of 925, rule: above 50 %"

    sleep = values([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    shown = judge(declare(difference(above=0, trials=10)), sleep)
    assert shown.estimate == pytest.approx(0.75)
    assert shown.interval == pytest.approx((-0.5297804, 2.0297804), abs=1e-7)
    assert shown.reason == "0.8 [−0.5, 2.0] of 10, rule: above 0"


def test_equivalence_uses_the_interval_of_two_one_sided_tests() -> None:
    sleep = values([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    two_sided = judge(declare(difference(above=0, trials=10, alpha=0.1)), sleep)
    shown = judge(declare(equivalence(within=2, trials=10, alpha=0.05)), sleep)
    assert shown.interval == two_sided.interval
    assert shown.verdict == "holds"


def test_rate_over_an_arm_is_newcombes_interval() -> None:
    """Compared with the table of Newcombe 1998 (56/70 minus 48/80, and the cases with zeros)."""

    def over(hits: int, n: int, other_hits: int, other_n: int) -> Any:
        example = declare(rate(above=0, over="other", trials=10), comparisons=["other"])
        return judge(example, Evidence(successes(hits, n), {"other": successes(other_hits, other_n)}))

    assert over(56, 70, 48, 80).interval == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert over(56, 70, 48, 80).estimate == pytest.approx(0.2)
    assert over(10, 10, 0, 20).interval == pytest.approx((0.6791, 1.0), abs=1e-4)
    assert over(10, 10, 0, 10).interval == pytest.approx((0.6075, 1.0), abs=1e-4)
    assert over(10, 10, 0, 10).verdict == "holds"
    assert over(0, 40, 0, 40).verdict == "inconclusive"


def test_trials_of_one_cluster_are_one_unit() -> None:
    clustered = [Trial(f"{c}.{i}", success=c < 30, cluster=str(c)) for c in range(40) for i in range(5)]
    assert judge(declare(rate(above=0.5)), clustered).n == 40
    assert judge(declare(rate(above=0.5)), clustered).interval == pytest.approx(
        judge(declare(rate(above=0.5)), successes(30)).interval
    )
    one_of_five = [Trial("p", success=c > 0 or i > 0, cluster=f"{c}") for c in range(59) for i in range(5)]
    assert judge(declare(always(open_rate=0.05)), one_of_five).estimate == 1 / 59
    means = [Trial("p", value=v + d, cluster=f"{c}") for c, v in enumerate(SPREAD) for d in (-1, 1)]
    assert judge(declare(difference(above=0)), means).interval == pytest.approx(
        judge(declare(difference(above=0)), values(SPREAD)).interval
    )
    with pytest.raises(JudgingError, match="39 independent trials, the rule needs 40"):
        judge(declare(rate(above=0.5)), [t for t in clustered if t.cluster != "7"])


CONTROLS = {"controls": {"noise": rate(below=0.5)}, "positive_controls": {"copies a word": rate(above=0.5)}}


@pytest.mark.parametrize(
    ("main", "noise", "copy", "verdict", "reason"),
    [
        (40, 0, 40, "holds", "100 % [91 %, 100 %] of 40, rule: above 50 %"),
        (40, 20, 40, "inconclusive", "control 'noise': 50 % [34 %, 66 %] of 40, needs below 50 %"),
        (40, 40, 40, "inconclusive", "control 'noise': 100 % [91 %, 100 %] of 40, needs below 50 %"),
        (0, 40, 40, "refuted", "0 % [0 %, 9 %] of 40, rule: above 50 %"),
        (40, 0, 20, "not run", "positive control 'copies a word': 50 % ["),
        (40, 0, 5, "not run", "control 'copies a word': 12 % [4 %, 27 %] of 40, needs above 50 %"),
    ],
)  # fmt: skip
def test_controls(main: int, noise: int, copy: int, verdict: str, reason: str) -> None:
    arms = {"noise": successes(noise), "copies a word": successes(copy)}
    judged = judge(declare(rate(above=0.5), **CONTROLS), Evidence(successes(main), arms))
    assert judged.verdict == verdict
    assert reason in judged.reason
    if verdict == "not run":
        assert (judged.estimate, judged.interval, judged.n) == (None, None, None)
        assert [row.verdict for row in judged.arms] != ["holds"]
    else:
        assert [row.arm.role for row in judged.arms] == ["positive control", "control"]
        assert judged.arms[1].estimate == noise / 40


def test_a_claim_that_does_not_apply_needs_no_further_arms() -> None:
    judged = judge(declare(rate(above=0.5), **CONTROLS), Evidence([], {"copies a word": successes(0)}))
    assert judged.verdict == "not run"


def test_a_comparison_is_measured_and_not_judged() -> None:
    example = declare(difference(above=0), comparisons=["tokens"])
    same = judge(example, Evidence(values(SPREAD), {"tokens": values([0.5, 0.5])}))
    (row,) = same.arms
    assert (row.estimate, row.interval, row.n, row.arm.rule, row.verdict) == (
        0.5,
        None,
        2,
        None,
        None,
    )


def test_the_counterexample_is_named() -> None:
    assert judge(declare(always()), successes(2, 3)).reason.endswith("counterexample: 'prompt 2'")


@pytest.mark.parametrize(
    ("rule", "evidence", "message"),
    [
        (rate(above=0.5), [], "claim example: the claim's own trials: no trials at all"),
        (rate(above=0.5), successes(20, 39), "39 independent trials, the rule needs 40"),
        (rate(above=0.5), values(SPREAD), "trial 1 ('prompt 0') lacks what the rule looks at"),
        (difference(above=0), [Trial("a")] * 40, "trial 1 ('a') lacks what the rule looks at"),
        (difference(above=0), values([0.25] * 40), "all 40 values are 0.25: a mean of these has no interval"),
        (difference(above=0), values([0.1 + 0.2, 0.3] * 20), "has no interval"),
        (equivalence(within=1), values([0.0] * 40), "state the rule as always()"),
        (equivalence(within=1), values([0.0, 1e-200] * 20), "has no interval"),
        (difference(above=0), values([1e308, -1e308] * 20), "too large to average"),
        (difference(above=0), values([1e308, 0.9e308] * 20), "too large to average"),
        (rate(above=0.5), None, "the claim gave NoneType: give a list of Trial"),
        (rate(above=0.5), [True] * 40, "the claim gave list: give a list of Trial"),
        (rate(above=0.5), Evidence(successes(40), {"x": successes(3)}), "arm 'x' is not declared"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_invalid_evidence_is_an_error(rule: Any, evidence: Any, message: str) -> None:
    with pytest.raises(JudgingError) as error:
        judge(declare(rule), evidence)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"noise": successes(0)}, "no trials of 'copies a word': return Evidence(trials, {"),
        ({"copies a word": successes(40)}, "no trials of 'noise'"),
        ({"copies a word": successes(40), "noise": []}, "control 'noise': no trials at all"),
        ({"copies a word": successes(9, 9), "noise": []}, "control 'copies a word': 9 independent trials"),
    ],
)  # fmt: skip
def test_missing_or_small_arms_are_an_error(arms: dict[str, list[Trial]], message: str) -> None:
    with pytest.raises(JudgingError) as error:
        judge(declare(rate(above=0.5), **CONTROLS), Evidence(successes(40), arms))
    assert message in str(error.value)


def test_the_arm_of_comparison_must_be_large_enough() -> None:
    example = declare(rate(above=0, over="other"), comparisons=["other"])
    with pytest.raises(JudgingError, match="'other' has 10 independent trials, the rule needs 40"):
        judge(example, Evidence(successes(40), {"other": successes(0, 10)}))


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ({"value": math.nan}, "trial 'p': the value is nan"),
        ({"value": -math.inf}, "the value is -inf"),
        ({"success": 0.5}, "success is 0.5: give True or False"),
        ({"success": math.nan}, "success is nan"),
        ({"output": ["a"]}, "['a'] is a list, not text"),
        ({"outputs": {"output": "a"}}, "rename that further arm"),
        ({"inputs": {"mixture": []}}, "give it as mixture="),
        ({"outputs": {"ids": None}}, "None is a NoneType, not text"),
    ],
)
def test_an_invalid_trial_is_refused(trial: dict[str, Any], message: str) -> None:
    with pytest.raises(JudgingError) as error:
        Trial("p", **trial)
    assert message in str(error.value)


def test_numpy_values_become_plain_python_values() -> None:
    trial = Trial("p", success=np.bool_(True), value=np.float32(0.5), cluster=3)  # type: ignore[arg-type]
    assert type(trial.success) is bool
    assert type(trial.value) is float
    assert trial.cluster == "3"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rate(), "give exactly one"),
        (lambda: rate(above=0.1, below=0.2), "give exactly one"),
        (lambda: rate(above=0), "which data can refute"),
        (lambda: rate(below=1.0), "which data can refute"),
        (lambda: rate(above=math.nan), "give a number"),
        (lambda: rate(above=1, over="x"), "give -1 to 1"),
        (lambda: rate(above=0.95), "rate above 95 %: 40 trials cannot both hold and refute: give trials=72"),
        (lambda: rate(below=0.05), "give trials=72"),
        (lambda: rate(above=0.5, trials=0), "trials is 0"),
        (lambda: rate(above=0.5, trials=40.0), "trials is 40.0"),  # type: ignore[arg-type]
        (lambda: rate(above=0.5, alpha=5), "alpha is 5"),
        (lambda: difference(above=0, trials=9), "a t interval needs 10 or more"),
        (lambda: difference(), "give exactly one"),
        (lambda: equivalence(within=0), "give a margin above 0"),
        (lambda: equivalence(within=math.nan), "give a number"),
        (lambda: equivalence(within=1, trials=2), "a t interval needs 10 or more"),
        (lambda: always(open_rate=0), "give a rate between 0 and 1"),
    ],
)
def test_an_invalid_rule_is_refused(make: Any, message: str) -> None:
    with pytest.raises(WrongUse) as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize("limit", [0.05, 0.3, 0.5, 0.95])
def test_a_rate_rule_is_refused_exactly_where_it_cannot_decide(limit: float) -> None:
    with pytest.raises(WrongUse) as error:
        rate(above=limit, trials=2)
    needed = int(str(error.value).rsplit("=", 1)[1])
    decided = {
        judge(declare(rate(above=limit, trials=needed)), successes(k, needed)).verdict for k in (0, needed)
    }
    assert decided == {"holds", "refuted"}
    with pytest.raises(WrongUse):
        rate(above=limit, trials=needed - 1)


def test_no_two_rules_have_the_same_text() -> None:
    texts = [rate(above=0.5).text, rate(above=0.50001).text, rate(above=0.5, trials=41).text,
             rate(above=0.5, alpha=0.01).text, rate(below=0.5).text, difference(above=0.5).text,
             rate(above=0.5, over="x").text, equivalence(within=0.5).text, equivalence(within=0.5000001).text,
             always().text, always(open_rate=0.02).text, always(alpha=0.01).text]  # fmt: skip
    assert len(set(texts)) == len(texts)
    assert texts[0] == "rate above 50 %, at least 40 trials, alpha 0.05"


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        (mostly(), rate(above=0.5)),
        (mostly(trials=60), rate(above=0.5, trials=60)),
        (nearly_always(), rate(above=0.9)),
        (sometimes(), rate(above=0.1)),
        (not_mostly(), rate(below=0.5)),
        (rarely(), rate(below=0.1)),
        (cannot(over="a"), rate(below=0.05, over="a", trials=100)),
        (more(), difference(above=0)),
        (more(than=0.1), difference(above=0.1)),
        (less(), difference(below=0)),
        (less(than=0.2, trials=50), difference(below=0.2, trials=50)),
    ],
)
def test_a_word_equals_the_rule_that_it_stands_for(word: Rule, rule: Rule) -> None:
    assert word == rule
    assert word.text == rule.text


ORDER = {"refuted": 0, "inconclusive": 1, "holds": 2}


@given(st.integers(0, 60), st.integers(40, 60), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_a_higher_bound_never_helps_a_rate_above_it(hits: int, n: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    trials = successes(min(hits, n), n)
    lax, strict = (judge(declare(rate(above=bound)), trials).verdict for bound in (low, high))
    assert ORDER[lax] >= ORDER[strict]
    mirrored = judge(declare(rate(below=high)), trials).verdict
    assert ORDER[mirrored] == 2 - ORDER[strict]


@given(st.integers(0, 39), st.integers(0, 40))
def test_one_more_success_never_harms(hits: int, other: int) -> None:
    example = declare(rate(above=0.1, over="other"), comparisons=["other"])
    less, more = (
        judge(example, Evidence(successes(k), {"other": successes(other)})) for k in (hits, hits + 1)
    )
    assert ORDER[less.verdict] <= ORDER[more.verdict]


numbers = st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=30)


@given(numbers, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_mean_rules(found: list[float], bound: float, more: float) -> None:
    def judged(rule: Any) -> Any:
        return judge(declare(rule), values(found))

    try:
        strict = judged(difference(above=bound + more, trials=10))
    except JudgingError as error:
        # Either this error or a verdict.
        assert "no interval" in str(error)  # noqa: PT017
        return
    low, high = strict.interval
    assert low < strict.estimate < high
    assert ORDER[judged(difference(above=bound, trials=10)).verdict] >= ORDER[strict.verdict]
    wide, narrow = (judged(equivalence(within=1 + m, trials=10)).verdict for m in (more, 0))
    assert ORDER[wide] >= ORDER[narrow]


@given(st.integers(0, 400), st.integers(1, 400))
def test_always_is_refuted_only_by_a_counterexample(failures: int, n: int) -> None:
    verdict = judge(declare(always()), successes(n - min(failures, n), n)).verdict
    assert (verdict == "refuted") == (failures > 0)
    assert failures > 0 or (verdict == "holds") == (n >= 299)


@given(st.permutations(range(40)))
def test_the_order_of_trials_does_not_matter(order: list[int]) -> None:
    shuffled = [values(SPREAD)[i] for i in order]
    one, other = (judge(declare(difference(above=0)), trials) for trials in (shuffled, values(SPREAD)))
    assert one.verdict == other.verdict
    assert one.interval == pytest.approx(other.interval)
