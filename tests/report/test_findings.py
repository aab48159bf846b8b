"""What the first screen says of a run: how claims stand, what lies farthest from the report; and how rules read."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vsg_core.judge.rules import always, difference, equivalence, rate
from vsg_core.report.view.curves import dose_of
from vsg_core.report.view.findings import beyond, distance, standing
from vsg_core.report.view.terms import Terms, bound_of


def record(bound: dict[str, Any], interval: tuple[float, float] | None, **more: Any) -> dict[str, Any]:
    verdict = "not run" if interval is None else "refuted"
    return {
        "bound": bound, "interval": interval, "n": 100, "verdict": verdict, "controls": [], "reported": "seen", **more
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "stands"),
    [
        (["holds", "inconclusive", "not run"], "holds"),
        (["refuted", "refuted", "inconclusive"], "refuted"),
        (["holds", "refuted"], "divided"),
        (["inconclusive", "not run"], "undecided"),
        (["not run"], "not run"),
        ([], "not run"),
    ],
)
def test_how_a_claim_stands(verdicts: list[str], stands: str) -> None:
    assert standing(verdicts) == stands


H = math.pi / 2  # of a rate of 50 %: 2 asin sqrt(1/2)


@pytest.mark.parametrize(
    ("bound", "interval", "size"),
    [
        (
            {"kind": "rate", "over": None, "above": 0.5},
            (0.0, 0.25),
            H - math.pi / 3,
        ),  # 2 asin sqrt(1/4) = pi/3
        ({"kind": "rate", "over": None, "above": 0.5}, (0.4, 0.6), 0.0),
        ({"kind": "rate", "over": None, "above": 0.5}, (0.75, 1.0), -(2 * math.pi / 3 - H)),
        ({"kind": "rate", "over": None, "below": 0.5}, (0.75, 1.0), 2 * math.pi / 3 - H),
        # an interval of 0.4 for a mean of 100 values: a standard error of 0.1, a standard deviation of 1
        ({"kind": "difference", "over": None, "above": 0.0}, (-0.9, -0.5), 0.5),
        ({"kind": "difference", "over": None, "below": 0.0}, (-0.9, -0.5), -0.5),
        ({"kind": "equivalence", "over": None, "within": 0.1}, (0.3, 0.7), 0.2),
        ({"kind": "equivalence", "over": None, "within": 1.0}, (-0.2, 0.2), -0.8),
        ({"kind": "always", "over": None, "open_rate": 0.01}, (0.25, 0.3), math.pi / 3),
        ({"kind": "always", "over": None, "open_rate": 0.25}, (0.0, 0.0), -math.pi / 3),
        ({"kind": "rate", "over": None, "above": 0.5}, None, 0.0),
    ],
)
def test_how_far_an_interval_lies_beyond_the_threshold(
    bound: dict[str, Any], interval: tuple[float, float] | None, size: float
) -> None:
    assert beyond(record(bound, interval)) == pytest.approx(size, abs=1e-9)


def test_a_rate_over_an_arm_is_measured_from_that_arm() -> None:
    bound = {"kind": "rate", "over": "noise", "below": 0.0}
    arm = {"name": "noise", "estimate": 0.25}
    assert beyond(record(bound, (0.25, 0.5), controls=[arm])) == pytest.approx(H - math.pi / 3)


def test_the_distance_is_a_mean_over_the_models_and_turns_round_for_the_opposite() -> None:
    bound = {"kind": "difference", "over": None, "above": 0.0}
    records = [
        record(bound, (-0.9, -0.5)),
        record(bound, None),
        record(bound, (-0.2, 0.2), verdict="inconclusive"),
    ]
    assert distance(records) == pytest.approx(0.25)
    opposite = [one | {"reported": "The opposite, from three prompts"} for one in records]
    assert distance(opposite) == pytest.approx(-0.25)
    assert distance([record(bound, None)]) == 0.0


@pytest.mark.parametrize(
    "rule",
    [
        rate(above=0.5), rate(below=0.1), rate(above=0.2, over="it's noise"), difference(below=-0.125),
        equivalence(within=0.1), always(open_rate=0.05), difference(above=1e-6),
    ],
)  # fmt: skip
def test_the_text_of_every_rule_gives_back_its_bound_and_numbers(rule: Any) -> None:
    assert bound_of(rule.text) == pytest.approx(rule.bound)
    terms = Terms.of(
        {"rule": f"{rule.text}; control 'other': rate above 1 %, at least 7 trials", "bound": rule.bound}
    )
    assert terms.alpha == rule.alpha
    assert terms.trials == (None if rule.kind == "always" else rule.trials)
    assert terms.limit in terms.sentence


def test_a_rule_of_another_wording_has_no_bound_and_no_sentence() -> None:
    assert bound_of("the more the better") is None
    terms = Terms.of({"rule": "the more the better", "bound": {"kind": "new", "over": None, "more": 1}})
    assert (terms.sentence, terms.numbers) == ("", {})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("noise at 0.5 std", ("noise at … std", 0.5)),
        ("N = 8", ("N = …", 8.0)),
        ("hidden state at 25 %", ("hidden state at … %", 25.0)),
        ("0.5 to 0.5", None),
        ("no number", None),
        ("gpt2 alone", None),
    ],
)
def test_the_number_in_a_comparisons_name(name: str, found: tuple[str, float] | None) -> None:
    assert dose_of(name) == found
