"""A claim's part of the page: rule, forest plot, curves, trials, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    DOSES,
    MODELS,
    doses,
    large,
    make_claim,
    measured,
    over_all_models,
    run,
    values,
)
from vsg_core.judge.rules import difference
from vsg_core.records.record import Record
from vsg_core.report import report_of
from vsg_core.report.page.render import render

SORTED = sorted(MODELS, key=lambda model: (model.family or "", model.parameters or 0))


def page_of(records: Sequence[Record]) -> Element:
    return read(render(report_of(records)))


@pytest.fixture(scope="module")
def page() -> Element:
    return page_of(run())


def test_intervals_controls_and_threshold_are_drawn(page: Element) -> None:
    part = page.by_id("claim--chat_embeddings_give_empty_output")
    lanes = part.all("svg", "lane")
    assert len(lanes) == 6, "three models, each with one comparison"
    drawn = lanes[0]
    assert len(drawn.all("line", "interval")) == 1
    (threshold,) = drawn.all("line", "threshold")
    assert threshold.attributes["x1"] == "50.0%"
    assert {use.attributes["href"] for use in drawn.all("use")} == {"#shape-refuted"}
    assert "holds if above 50 %" in part.text


def test_each_arm_is_drawn_over_the_models_with_its_own_threshold(page: Element) -> None:
    part = page.by_id("claim--next_distribution_is_nearer_to_the_mixture")
    own, positive, control = part.all("table", "forest")[0].all("tbody")
    assert [row.all("th")[0].text.split()[0] for row in own.all("tr", "line")] == [
        model.name for model in SORTED
    ]
    assert control.all("tr")[0].all("th")[0].text == (
        "permuted weights control, needs below 0.02 The same tokens, their weights shuffled."
    )
    assert positive.all("tr")[0].all("th")[0].text == "names the top token positive control, needs above 50 %"
    assert "100 %" in positive.all("svg", "scale")[0].text
    # 0.5 of 0 to 1, with a margin of 5 % on both sides
    assert {line.attributes["x1"] for line in positive.all("line", "threshold")} == {"50.0%"}
    # one scale for both, so that they can be compared by eye
    assert own.all("line", "zero")[0].attributes == control.all("line", "zero")[0].attributes


def test_a_rule_is_shown_as_a_sentence_and_as_numbers(page: Element) -> None:
    part = page.by_id("claim--chat_embeddings_give_empty_output")
    rule = part.all("dl", "terms")[0].text
    assert "Holds if the whole 95 % interval of the rate of success is above 50 %, is refuted if" in rule
    (numbers,) = part.all("ul", "rule-numbers")
    said = [item.text for item in numbers.all("li")]
    assert said == ["Threshold above 50 %", "Interval 95 %", "Trials at least 40", "Alpha 0.05"]


def test_examples_show_successes_failures_and_every_arm(page: Element) -> None:
    part = page.by_id("claim--chat_embeddings_give_empty_output")
    details = next(d for d in part.all("details", "examples") if "1.5b" in d.all("summary")[0].text)
    assert "open" not in details.attributes
    cards = details.all("div", "example")
    labels = [card.all("p", "label")[0].text for card in cards]
    assert labels == [
        "success", "success", "no success", "no success", "comparison “sliced by the prompt length”",
    ]  # fmt: skip
    assert cards[0].all("dd", "produced")[0].text == "(empty)"
    assert "a city that lies on a river.↵ It is old." in cards[2].text
    assert "Paris0.610" in cards[0].text
    assert "and 2 more tokens, weight 0.020 together" in cards[0].text
    assert "temperature0.8" in cards[0].text
    links = [link.attributes["href"] for link in details.all("p", "all")[0].all("a")]
    assert links == ["records/qwen2.5-coder-1.5b-instruct/chat_embeddings_give_empty_output.json"]


def test_inputs_are_shown_to_four_digits_and_a_bare_value_is_no_example() -> None:
    """An arm that gives values only, as a curve's, has nothing to look at."""
    shown = [
        replace(t, inputs={"bits": [1 / 3, {"share": 2e-9 / 3}], "word": "gato"}) for t in values(0.2, 0.1)
    ]
    bare = [replace(t, output="") for t in values(0.01, 0.02)]
    claim = make_claim("one", "One", "Which?", difference(above=0), comparisons=["bare", "written"])
    part = page_of([measured(claim, 0, shown, {"bare": bare, "written": values(0.1, 0.1)})]).by_id(
        "claim--one"
    )
    cards = part.all("div", "example")
    assert 'bits[0.3333, {"share": 6.667e-10}]' in cards[0].text
    assert "wordgato" in cards[0].text
    labels = [card.all("p", "label")[0].text for card in cards]
    assert [label.split(":")[0] for label in labels][-1] == "comparison “written”"
    assert len(labels) == 4


def test_a_counterexample_is_shown(page: Element) -> None:
    part = page.by_id("claim--ids_and_embeddings_give_the_same_logits")
    assert "counterexample" in [label.text for label in part.all("p", "label")]


