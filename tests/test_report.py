"""The claim report: what the page, its rows and the terminal say about a run."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise

import pytest

from tests.page_reading import Element, read
from tests.report_records import (
    EMPTY,
    MODELS,
    SAME_LOGITS,
    SLICED,
    doses,
    large,
    measured,
    over_all_models,
    provenance,
    run,
    successes,
)
from vsg_core.evidence import RECORD_SCHEMA
from vsg_core.report import terminal_summary
from vsg_core.report.page import render

SORTED = sorted(MODELS, key=lambda model: (str(model["family"]), int(str(model["parameters"]))))


@pytest.fixture(scope="module")
def page() -> Element:
    return read(render(run()))


def cell_of(page: Element, claim: str, model: str) -> Element:
    """The cell of the matrix that links to this claim and model."""
    (found,) = [
        cell
        for cell in page.all("td", "cell")
        if any(link.attributes["href"] == f"#cell--{claim}--{model}" for link in cell.all("a"))
    ]
    return found


def test_the_records_used_here_are_valid() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for record in run():
        jsonschema.validate(record, RECORD_SCHEMA)


def test_the_first_lines_say_what_was_run_and_what_came_out(page: Element) -> None:
    (header,) = page.all("header")
    assert "4 claims about concept tokens, measured on 4 language models" in header.text
    assert "On 14 March 2026" in header.text
    assert all(model["name"] in header.text for model in MODELS)  # type: ignore[operator]
    assert "6 hold, 3 refuted, 2 inconclusive, 4 not run" in header.text
    assert "2 verdicts changed against the recorded ones, 1 broke" in header.text
    assert "was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]" in header.text
    assert "2 verdicts are new" in header.text
    assert "1 cell was measured before this run and carries the date" in header.text


def test_a_run_without_changes_says_so() -> None:
    header = read(render([r for r in run() if r["outcome"] == "same"])).all("header")[0]
    assert "Since the record: nothing changed, no verdict differs from the recorded one." in header.text


def test_every_record_is_in_the_matrix_and_has_a_part(page: Element) -> None:
    for record in run():
        claim, model = record["claim"], record["model"]["name"]
        cell = cell_of(page, claim, model)
        assert record["verdict"] in cell.text
        assert len(cell.all("use")) == 1, "the verdict is told by a shape too"
        part = page.by_id(f"claim--{claim}")
        for said in ("statement", "source", "reported", "rule"):
            assert record[said] in part.text
        lines = page.by_id(f"cell--{claim}--{model}")
        assert record["verdict"] in lines.text
        for control in record["controls"]:
            assert f"{control['name']} {control['kind']}" in part.text


@pytest.mark.parametrize(
    ("claim", "model", "shown"),
    [
        ("chat_embeddings_give_empty_output", "qwen2.5-coder-0.5b-instruct", "refuted 0 % [0 %, 9 %]"),
        (
            "chat_embeddings_give_empty_output",
            "qwen2.5-coder-1.5b-instruct",
            "holds 82 % [67 %, 93 %] changed was refuted 5 % [1 %, 17 %]",
        ),
        ("chat_embeddings_give_empty_output", "smollm2-135m-instruct", "inconclusive 48 % [32 %, 64 %] new"),
        ("chat_embeddings_give_empty_output", "gemma-3-270m", "not applicable: gemma-3-270m is a base model"),
        (
            "ids_and_embeddings_give_the_same_logits",
            "gemma-3-270m",
            "to get them: vsg models fetch gemma-3-270m",
        ),
        (
            "ids_and_embeddings_give_the_same_logits",
            "smollm2-135m-instruct",
            "none in 300 [0 %, 1.0 %] 2026-03-05",
        ),
        ("ids_and_embeddings_give_the_same_logits", "qwen2.5-coder-1.5b-instruct", "1 of 58"),
        ("weights_are_recovered", "smollm2-135m-instruct", "refuted −10 points [−25, +5]"),
        (
            "weights_are_recovered",
            "qwen2.5-coder-1.5b-instruct",
            "not comparable was holds +90 points [+70, +100]",
        ),
        (
            "next_distribution_is_nearer_to_the_mixture",
            "qwen2.5-coder-1.5b-instruct",
            "1 of its controls failed",
        ),
        (
            "next_distribution_is_nearer_to_the_mixture",
            "gemma-3-270m",
            "error: ZeroDivisionError: division by zero broken",
        ),
    ],
)
def test_a_cell_shows(page: Element, claim: str, model: str, shown: str) -> None:
    assert shown in cell_of(page, claim, model).text


def test_a_pair_without_a_record_says_so(page: Element) -> None:
    (none,) = page.all("td", "none")
    assert none.text == "gemma-3-270m no record"


def test_intervals_controls_and_threshold_are_drawn(page: Element) -> None:
    part = page.by_id("claim--chat_embeddings_give_empty_output")
    lanes = part.all("svg", "lane")
    assert len(lanes) == 6, "three models, each with one comparison"
    drawn = lanes[0]
    assert len(drawn.all("line", "interval")) == 1
    (threshold,) = drawn.all("line", "threshold")
    assert threshold.attributes["x1"] == "50.0%"
    assert {use.attributes["href"] for use in drawn.all("use")} == {"#shape-refuted"}
    assert "holds above 50 %" in part.text


def test_each_arm_is_drawn_over_the_models_with_its_own_threshold(page: Element) -> None:
    part = page.by_id("claim--next_distribution_is_nearer_to_the_mixture")
    own, positive, control = part.all("table", "forest")[0].all("tbody")
    assert [row.all("th")[0].text for row in own.all("tr")] == [model["name"] for model in SORTED]
    assert control.all("tr")[0].all("th")[0].text == "permuted weights control: difference below 0.02"
    assert positive.all("tr")[0].all("th")[0].text == "names the top token positive control: rate above 50 %"
    assert "100 %" in positive.all("svg", "scale")[0].text
    # 0.5 of 0 to 1, with a margin of 5 % on both sides
    assert {line.attributes["x1"] for line in positive.all("line", "threshold")} == {"50.0%"}
    # one scale for both, so that they can be compared by eye
    assert own.all("line", "zero")[0].attributes == control.all("line", "zero")[0].attributes


def test_a_rule_is_told_as_a_sentence_and_as_numbers(page: Element) -> None:
    part = page.by_id("claim--chat_embeddings_give_empty_output")
    rule = part.all("dl", "terms")[0].text
    assert (
        "Holds when the whole 95 % interval of the rate of success lies above 50 %, is refuted when" in rule
    )
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
    links = [link.attributes["href"] for link in details.all("a")]
    assert links == ["records/qwen2.5-coder-1.5b-instruct/chat_embeddings_give_empty_output.json"]


def test_a_counterexample_is_shown(page: Element) -> None:
    part = page.by_id("claim--ids_and_embeddings_give_the_same_logits")
    assert "counterexample" in [label.text for label in part.all("p", "label")]


def test_provenance_tells_bytes_versions_code_and_what_it_took(page: Element) -> None:
    origin = page.by_id("model--smollm2-135m-instruct")
    for fact in ("2c0ffee0" * 8, "hub: Example/Model-GGUF", "bfloat16 on cpu", "torch 2.13.0", "2 cores"):
        assert fact in origin.text
    assert "73b7cf7" + 33 * "0" + " with uncommitted changes" in origin.text
    assert "3 claims in 37 s, 18,432 tokens at 627 per second of forward passes" in origin.text
    assert "Seeds0" in origin.text


def test_a_cell_tells_when_it_was_measured_and_the_command_that_measures_it_again(page: Element) -> None:
    part = page.by_id("claim--weights_are_recovered").all("details", "examples")[-1].text
    again = "-k 'test_weights_are_recovered[smollm2-135m-instruct]' --dtype bfloat16"
    assert f"pytest --model smollm2-135m-instruct {again}" in part
    assert "in 12.4 s, 6,144 tokens at 627 per second of forward passes, seed 0" in part


def test_of_two_records_for_one_cell_the_newer_counts() -> None:
    old = measured(EMPTY, 0, successes(40), SLICED, provenance=provenance(0), outcome="new")
    new = measured(EMPTY, 0, successes(0), SLICED, provenance=provenance(5), outcome="new")
    for both in ([old, new], [new, old]):
        assert cell_of(read(render(both)), EMPTY.id, str(MODELS[0]["name"])).text.count("refuted") == 1


def test_a_cell_of_another_commit_of_the_same_day_says_so() -> None:
    records = [
        measured(SAME_LOGITS, 0, successes(300, 300), provenance=provenance(0, commit="a" * 40)),
        measured(SAME_LOGITS, 1, successes(300, 300), provenance=provenance(5)),
    ]
    page = read(render(records))
    assert "at commit aaaaaaa" in page.by_id(f"cell--{SAME_LOGITS.id}--{MODELS[0]['name']}").text
    assert "1 cell is of another commit" in page.all("header")[0].text


def test_a_cell_judged_by_another_rule_says_so() -> None:
    records = [
        measured(SAME_LOGITS, 0, successes(300, 300), provenance=provenance(0), rule="rate above 90 %"),
        measured(SAME_LOGITS, 1, successes(300, 300), provenance=provenance(5)),
    ]
    page = read(render(records))
    assert "judged by an earlier rule" in cell_of(page, SAME_LOGITS.id, str(MODELS[0]["name"])).text
    assert "Judged by an earlier rule: rate above 90 %" in page.text


def test_a_claim_over_all_models_has_one_wide_cell_and_a_part() -> None:
    page = read(render([*run(), over_all_models()]))
    cell = cell_of(page, "agreement_grows_with_size", "across-models")
    assert cell.attributes["colspan"] == "4"
    assert "over all models together holds 90 %" in cell.text
    assert len(page.all("table", "matrix")[0].all("th", "m4")) == 1, "no column of its own"
    part = page.by_id("claim--agreement_grows_with_size").text
    assert "pytest -k test_agreement_grows_with_size --dtype bfloat16" in part
    assert "across-models" in page.by_id("model--across-models").text


def test_only_claims_over_all_models_make_a_page_too() -> None:
    page = read(render([over_all_models()]))
    assert cell_of(page, "agreement_grows_with_size", "across-models").attributes["colspan"] == "1"
    assert "several models at once" in page.all("header")[0].text


def test_comparisons_that_differ_in_a_number_are_drawn_as_curves() -> None:
    part = read(render(doses())).by_id("claim--divergence_grows_with_noise")
    (figure,) = part.all("figure", "curves")
    assert len(figure.all("div", "panel")) == 2, "one for each model"
    panel = figure.all("div", "panel")[0]
    assert len(panel.all("polyline")) == 2, "two patterns over the same numbers"
    assert [text.text for text in panel.all("text") if text.attributes.get("class") != "y"] == [
        "0.5",
        "1",
        "2",
        "4",
    ]
    # 0.5 to 4 on a logarithmic scale: equal steps
    places = [float(pair.split(",")[0]) for pair in panel.all("polyline")[0].attributes["points"].split()]
    assert [round(b - a) for a, b in pairwise(places)] == [87, 87, 87]
    assert "which is drawn on a logarithmic scale" in figure.text
    assert "noise at 0.5 std" in figure.all("table")[0].text
    assert "noise at 0.5 std" not in part.all("table", "forest")[0].text
    assert "no noise" in part.all("table", "forest")[0].text, "a comparison without a number stays there"


def test_all_trials_are_in_a_small_page_and_linked_from_a_large_one() -> None:
    small = read(render(run())).by_id("claim--chat_embeddings_give_empty_output")
    tables = small.all("details", "examples")[1].all("table", "trials")
    assert [len(table.all("tbody")[0].all("tr")) for table in tables] == [40, 40]
    assert "✕ no success" in tables[0].text
    page = render(large(50))
    assert len(page.encode()) < 3_000_000
    big = read(page)
    assert not big.all("table", "trials")
    assert len(big.all("details", "examples")) == 200
    assert all(
        d.all("a")[-1].attributes["href"].startswith("records/") for d in big.all("details", "examples")
    )


def test_no_record_at_all_says_what_to_do() -> None:
    assert "Nothing has been measured yet" in read(render([])).text
    assert terminal_summary([]) == "no claim was run"


def test_the_page_asks_for_nothing_and_runs_its_own_script_only(page: Element) -> None:
    assert not [e.tag for e in page.all() if e.tag in ("link", "img", "iframe", "object", "base")]
    (script,) = page.all("script")
    assert not script.attributes
    digest = base64.b64encode(hashlib.sha256(script.raw.encode()).digest()).decode()
    (policy,) = [m for m in page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
        in policy.attributes["content"]
    )
    assert not re.search(r"https?:|fetch\(|import\b|innerHTML|eval\(", script.raw)
    for element in page.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "data", "action") or (name == "href" and element.tag != "a"):
                assert value.startswith("#")
    web = {a.attributes["href"] for a in page.all("a") if ":" in a.attributes["href"]}
    assert web == {"https://github.com/example/study"}
    css = page.all("style")[0].raw
    assert not re.search(r"url\(|@import|https?:", css)


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(page: Element) -> None:
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = {a.attributes["href"][1:] for a in page.all() if a.attributes.get("href", "").startswith("#")}
    assert links <= set(ids)


def test_tables_name_their_rows_and_columns(page: Element) -> None:
    assert all("scope" in th.attributes for th in page.all("th"))
    levels = [int(h.tag[1]) for h in page.all() if re.fullmatch(r"h\d", h.tag)]
    assert levels[0] == 1
    assert all(lower - upper <= 1 for upper, lower in pairwise(levels))
