"""How numbers read, and where they lie on an axis."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsg_core.report.view.axis import axis_for
from vsg_core.report.view.measures import estimate, interval, number, wanted
from vsg_core.report.view.terms import unit_of_arm
from vsg_core.wording import measured_text, number_text

PLACE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("value", "unit", "width", "text"),
    [
        (0.62, "percent", 0.2, "62 %"),
        (0.0, "percent", 0.2, "0 %"),
        (1.0, "percent", 0.2, "100 %"),
        (0.0012, "percent", 0.2, "0.1 %"),
        (0.997, "percent", 0.2, "99.7 %"),
        (0.9997, "percent", 0.05, "99.97 %"),
        (0.00004, "percent", 0.05, "0.004 %"),
        (0.00004, "points", 0.05, "+0.004 points"),
        (0.1 + 0.2 - 0.3, "points", 0.05, "0 points"),
        (0.124, "points", 0.2, "+12 points"),
        (-0.124, "points", 0.2, "−12 points"),
        (-0.0, "points", 0.2, "0 points"),
        (0.0484, "number", 0.064, "0.048"),
        (-0.0484, "number", 0.64, "−0.05"),
        (1234.5, "number", 120.0, "1234"),
        (0.0484, "number", None, "0.0484"),
        (-0.0001, "number", 0.5, "0.00"),
    ],
)
def test_number(value: float, unit: str, width: float | None, text: str) -> None:
    assert number(value, unit, width) == text


@given(st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_only_a_rate_of_0_reads_0_percent_and_only_one_of_1_reads_100(rate: tuple[int, int]) -> None:
    """On the page and in the terminal, and in verdicts and the tables made of them."""
    value = rate[0] / rate[1]
    for text in (number(value, "percent"), number_text("percent", value)):
        assert 0 < float(text.removesuffix(" %")) < 100


def test_interval_and_estimate() -> None:
    assert interval((0.5, 0.741), "percent") == "[50 %, 74 %]"
    assert interval((-0.25, 0.05), "points") == "[−25, +5]"
    assert interval(None, "percent") == ""
    assert estimate({"estimate": 0.0, "interval": (0, 0.01), "n": 300}, "counterexamples") == "none in 300"
    assert estimate({"estimate": 3 / 57, "interval": (0, 0.1), "n": 57}, "counterexamples") == "3 of 57"
    assert estimate({"estimate": None, "interval": None, "n": None}, "percent") == ""


@pytest.mark.parametrize(
    ("bound", "estimate", "interval", "text"),
    [
        ({"kind": "rate", "over": None}, 0.267, (0.189, 0.3521), "26.7 % [18.9 %, 35.2 %] of 120"),
        ({"kind": "rate", "over": None}, 0.99, (0.945, 0.9997), "99 % [94.5 %, 99.97 %] of 120"),
        ({"kind": "rate", "over": "noise"}, 0.267, (-0.189, 0.3521), "+26.7 points [-18.9, +35.2] of 120"),
        ({"kind": "rate", "over": "noise"}, -0.0, (-0.05, 0.05), "0 points [-5, +5] of 120"),
        ({"kind": "difference"}, -0.0288, (-0.07, 0.02), "-0.0288 [-0.07, 0.02] of 120"),
        ({"kind": "always"}, 0.0, (0.0, 0.0247), "no counterexamples in 120 (leaves 2.47 % open)"),
    ],
)
def test_verdicts_and_the_table_read_in_the_units_of_the_page(
    bound: dict[str, Any], estimate: float, interval: tuple[float, float], text: str
) -> None:
    assert measured_text(bound, estimate, interval, 120) == text


@pytest.mark.parametrize(
    ("rule", "unit"),
    [
        ("rate above 50 %, at least 40 trials, alpha 0.05", "percent"),
        ("rate above 10 % more than 'noise', at least 40 trials, alpha 0.05", "points"),
        ("difference below 0.02, at least 40 trials, alpha 0.05", "number"),
        ("always: no counterexample, and at most 1 % left open, alpha 0.05", "counterexamples"),
        (None, "percent"),
    ],
)
def test_the_unit_of_an_arm_is_that_of_its_rule(rule: str | None, unit: str) -> None:
    assert unit_of_arm({"rule": rule}, {"kind": "rate", "over": "noise", "above": 0.1}) == unit


def test_rule_texts_are_those_of_the_judge() -> None:
    """The texts above are copies; these are the judge's own."""
    from vsg_core.judge.rules import always, difference, equivalence, rate

    rules = {
        rate(above=0.5): "percent", rate(above=0.1, over="noise"): "points", difference(above=0): "number",
        equivalence(within=0.1): "number", always(): "counterexamples",
    }  # fmt: skip
    for rule, unit in rules.items():
        assert unit_of_arm({"rule": rule.text}, {"kind": "difference"}) == unit
        assert wanted(rule.bound).split()[0] in ("above", "within", "up")


def test_a_rate_is_drawn_from_0_to_100_percent() -> None:
    axis = axis_for({"kind": "rate", "over": None, "above": 0.5}, [0.3, 0.4])
    assert [text for _, text in axis.labels] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert axis.wanted == (0.5, 1.0)


def test_the_wanted_side_of_each_bound() -> None:
    assert axis_for({"kind": "rate", "over": None, "below": 0.1}, []).wanted == (0.0, 0.1)
    assert axis_for({"kind": "equivalence", "over": None, "within": 0.2}, []).wanted == (-0.2, 0.2)
    assert axis_for({"kind": "always", "over": None, "open_rate": 0.01}, [0.08]).wanted == (0.0, 0.01)


@given(st.lists(PLACE, min_size=1, max_size=20), PLACE)
def test_an_axis_holds_every_value_in_order(values: list[float], bound: float) -> None:
    axis = axis_for({"kind": "difference", "over": None, "above": bound}, values)
    slack = 1e-6 * (axis.ticks[-1] - axis.ticks[0])
    assert 2 <= len(axis.ticks) <= 9
    assert all(axis.ticks[0] - slack <= place <= axis.ticks[-1] + slack for place in [*values, bound, 0.0])
    ordered = sorted([*values, bound])
    places = [axis.at(value) for value in ordered]
    assert places == sorted(places)
    assert all(0 < place < 100 and math.isfinite(place) for place in places)


def test_ticks_are_told_exactly() -> None:
    axis = axis_for({"kind": "always", "over": None, "open_rate": 0.01}, [])
    assert [text for _, text in axis.labels] == ["0 %", "0.25 %", "0.5 %", "0.75 %", "1 %"]
    axis = axis_for({"kind": "rate", "over": "noise", "above": 0.1}, [-0.4, 0.9])
    assert [text for _, text in axis.labels] == ["−50", "−25", "0", "+25", "+50", "+75", "+100"]
