"""An effect too small to matter is drawn, named and counted wherever a verdict is; what a control protects, too."""

from __future__ import annotations

import pytest

from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    EMPTY,
    MODELS,
    SLICED,
    SMALL,
    measured,
    run,
    small_effects,
    successes,
    values,
)
from vsg_core.judge.rules import difference, rate
from vsg_core.report import report_of, terminal_summary
from vsg_core.report.diff import compare_runs, diff_text
from vsg_core.report.page.render import render
from vsg_core.report.text.claim_table import ClaimTable
from vsg_core.report.text.counts import verdict_counts
from vsg_core.report.text.summary import markdown_summary
from vsg_core.report.view.axis import axis_for
from vsg_core.vocabulary import VERDICTS

ARMS = {"another prompt's context": values(0.05, 0.1)}


@pytest.fixture(scope="module")
def page() -> Element:
    return read(render(report_of(small_effects())))


def test_the_records_are_negligible_and_inconclusive() -> None:
    assert [record.verdict for record in small_effects()] == ["negligible", "inconclusive"]


def test_the_page_draws_names_and_counts_it(page: Element) -> None:
    header = page.all("header")[0].text
    assert "1 negligible" in header
    assert "negligible on at least one model, holds or is refuted on none" in header
    cell = cell_of(page, SMALL.id, MODELS[0].name)
    assert "negligible" in cell.attributes["class"].split()
    assert [use.attributes["href"] for use in cell.all("use")] == ["#shape-negligible"]
    drawn = {use.attributes["href"][1:] for use in page.all("use")}
    assert drawn <= {symbol.attributes["id"] for symbol in page.all("symbol")}
    filters = [field for field in page.all("input") if field.attributes.get("name") == "verdict"]
    assert "negligible" in [field.attributes["value"] for field in filters]
    assert (
        "negligible the effect is smaller than the smallest that matters" in page.all("p", "legend")[0].text
    )


def test_the_margin_is_drawn_on_every_lane_of_the_claim_and_explained(page: Element) -> None:
    (own, control) = page.by_id(f"claim--{SMALL.id}").all("table", "forest")[0].all("tbody")
    assert len(own.all("rect", "margin")) == 2
    assert not control.all("rect", "margin"), "the rule of the control has none"
    assert len(cell_of(page, SMALL.id, MODELS[0].name).all("rect", "margin")) == 1
    assert "the narrow band marks effects too small to matter" in page.all("p", "legend")[0].text
    terms = page.by_id(f"claim--{SMALL.id}").all("dl", "terms")[0].text
    assert "it is negligible if the whole 90 % interval is within ±0.1 of the limit." in terms
    assert "narrow band" not in read(render(report_of(run()))).all("p", "legend")[0].text


def test_an_axis_has_room_for_the_margin() -> None:
    axis = axis_for(difference(above=0.5, matters=2), [0.4, 0.6])
    assert axis.margin == (-1.5, 2.5)
    assert axis.ticks[0] <= -1.5 < 2.5 <= axis.ticks[-1]
    assert axis_for(rate(above=0.5), [0.4]).margin is None


def test_a_control_names_what_it_protects_unless_that_is_the_default(page: Element) -> None:
    control = page.by_id(f"claim--{SMALL.id}").all("tr", "group")[0].text
    assert "control, needs below 0.2 bits, protects every verdict" in control
    assert ", protects" not in read(render(report_of(run()))).text
    shown = read(ClaimTable(small_effects())[SMALL.id, MODELS[0].name]._repr_html_())
    assert "protects every verdict" in shown.text


def test_a_failed_control_is_the_cause_where_it_protects_the_verdict() -> None:
    """Here the refuted verdict of the trials themselves, and not the limit, which is outside the interval."""
    failing = {"another prompt's context": values(0.4, 0.1)}
    record = measured(SMALL, 0, values(-0.4, 0.1), failing)
    assert record.verdict == "inconclusive"
    (cell,) = report_of([record]).cells
    assert cell.undecided.startswith("failed control “another prompt's context” 0.4")
    assert cell.undecided.endswith("needs below 0.2 bits")


def test_every_verdict_has_a_mark_in_the_terminal_and_a_sign_in_a_notebook() -> None:
    report = report_of(small_effects())
    assert verdict_counts(report) == "1 negligible, 1 inconclusive"
    assert "= negligible" in terminal_summary(report)
    assert "**negligible** 0.0" in markdown_summary(report)
    assert "≈ negligible" in read(ClaimTable(small_effects())._repr_html_()).text
    assert [verdict for verdict in VERDICTS if verdict in report.counts] == list(VERDICTS)


def test_two_runs_differ_by_their_margin_and_by_what_a_control_protects() -> None:
    before, _ = small_effects()
    wider = before.model_copy(
        update={
            "claim": before.claim.model_copy(
                update={"rule": difference(above=0.0, matters=0.2), "rules_digest": "0" * 16}
            )
        }
    )
    shown = " ".join(diff_text(compare_runs([before], [wider]), ("a", "b"), 200).split())
    assert "the rule's smallest effect that matters: ±0.1 in A, ±0.2 in B" in shown
    (arm,) = before.evidence.arms
    evidence = before.evidence.model_copy(update={"arms": (arm.model_copy(update={"protects": "refuted"}),)})
    claim = before.claim.model_copy(update={"rules_digest": "1" * 16})
    other = before.model_copy(update={"evidence": evidence, "claim": claim})
    shown = " ".join(diff_text(compare_runs([before], [other]), ("a", "b"), 200).split())
    assert "control “another prompt's context” protects both in A, refuted in B" in shown


def test_a_flip_to_negligible_is_a_flip() -> None:
    small, _ = small_effects()
    held = measured(SMALL, 0, values(0.4, 0.1), ARMS)
    compared = compare_runs([held], [small])
    assert compared.counts["flipped"] == 1
    assert "holds 0.4" in diff_text(compared, ("a", "b"))
    assert "→ negligible" in " ".join(diff_text(compared, ("a", "b"), 200).split())


def test_a_claim_that_holds_on_one_model_and_is_negligible_on_another_divides_them() -> None:
    (row,) = report_of([small_effects()[0], measured(SMALL, 2, values(0.4, 0.1), ARMS)]).findings
    assert row.standing == "divided"
    (rate_row,) = report_of([measured(EMPTY, 0, successes(40), SLICED)]).findings
    assert rate_row.standing == "holds"
