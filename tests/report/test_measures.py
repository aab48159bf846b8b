"""The text of numbers, and their places on an axis."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.report_records import BRANCHES, EMPTY, RECOVERED, SLICED, measured, successes, values
from vsg_core.judge.rules import always, difference, equivalence, rate
from vsg_core.report.view.arms import arms_of
from vsg_core.report.view.axis import axis_for, axis_without_rule, thresholds_on
from vsg_core.wording import Unit, estimate_text, interval_text, measured_text, number_text

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
def test_number(value: float, unit: Unit, width: float | None, text: str) -> None:
    assert number_text(value, unit, width) == text


@given(st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_only_a_rate_of_0_reads_0_percent_and_only_one_of_1_reads_100(rate: tuple[int, int]) -> None:
    text = number_text(rate[0] / rate[1], "percent")
    assert 0 < float(text.removesuffix(" %")) < 100


def test_interval_and_estimate() -> None:
    assert interval_text((0.5, 0.741), "percent") == "[50 %, 74 %]"
    assert interval_text((-0.25, 0.05), "points") == "[−25, +5]"
    assert interval_text(None, "percent") == ""
    assert estimate_text(0.0, (0, 0.01), 300, "counterexamples") == "none in 300"
    assert estimate_text(3 / 57, (0, 0.1), 57, "counterexamples") == "3 of 57"
    assert estimate_text(None, None, None, "percent") == ""


@pytest.mark.parametrize(
    ("unit", "estimate", "interval", "text"),
    [
        ("percent", 0.267, (0.189, 0.3521), "27 % [19 %, 35 %] of 120"),
        ("percent", 0.99, (0.945, 0.9997), "99 % [94 %, 99.97 %] of 120"),
        ("points", 0.267, (-0.189, 0.3521), "+27 points [−19, +35] of 120"),
        ("points", -0.0, (-0.05, 0.05), "0 points [−5, +5] of 120"),
        ("number", -0.0288, (-0.07, 0.02), "−0.029 [−0.070, 0.020] of 120"),
        ("counterexamples", 0.0, (0.0, 0.0247), "none in 120 [0 %, 2 %]"),
    ],
)
def test_a_whole_measurement(unit: Unit, estimate: float, interval: tuple[float, float], text: str) -> None:
    assert measured_text(estimate, interval, 120, unit) == text


def test_the_unit_of_an_arm_is_that_of_its_rule_and_else_that_of_the_claim_by_itself() -> None:
    over = measured(RECOVERED, 0, successes(38), {"permuted weights": successes(7)})
    arms = {"permuted weights": values(-0.01, 0.02), "names the top token": successes(38)}
    mean = measured(BRANCHES, 0, values(0.11, 0.1), arms)
    alone = measured(EMPTY, 0, successes(38), SLICED)
    assert [arm.unit for arm in arms_of(over)] == ["points", "percent"]
    assert {arm.name: arm.unit for arm in arms_of(mean)[1:]} == {
        "permuted weights": "number",
        "names the top token": "percent",
    }
    assert [arm.unit for arm in arms_of(alone)] == ["percent", "percent"]


def test_the_numbers_of_an_arm_are_those_of_the_record() -> None:
    record = measured(EMPTY, 0, successes(38), SLICED)
    own, other = arms_of(record)
    assert (own.name, own.kind, own.estimate, own.n) == (record.model.name, "claim", "95 %", 40)
    assert (other.name, other.kind, other.needs) == ("sliced by the prompt length", "comparison", "")
    assert (own.needs, own.ends) == ("above 50 %", record.evidence.interval)


def test_a_rate_is_drawn_from_0_to_100_percent() -> None:
    axis = axis_for(rate(above=0.5), [0.3, 0.4])
    assert [text for _, text in axis.labels] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert axis.wanted == (0.5, 1.0)


def test_the_side_on_which_each_rule_holds() -> None:
    assert axis_for(rate(below=0.1), []).wanted == (0.0, 0.1)
    assert axis_for(equivalence(within=0.2), []).wanted == (-0.2, 0.2)
    assert axis_for(always(open_rate=0.01), [0.08]).wanted == (0.0, 0.01)


@given(st.lists(PLACE, min_size=1, max_size=20), PLACE)
def test_an_axis_holds_every_value_in_order(values: list[float], bound: float) -> None:
    axis = axis_for(difference(above=bound), values)
    slack = 1e-6 * (axis.ticks[-1] - axis.ticks[0])
    assert 2 <= len(axis.ticks) <= 9
    assert all(axis.ticks[0] - slack <= place <= axis.ticks[-1] + slack for place in [*values, bound, 0.0])
    ordered = sorted([*values, bound])
    places = [axis.at(value) for value in ordered]
    assert places == sorted(places)
    assert all(0 < place < 100 and math.isfinite(place) for place in places)


def test_tick_labels_are_exact() -> None:
    axis = axis_for(always(open_rate=0.01), [])
    assert [text for _, text in axis.labels] == ["0 %", "0.25 %", "0.5 %", "0.75 %", "1 %"]
    axis = axis_for(rate(above=0.1, over="noise"), [-0.4, 0.9])
    assert [text for _, text in axis.labels] == ["−50", "−25", "0", "+25", "+50", "+75", "+100"]


def test_an_axis_without_a_rule_has_no_threshold() -> None:
    axis = axis_without_rule("percent", [0.2])
    assert (axis.ticks[0], axis.ticks[-1], axis.thresholds, axis.wanted) == (0.0, 1.0, (), None)
    marked = thresholds_on(axis, rate(below=0.5))
    assert (marked.thresholds, marked.wanted) == ((0.5,), (0.0, 0.5))
    assert thresholds_on(marked, None) == axis
