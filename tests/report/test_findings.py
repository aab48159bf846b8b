"""The first screen of a report: results of claims, the findings farthest from what was reported; rules in words."""

from __future__ import annotations

import math

import pytest

from tests.support.report_records import EMPTY, SLICED, measured, successes
from vsg_core.judge.rules import Rule, always, difference, equivalence, rate
from vsg_core.records.record import Interval, Record, StoredArm
from vsg_core.report.view.findings import beyond, distance, standing
from vsg_core.report.view.terms import Terms, thresholds, wanted
from vsg_core.vocabulary import Verdict

MADE = measured(EMPTY, 0, successes(38), SLICED)


def record(
    rule: Rule, interval: Interval | None, verdict: Verdict = "refuted", arms: tuple[StoredArm, ...] = ()
) -> Record:
    """A record of 100 trials with that interval; without one, of a claim that was not run."""
    evidence = MADE.evidence.model_copy(
        update={
            "interval": interval,
            "n": 100,
            "verdict": verdict if interval else "not run",
            "arms": arms,
        }
    )
    claim = MADE.claim.model_copy(update={"rule": rule})
    return MADE.model_copy(update={"claim": claim, "evidence": evidence})


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["holds", "inconclusive", "not run"], "holds"),
        (["refuted", "refuted", "inconclusive"], "refuted"),
        (["holds", "refuted"], "divided"),
        (["holds", "negligible", "inconclusive"], "divided"),
        (["refuted", "negligible"], "refuted"),
        (["negligible", "inconclusive"], "negligible"),
        (["inconclusive", "not run"], "undecided"),
        (["not run"], "not run"),
        ([], "not run"),
    ],
)
def test_the_standing_of_a_claim(verdicts: list[Verdict], expected: str) -> None:
    assert standing(verdicts) == expected


H = math.pi / 2  # of a rate of 50 %: 2 asin sqrt(1/2)


@pytest.mark.parametrize(
    ("rule", "interval", "size"),
    [
        # 2 asin sqrt(1/4) is pi / 3
        (rate(above=0.5), (0.0, 0.25), H - math.pi / 3),
        (rate(above=0.5), (0.4, 0.6), 0.0),
        (rate(above=0.5), (0.75, 1.0), -(2 * math.pi / 3 - H)),
        (rate(below=0.5), (0.75, 1.0), 2 * math.pi / 3 - H),
        (rate(below=0.5), (0.0, 0.25), -(H - math.pi / 3)),
        # An interval of 0.4 for a mean of 100 values: a standard error of 0.1, a standard deviation of 1.
        (difference(above=0.0), (-0.9, -0.5), 0.5),
        (difference(below=0.0), (-0.9, -0.5), -0.5),
        (equivalence(within=0.1), (0.3, 0.7), 0.2),
        (equivalence(within=1.0), (-0.2, 0.2), -0.8),
        (always(open_rate=0.01), (0.25, 0.3), math.pi / 3),
        (always(open_rate=0.25), (0.0, 0.0), -math.pi / 3),
        (rate(above=0.5), None, 0.0),
    ],
)
def test_how_far_an_interval_is_beyond_the_threshold(
    rule: Rule, interval: Interval | None, size: float
) -> None:
    assert beyond(record(rule, interval)) == pytest.approx(size, abs=1e-9)


def test_a_rate_over_an_arm_is_measured_from_that_arm() -> None:
    arm = StoredArm(name="noise", role="comparison", estimate=0.25)
    found = beyond(record(rate(below=0.0, over="noise"), (0.25, 0.5), arms=(arm,)))
    assert found == pytest.approx(H - math.pi / 3)


def test_the_distance_is_a_mean_over_the_models_and_is_reversed_if_the_source_saw_the_opposite() -> None:
    """Whatever the words of `reported` are."""
    rule = difference(above=0.0)
    records = [
        record(rule, (-0.9, -0.5)),
        record(rule, None),
        record(rule, (-0.2, 0.2), verdict="inconclusive"),
    ]
    assert distance(records) == pytest.approx(0.25)
    for reported in ("The opposite, from three prompts", "seen"):
        opposite = [
            one.model_copy(
                update={
                    "claim": one.claim.model_copy(
                        update={"reported_verdict": "refuted", "reported": reported}
                    )
                }
            )
            for one in records
        ]
        assert distance(opposite) == pytest.approx(-0.25)
    assert distance([record(rule, None)]) == 0.0


RULES = {
    rate(above=0.5): (
        [0.5],
        "above 50 %",
        "Holds if the whole 95 % interval of the rate of success is above 50 %, is refuted if all of it is below, "
        "and is inconclusive if it includes the limit.",
        {"Threshold": "above 50 %", "Interval": "95 %", "Trials": "at least 40", "Alpha": "0.05"},
    ),
    rate(below=0.1, over="it's noise", trials=100): (
        [0.1],
        "below +10 points",
        "Holds if the whole 95 % interval of the rate of success minus that of “it's noise” is below +10 points, is "
        "refuted if all of it is above, and is inconclusive if it includes the limit.",
        {"Threshold": "below +10 points", "Interval": "95 %", "Trials": "at least 100", "Alpha": "0.05"},
    ),
    difference(below=-0.125, alpha=0.01): (
        [-0.125],
        "below −0.125",
        "Holds if the whole 99 % interval of the mean value is below −0.125, is refuted if all of it is above, and is "
        "inconclusive if it includes the limit.",
        {"Threshold": "below −0.125", "Interval": "99 %", "Trials": "at least 40", "Alpha": "0.01"},
    ),
    difference(above=0.5, matters=0.25): (
        [0.5],
        "above 0.5",
        "Holds if the whole 95 % interval of the mean value is above 0.5, is refuted if all of it is below, and is "
        "inconclusive if it includes the limit. Before any of these, it is negligible if the whole 90 % interval is "
        "within ±0.25 of the limit.",
        {
            "Threshold": "above 0.5",
            "Interval": "95 %",
            "Negligible": "within ±0.25 of the limit",
            "Trials": "at least 40",
            "Alpha": "0.05",
        },
    ),
    equivalence(within=0.1): (
        [-0.1, 0.1],
        "within ±0.1",
        "Holds if the whole 90 % interval of the mean value is within ±0.1, is refuted if all of it is outside, and is "
        "inconclusive if it includes an end.",
        {"Threshold": "within ±0.1", "Interval": "90 %", "Trials": "at least 40", "Alpha": "0.05"},
    ),
    always(open_rate=0.05): (
        [0.05],
        "at most 5 %",
        "One counterexample refutes it. Without any, it holds once the 90 % interval leaves at most 5 % of cases open; "
        "until then it is inconclusive.",
        {"Threshold": "at most 5 %", "Interval": "90 %", "Alpha": "0.05"},
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_a_rule_in_words_and_numbers(rule: Rule) -> None:
    places, limit, sentence, numbers = RULES[rule]
    assert (thresholds(rule), wanted(rule)) == (places, limit)
    assert (Terms(rule).sentence, Terms(rule).numbers) == (sentence, numbers)
