"""The sentence of `power_text` against the judge's own verdicts and simulation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from tests.support.judging import declare, successes
from vsg_core.judge.judging import judge
from vsg_core.judge.power import power_text
from vsg_core.judge.rules import (
    Rule,
    always,
    cannot,
    difference,
    equivalence,
    mostly,
    not_mostly,
    rarely,
    rate,
)
from vsg_core.judge.trials import Evidence

RUNS = 20_000
# Four standard errors of a simulated share near 0.8.
SLACK = 4 * np.sqrt(0.8 * 0.2 / RUNS)


def counts(rule: Rule, n: int, verdict: str) -> list[int]:
    """List the numbers of successes in `n` trials that give a verdict, against none in any other arm."""
    arms = {rule.over: successes(0, n)} if rule.over else {}
    claim = declare(rule, comparisons=list(arms))
    return [k for k in range(n + 1) if judge(claim, Evidence(successes(k, n), arms)).verdict == verdict]


@pytest.mark.parametrize(
    ("rule", "n"),
    [
        (mostly(), 40), (mostly(), 60), (not_mostly(), 40), (rate(above=0.9, trials=60), 60), (rarely(), 100),
        (rate(above=0.1, over="a"), 40), (cannot(over="a"), 120),
    ],
)  # fmt: skip
def test_the_quoted_counts_are_those_of_the_judge(rule: Rule, n: int) -> None:
    text = power_text(rule, n)
    for verdict, word in (("holds", "holds"), ("refuted", "is refuted")):
        expected = counts(rule, n, verdict)
        if not expected:
            assert f"{word} at no count" in text
            continue
        found = re.search(rf"{word} (from|up to) (\d+) success", text)
        assert found is not None, text
        edge = int(found[2])
        assert expected == (list(range(edge, n + 1)) if found[1] == "from" else list(range(edge + 1)))


@pytest.mark.parametrize(("rule", "n"), [(mostly(), 40), (rarely(), 100), (rate(above=0.9, trials=60), 60)])
def test_the_quoted_rates_decide_in_four_of_five_runs(rule: Rule, n: int) -> None:
    """A rate one percent nearer to the limit does not."""
    rng = np.random.default_rng(0)
    text = power_text(rule, n)
    quoted = re.findall(r"(from|up to) (\d+) success\w* \(a true rate of (\d+) % in 80 % of runs\)", text)
    assert quoted
    for side, edge, percent in quoted:
        nearer = int(percent) + (-1 if side == "from" else 1)
        shares = []
        for truth in (int(percent), nearer):
            drawn = rng.binomial(n, truth / 100, RUNS)
            shares.append(np.mean(drawn >= int(edge) if side == "from" else drawn <= int(edge)))
        assert shares[0] >= 0.8 - SLACK
        assert shares[1] < 0.8 + SLACK


def test_the_text_of_always_states_the_rate_left_open() -> None:
    assert power_text(always(), 300) == "300 trials without a counterexample leave 1 % open; 299 leave 1 %"
    assert power_text(always(), 57) == "57 trials without a counterexample leave 5 % open; 299 leave 1 %"
    assert "59 leave 5 %" in power_text(always(open_rate=0.05), 40)


def shares_that_exclude_zero(effect: float, n: int) -> float:
    drawn = np.random.default_rng(0).normal(effect, size=(RUNS, n))
    half = stats.t.ppf(0.975, n - 1) * drawn.std(axis=1, ddof=1) / np.sqrt(n)
    return float(np.mean(drawn.mean(axis=1) > half))


@pytest.mark.parametrize("n", [20, 40, 100])
def test_the_quoted_mean_is_detected_in_four_of_five_runs(n: int) -> None:
    found = re.search(
        r"a mean ([\d.]+) standard deviations from the limit", power_text(difference(above=0.1), n)
    )
    assert found is not None
    assert shares_that_exclude_zero(float(found[1]), n) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize("n", [20, 40, 100])
def test_the_quoted_spread_is_found_equivalent_in_four_of_five_runs(n: int) -> None:
    found = re.search(r"deviation is at most ([\d.]+) times the margin", power_text(equivalence(within=2), n))
    assert found is not None
    drawn = np.random.default_rng(0).normal(size=(RUNS, n)) * float(found[1]) * 2
    half = stats.t.ppf(0.95, n - 1) * drawn.std(axis=1, ddof=1) / np.sqrt(n)
    share = np.mean(np.abs(drawn.mean(axis=1)) + half < 2)
    # The formula is a normal approximation.
    assert share == pytest.approx(0.8, abs=0.03)


def test_the_text_is_one_line_per_rule() -> None:
    for rule in (mostly(), always(), difference(above=0), equivalence(within=1), cannot(over="a")):
        text = power_text(rule, 120)
        assert "\n" not in text
        assert text.startswith("120 trials")
        assert not re.search(r"\d%", text)
