"""The cause of an inconclusive verdict names the controls that took the verdict away, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.page_reading import cell_of, read
from tests.support.report_records import MODELS, make_claim, measured, values
from vsg_core.judge.arms import control
from vsg_core.judge.rules import difference
from vsg_core.judge.trials import Trial
from vsg_core.report import report_of
from vsg_core.report.page.render import render
from vsg_core.report.text.summary import markdown_summary
from vsg_core.report.view.cells import Cell

LEAK, FLOOR = "another prompt", "a model that cannot"
CLAIM = make_claim(
    "guarded_on_both_sides", "What is asked is answered", "Is it answered?",
    difference(above=0.0), unit="bits",
    controls={
        LEAK: control(difference(below=0.2), "What else could give the effect."),
        FLOOR: control(difference(above=0.2), "What else could hide the effect.", protects="refuted"),
    },
)  # fmt: skip
HELD, REFUTED, OPEN = values(0.4, 0.1), values(-0.4, 0.1), values(0.0, 0.4)
# The trials of each control with which its rule holds, and with which it does not.
LEAK_PASSES, LEAK_FAILS = values(0.05, 0.1), values(0.5, 0.1)
LEAK_OPEN = values(0.2, 0.3)
FLOOR_PASSES, FLOOR_FAILS = values(0.6, 0.1), values(0.1, 0.1)


def cell(own: list[Trial], leak: list[Trial], floor: list[Trial]) -> Cell:
    """The cell of the claim with these trials on one model."""
    (found,) = report_of([measured(CLAIM, 0, own, {LEAK: leak, FLOOR: floor})]).cells
    return found


@pytest.mark.parametrize("leak", [LEAK_PASSES, LEAK_FAILS], ids=["leak passes", "leak fails"])
def test_a_failed_control_of_refuted_is_named_where_the_trials_refute(leak):
    """The control of *holds* does not matter there, even if it fails too."""
    found = cell(REFUTED, leak, FLOOR_FAILS)
    assert found.record.verdict == "inconclusive"
    assert found.undecided.startswith(f"failed control “{FLOOR}” ")
    assert found.undecided.endswith("needs above 0.2 bits")
    assert LEAK not in found.undecided


@pytest.mark.parametrize("floor", [FLOOR_PASSES, FLOOR_FAILS], ids=["floor passes", "floor fails"])
def test_a_failed_control_of_holds_is_named_where_the_trials_hold(floor):
    """The control of *refuted* does not matter there, even if it fails too."""
    found = cell(HELD, LEAK_FAILS, floor)
    assert found.record.verdict == "inconclusive"
    assert found.undecided.startswith(f"failed control “{LEAK}” ")
    assert found.undecided.endswith("needs below 0.2 bits")
    assert FLOOR not in found.undecided


@pytest.mark.parametrize(
    ("own", "leak", "floor", "verdict"),
    [
        (REFUTED, LEAK_FAILS, FLOOR_PASSES, "refuted"),
        (HELD, LEAK_PASSES, FLOOR_FAILS, "holds"),
    ],
)
def test_a_failed_control_of_the_other_side_leaves_the_verdict(own, leak, floor, verdict):
    found = cell(own, leak, floor)
    assert found.record.verdict == verdict
    assert found.undecided == ""


def test_trials_that_decide_nothing_name_the_bound_and_no_control():
    found = cell(OPEN, LEAK_FAILS, FLOOR_FAILS)
    assert found.record.verdict == "inconclusive"
    assert found.undecided == "0 bits is inside the interval"


def test_a_control_that_guards_negligible_is_named_where_that_may_be_the_verdict():
    """Only the narrower interval is inside the margin, and records do not keep it."""
    margin = replace(CLAIM, rule=difference(above=0.0, matters=0.1))
    (found,) = report_of(
        [measured(margin, 0, values(0.0, 0.22), {LEAK: LEAK_PASSES, FLOOR: FLOOR_FAILS})]
    ).cells
    assert found.record.verdict == "inconclusive"
    assert found.undecided.startswith(f"0 bits is inside the interval; failed control “{FLOOR}” ")
    (found,) = report_of(
        [measured(margin, 0, values(0.0, 0.22), {LEAK: LEAK_PASSES, FLOOR: FLOOR_PASSES})]
    ).cells
    assert found.record.verdict == "negligible"


def shown(own: list[Trial], leak: list[Trial], floor: list[Trial]) -> tuple[str, str]:
    """The cell of the page, and that of the summary."""
    report = report_of([measured(CLAIM, 0, own, {LEAK: leak, FLOOR: floor})])
    return cell_of(read(render(report)), CLAIM.id, MODELS[0].name).text, markdown_summary(report)


@pytest.mark.parametrize(
    ("own", "leak", "floor", "words"),
    [
        (REFUTED, LEAK_OPEN, FLOOR_PASSES, "1 control undecided, protects only holds"),
        (REFUTED, LEAK_FAILS, FLOOR_PASSES, "1 control failed, protects only holds"),
        (HELD, LEAK_PASSES, FLOOR_FAILS, "1 control failed, protects only refuted and negligible"),
        (OPEN, LEAK_OPEN, FLOOR_FAILS, "1 control failed, 1 control undecided"),
    ],
)
def test_a_control_that_did_not_hold_is_failed_or_undecided_and_leaves_what_it_does_not_protect(
    own, leak, floor, words
):
    page, _ = shown(own, leak, floor)
    assert words in page
    assert ("protects" in page) == ("protects" in words)


def test_the_summary_calls_a_control_what_the_page_calls_it():
    assert f"control {LEAK} undecided, protects only holds" in shown(REFUTED, LEAK_OPEN, FLOOR_PASSES)[1]
    assert f"control {LEAK} failed, protects only holds" in shown(REFUTED, LEAK_FAILS, FLOOR_PASSES)[1]


def test_an_undecided_control_that_takes_a_verdict_away_is_not_called_failed():
    assert cell(HELD, LEAK_OPEN, FLOOR_PASSES).undecided.startswith(f"undecided control “{LEAK}” ")


def test_the_legend_says_which_controls_leave_a_verdict_open():
    report = report_of([measured(CLAIM, 0, HELD, {LEAK: LEAK_PASSES, FLOOR: FLOOR_PASSES})])
    legend = read(render(report)).all("p", "legend")[0].text
    assert "includes the threshold, or a control that protects the verdict did not hold" in legend
