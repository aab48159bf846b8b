"""The claim report: what the page, its rows and the terminal say about a run."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_reading import Element, cell_of, read
from tests.support.report_records import (
    BRANCHES,
    BROKEN,
    EMPTY,
    MODELS,
    NO_WEIGHTS,
    RECOVERED,
    SAME_LOGITS,
    SLICED,
    measured,
    not_run,
    provenance,
    run,
    successes,
)
from vsg_core.judge.power import power_text
from vsg_core.records.files import read_reports, write_record
from vsg_core.records.record import Record
from vsg_core.records.schemas import record_schema
from vsg_core.report import report_of, terminal_summary, write_report
from vsg_core.report.page.render import render


def page_of(records: Iterable[Record]) -> Element:
    return read(render(report_of(records)))


@pytest.fixture(scope="module")
def page() -> Element:
    return page_of(run())


def test_the_records_used_here_are_valid() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for record in run():
        jsonschema.validate(record.model_dump(mode="json", by_alias=True), record_schema())


def test_the_first_lines_say_what_was_run_and_what_came_out(page: Element) -> None:
    (header,) = page.all("header")
    assert "4 claims about concept tokens, measured on 3 language models" in header.text
    assert "On 14 March 2026" in header.text
    assert all(model.name in header.text for model in MODELS)
    assert "6 hold, 3 refuted, 2 inconclusive, 3 not run, 1 broken" in header.text
    assert "2 verdicts differ from the recorded verdict, 1 broke" in header.text
    assert "was refuted 5 % [1 %, 17 %], now holds 82 % [67 %, 93 %]" in header.text
    assert "2 verdicts are new" in header.text
    assert "1 cell was measured on an earlier day, which it shows" in header.text


def test_a_model_without_a_verdict_is_not_counted_as_measured() -> None:
    """It is named as such, with the way to leave it out, and its weights are not counted."""
    header = page_of(run()).all("header")[0].text
    assert "the claims were run on qwen2.5-coder-0.5b-instruct 4-bit, qwen2.5-coder-1.5b-instruct" in header
    assert "No claim has a verdict on gemma-3-270m; the table says why." in header
    assert "To leave it out, run rm -r records/gemma-3-270m in the folder of this page" in header
    assert "16-bit" not in header
    measured_only = [record for record in run() if record.model.name != "gemma-3-270m"]
    assert "No claim has a verdict" not in page_of(measured_only).text


def test_a_page_on_which_nothing_was_measured_says_so() -> None:
    records = [not_run(EMPTY, 2, NO_WEIGHTS), not_run(EMPTY, 3, NO_WEIGHTS)]
    header = page_of(records).all("header")[0].text
    assert "measured on 0 language models" in header
    assert "On 14 March 2026, no claim got a verdict." in header
    assert "No claim has a verdict on gemma-3-270m and smollm2-135m-instruct" in header
    assert "run rm -r records/gemma-3-270m records/smollm2-135m-instruct in" in header
    assert "Weights" not in header


def test_the_command_that_leaves_a_model_out_does_so(tmp_path: Path) -> None:
    for record in run():
        write_record(record, tmp_path / "records")
    write_report(report_of(run()), tmp_path)
    shutil.rmtree(tmp_path / "records" / "gemma-3-270m")
    assert "gemma-3-270m" not in page_of(read_reports(tmp_path)).text.replace(NO_WEIGHTS.command, "")


def test_where_nothing_changed_but_something_broke_only_that_is_counted() -> None:
    header = page_of([run()[0], not_run(BRANCHES, 3, BROKEN, 2)]).all("header")[0]
    (title,) = [head.text for head in header.all("h2") if "broke" in head.text]
    assert title == "1 cell broke"


def test_a_number_and_its_percent_sign_are_on_one_line(page: Element) -> None:
    """In sentences and in rules; what a model wrote stays as it is."""
    header = page.all("header")[0].raw
    assert "at 5\xa0% or less" in header
    part = page.by_id(f"claim--{EMPTY.id}")
    (terms,) = part.all("dl", "terms")
    assert "above 50\xa0%" in terms.raw
    assert not re.search(r"\d %", terms.raw)


def test_a_run_without_changes_says_so() -> None:
    header = page_of(r for r in run() if r.outcome == "same").all("header")[0]
    assert "Compared with the recorded verdicts: nothing changed." in header.text


def test_every_record_is_in_the_matrix_and_has_a_part(page: Element) -> None:
    for record in run():
        claim, model = record.claim, record.model.name
        cell = cell_of(page, claim.id, model)
        assert record.verdict in cell.text
        assert len(cell.all("use")) == 1, "the verdict has a shape too"
        part = page.by_id(f"claim--{claim.id}")
        for text in (claim.statement, claim.source, claim.reported, claim.rule_text):
            assert text in part.text
        lines = page.by_id(f"cell--{claim.id}--{model}")
        assert record.verdict in lines.text
        for arm in record.evidence.arms:
            assert f"{arm.name} {arm.role}" in part.text
            assert arm.sentence in part.text


@pytest.mark.parametrize(
    ("claim", "model", "shown"),
    [
        ("chat_embeddings_give_empty_output", "qwen2.5-coder-0.5b-instruct", "refuted 0 % [0 %, 9 %]"),
        (
            "chat_embeddings_give_empty_output",
            "qwen2.5-coder-1.5b-instruct",
            "holds 82 % [67 %, 93 %] survives Holm changed was refuted 5 % [1 %, 17 %]",
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
            "none in 300 [0 %, 1 %] does not survive Holm 2026-03-05",
        ),
        ("ids_and_embeddings_give_the_same_logits", "qwen2.5-coder-1.5b-instruct", "1 of 58"),
        ("weights_are_recovered", "smollm2-135m-instruct", "refuted −10 points [−23, +1] survives Holm"),
        (
            "weights_are_recovered",
            "qwen2.5-coder-1.5b-instruct",
            "not comparable was holds +90 points [+70, +100]",
        ),
        (
            "next_distribution_is_nearer_to_the_mixture",
            "qwen2.5-coder-1.5b-instruct",
            "1 control undecided",
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


def headlined(record: Record, claim: str) -> Record:
    reference = record.claim.model_copy(update={"headline": record.claim.id == claim})
    return record.model_copy(update={"claim": reference})


def test_the_questions_of_headline_claims_come_first_and_headline_claims_first_in_them() -> None:
    """Without headline claims, questions are in alphabetical order."""
    marked = [headlined(record, EMPTY.id) for record in run()]
    orders = {}
    for name, records in {"plain": run(), "marked": marked}.items():
        matrix = page_of(records).by_id("matrix")
        orders[name] = [
            row.attributes["data-claim"].removeprefix("claim--") for row in matrix.all("tr", "row")
        ]
    assert orders["plain"] == [BRANCHES.id, RECOVERED.id, SAME_LOGITS.id, EMPTY.id]
    assert orders["marked"] == [EMPTY.id, SAME_LOGITS.id, BRANCHES.id, RECOVERED.id]


def test_a_pair_without_a_record_says_so(page: Element) -> None:
    (none,) = page.all("td", "none")
    assert none.text == "gemma-3-270m no record"


def test_of_two_records_for_one_cell_the_newer_counts() -> None:
    old = measured(EMPTY, 0, successes(40), SLICED, run=provenance(0), outcome="new")
    new = measured(EMPTY, 0, successes(0), SLICED, run=provenance(5), outcome="new")
    for both in ([old, new], [new, old]):
        assert cell_of(page_of(both), EMPTY.id, MODELS[0].name).text.count("refuted") == 1


def test_a_cell_of_another_commit_of_the_same_day_says_so() -> None:
    records = [
        measured(SAME_LOGITS, 0, successes(300, 300), run=provenance(0, commit="a" * 40)),
        measured(SAME_LOGITS, 1, successes(300, 300), run=provenance(5)),
    ]
    page = page_of(records)
    assert "at commit aaaaaaa" in page.by_id(f"cell--{SAME_LOGITS.id}--{MODELS[0].name}").text
    assert "1 cell was measured at a different commit" in page.all("header")[0].text


def test_a_cell_judged_by_an_earlier_rule_says_so() -> None:
    """Rules are compared by their digest; a rule in other words is the same rule."""
    earlier: dict[str, Any] = {"rules_digest": "0" * 16, "rule_text": "rate above 90 %"}
    records = [
        measured(SAME_LOGITS, 0, successes(300, 300), run=provenance(0), **earlier),
        measured(SAME_LOGITS, 2, successes(300, 300), run=provenance(1), rule_text="reworded"),
        measured(SAME_LOGITS, 1, successes(300, 300), run=provenance(5)),
    ]
    page = page_of(records)
    assert "the rule has changed since" in cell_of(page, SAME_LOGITS.id, MODELS[0].name).text
    assert "The claim’s rule has changed since this was judged: rate above 90 %" in page.text
    assert "rule has changed" not in cell_of(page, SAME_LOGITS.id, MODELS[2].name).text
    assert "reworded" not in page.text


def test_quantised_weights_are_named_wherever_the_model_is(page: Element) -> None:
    """In words, in every head that names the model; a model of 16-bit weights needs that in the matrix only."""
    header = page.all("header")[0].text
    assert "the claims were run on qwen2.5-coder-0.5b-instruct 4-bit, qwen" in header
    assert "smollm2-135m-instruct 8-bit" in header
    heads = [th.text for th in page.by_id("matrix").all("thead")[0].all("th")]
    assert "qwen2.5-coder-1.5b-instruct qwen, instruct, 1.8 B, 4-bit" in heads
    assert "gemma-3-270m gemma, base, 268 M, 16-bit" in heads
    part = page.by_id(f"claim--{EMPTY.id}")
    assert [row.all("th")[0].text for row in part.all("tr", "line")[:2]] == [
        "gemma-3-270m",
        "qwen2.5-coder-0.5b-instruct 4-bit",
    ]
    assert "Trials on qwen2.5-coder-0.5b-instruct 4-bit" in [
        " ".join(summary.all("span")[0].text.split())
        for summary in part.all("summary")
        if summary.all("span")
    ]
    assert page.by_id("model--smollm2-135m-instruct").all("h3")[0].text == "smollm2-135m-instruct 8-bit"


def test_the_verdicts_are_called_exploratory(page: Element) -> None:
    assert "The verdicts are exploratory" in page.all("header")[0].text


def test_a_command_that_gets_missing_weights_can_be_copied(page: Element) -> None:
    line = page.by_id(f"cell--{SAME_LOGITS.id}--gemma-3-270m")
    assert [command.text for command in line.all("span", "command")] == ["vsg models fetch gemma-3-270m"]


def test_the_power_is_that_of_the_newest_record_with_a_verdict(page: Element) -> None:
    part = page.by_id(f"claim--{SAME_LOGITS.id}").text
    assert power_text(SAME_LOGITS.rule, 58) in part
    assert power_text(SAME_LOGITS.rule, 300) not in part


def test_no_record_at_all_says_what_to_do() -> None:
    assert "Nothing has been measured yet" in page_of([]).text
    assert terminal_summary(report_of([])) == "no claim was run"


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


def test_rules_of_uncommitted_code_are_not_said_to_come_before_their_runs() -> None:
    """Git does not show which of two uncommitted changes was first."""

    def text(dirty: int) -> str:
        judged = [record for record in run() if record.verdict != "not run"]
        runs = [record.run.model_copy(update={"dirty": place < dirty}) for place, record in enumerate(judged)]
        made = [record.model_copy(update={"run": each}) for record, each in zip(judged, runs, strict=True)]
        return page_of(made).text

    assert "Each was judged by a rule written before the run." in text(0)
    assert "1 verdict comes from code with uncommitted changes, so git does not show" in text(1)
    assert "Each was judged" not in text(2)
