"""The claim report: what the page, its rows and the terminal say about a run."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise

import pytest

from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    BRANCHES,
    EMPTY,
    MODELS,
    RECOVERED,
    SAME_LOGITS,
    SLICED,
    measured,
    provenance,
    run,
    successes,
)
from vsg_core.records.files import RECORD_SCHEMA
from vsg_core.report import terminal_summary
from vsg_core.report.page.render import render


@pytest.fixture(scope="module")
def page() -> Element:
    return read(render(run()))


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


def test_the_questions_of_headline_claims_come_first_and_headline_claims_first_in_them() -> None:
    """Where no record says which these are, as in the first ones, questions stand by their words."""
    plain = [{key: value for key, value in record.items() if key != "headline"} for record in run()]
    marked = [record | {"headline": record["claim"] == EMPTY.id} for record in run()]
    orders = {}
    for name, records in {"plain": plain, "marked": marked}.items():
        matrix = read(render(records)).by_id("matrix")
        orders[name] = [
            row.attributes["data-claim"].removeprefix("claim--") for row in matrix.all("tr", "row")
        ]
    assert orders["plain"] == [BRANCHES.id, RECOVERED.id, SAME_LOGITS.id, EMPTY.id]
    assert orders["marked"] == [EMPTY.id, SAME_LOGITS.id, BRANCHES.id, RECOVERED.id]


def test_a_pair_without_a_record_says_so(page: Element) -> None:
    (none,) = page.all("td", "none")
    assert none.text == "gemma-3-270m no record"


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