def test_provenance_shows_bytes_versions_code_and_what_it_took(page: Element) -> None:
    origin = page.by_id("model--smollm2-135m-instruct")
    for fact in (
        "2c0ffee0" * 8,
        "Q8_0 (8-bit)",
        "hub: Example/Model-GGUF",
        "bfloat16 on cpu",
        "torch 2.13.0",
        "2 cores",
    ):
        assert fact in origin.text
    assert "73b7cf7" + 33 * "0" + " with uncommitted changes" in origin.text
    assert "3 claims in 37 s, 18,432 tokens at 627 per second of forward passes" in origin.text
    assert "Seeds0" in origin.text


def test_a_cell_shows_when_it_was_measured_and_the_command_that_measures_it_again(page: Element) -> None:
    part = page.by_id("claim--weights_are_recovered").all("details", "examples")[-1].text
    again = "-k 'test_weights_are_recovered[smollm2-135m-instruct]' --dtype bfloat16"
    assert f"pytest --model smollm2-135m-instruct {again}" in part
    assert "in 12.4 s, 6,144 tokens at 627 per second of forward passes, seed 0" in part


def test_a_claim_over_all_models_has_one_wide_cell_and_a_part() -> None:
    page = page_of([*run(), over_all_models()])
    cell = cell_of(page, "agreement_grows_with_size", "across-models")
    assert cell.attributes["colspan"] == "4"
    assert "over all models together holds 90 %" in cell.text
    assert len(page.all("table", "matrix")[0].all("th", "m4")) == 1, "no column of its own"
    part = page.by_id("claim--agreement_grows_with_size").text
    assert "pytest -k test_agreement_grows_with_size --dtype bfloat16" in part
    assert "across-models" in page.by_id("model--across-models").text


def test_only_claims_over_all_models_make_a_page_too() -> None:
    page = page_of([over_all_models()])
    assert cell_of(page, "agreement_grows_with_size", "across-models").attributes["colspan"] == "1"
    assert "several models at once" in page.all("header")[0].text


def test_comparisons_that_differ_in_dose_are_drawn_as_curves() -> None:
    part = page_of(doses()).by_id("claim--divergence_grows_with_noise")
    (figure,) = part.all("figure", "curves")
    assert len(figure.all("div", "panel")) == 2, "one for each model"
    panel = figure.all("div", "panel")[0]
    assert len(panel.all("polyline")) == 2, "two curves over the same doses"
    assert [text.text for text in panel.all("text") if text.attributes.get("class") != "y"] == [
        "0.5",
        "1",
        "2",
        "4",
        "standard deviations",
    ]
    # 0.5 to 4 on a logarithmic scale: equal steps
    places = [float(pair.split(",")[0]) for pair in panel.all("polyline")[0].attributes["points"].split()]
    assert [round(b - a) for a, b in pairwise(places)] == [87, 87, 87]
    assert "by standard deviations on a logarithmic scale" in figure.text
    assert "noise at 0.5 std" in figure.all("table")[0].text
    assert "noise at 0.5 std" not in part.all("table", "forest")[0].text
    assert "no noise" in part.all("table", "forest")[0].text, "a comparison without a dose stays there"


def test_fewer_than_three_doses_make_no_curve() -> None:
    two = [
        record.model_copy(update={"evidence": record.evidence.model_copy(update={"arms": kept})})
        for record in doses()
        if (kept := tuple(arm for arm in record.evidence.arms if arm.dose is None or arm.dose.value < 2))
    ]
    part = page_of(two).by_id("claim--divergence_grows_with_noise")
    assert not part.all("figure", "curves")
    assert "noise at 0.5 std" in part.all("table", "forest")[0].text


def test_a_dose_is_data_and_not_part_of_the_arms_name() -> None:
    """Renamed arms, with no number in their names, make the same curve."""
    names = {
        f"noise at {dose:g} std": name
        for dose, name in zip(DOSES, ("a little", "some", "more", "most"), strict=True)
    }
    renamed = []
    for record in doses():
        arms = tuple(
            arm.model_copy(update={"name": names.get(arm.name, arm.name)}) for arm in record.evidence.arms
        )
        renamed.append(
            record.model_copy(update={"evidence": record.evidence.model_copy(update={"arms": arms})})
        )
    drawn = [
        [line.attributes["points"] for line in page_of(records).all("polyline")]
        for records in (doses(), renamed)
    ]
    assert drawn[0] == drawn[1]
    assert "a little" in page_of(renamed).all("figure", "curves")[0].all("table")[0].text


def test_all_trials_are_in_a_small_page_and_linked_from_a_large_one() -> None:
    small = page_of(run()).by_id("claim--chat_embeddings_give_empty_output")
    tables = small.all("details", "examples")[1].all("table", "trials")
    assert [len(table.all("tbody")[0].all("tr")) for table in tables] == [40, 40]
    assert "✕ no success" in tables[0].text
    page = render(report_of(large(50)))
    assert len(page.encode()) < 3_000_000
    big = read(page)
    assert not big.all("table", "trials")
    assert len(big.all("details", "examples")) == 200
    assert all(
        d.all("a")[0].attributes["href"].startswith("records/") for d in big.all("details", "examples")
    )
