"""Identities are shown apart from findings, and every place with verdicts says what they are worth."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.page_reading import Element, read
from tests.support.report_records import (
    BOUNDED,
    BROKEN,
    MODELS,
    SAME_LOGITS,
    SLICES,
    identities,
    measured,
    not_run,
    provenance,
    run,
    successes,
)
from vsg_core.report import report_of, terminal_summary, write_report
from vsg_core.report.page.render import render
from vsg_core.report.text.card import dataset_card
from vsg_core.report.text.claim_table import ClaimTable
from vsg_core.report.text.summary import markdown_summary
from vsg_core.report.view.status import Harness, weights_text

COUNTED = "4 of 5 verdicts of 2 identities hold"
FOUND = "6 hold, 3 refuted, 2 inconclusive, 3 not run, 1 broken"
UNCONFIRMED = "none has been confirmed on new prompts under a rule registered beforehand"


@pytest.fixture(scope="module")
def page() -> Element:
    return read(render(report_of([*identities(), *run()])))


def test_the_first_screen_counts_findings_only(page: Element) -> None:
    header = page.all("header")[0].text
    assert "4 claims about concept tokens, measured on 3 language models" in header
    assert f"{FOUND}. Counted apart: {COUNTED}." in header
    alone = read(render(report_of(run()))).all("ul", "standings")[0].text
    assert page.all("ul", "standings")[0].text == alone
    assert page.all("title")[0].text == "Claim report: 4 claims on 3 models"


def test_identities_have_a_section_of_their_own_with_those_that_do_not_hold_first(page: Element) -> None:
    (section,) = [part for part in page.all("section") if part.attributes.get("id") == "harness"]
    assert section.all("h2")[0].text == "The harness: 1 verdict does not hold"
    assert section.text.startswith(f"The harness: 1 verdict does not hold {COUNTED}.")
    shown = [row.all("th")[0].text for row in section.all("tr", "row")]
    assert shown == [
        f"{SLICES.statement}{SLICES.question}",
        f"{BOUNDED.statement}{BOUNDED.question}",
    ]
    assert [part.attributes["id"] for part in section.all("article")] == [
        f"claim--{SLICES.id}",
        f"claim--{BOUNDED.id}",
    ]
    matrix = page.by_id("matrix").text
    assert BOUNDED.statement not in matrix
    assert SAME_LOGITS.statement in matrix


def test_where_all_identities_hold_the_harness_is_sound() -> None:
    page = read(render(report_of([*run(), *identities()[:3]])))
    assert page.by_id("harness").all("h2")[0].text == "The harness is sound"
    assert "3 of 3 verdicts of 1 identity hold" in page.all("header")[0].text


def test_a_page_of_findings_alone_has_no_harness_and_one_of_identities_alone_has_no_finding() -> None:
    findings = read(render(report_of(run())))
    assert not [part for part in findings.all("section") if part.attributes.get("id") == "harness"]
    alone = read(render(report_of(identities())))
    assert "0 claims about concept tokens" in alone.all("header")[0].text
    assert len(alone.by_id("harness").all("tr", "row")) == 2
    assert terminal_summary(report_of(identities())).startswith("4 of 5 verdicts of 2 identities hold, on 3")


def test_an_identity_that_broke_does_not_hold_and_one_that_was_not_run_is_not_counted() -> None:
    report = report_of([measured(BOUNDED, 0, successes(300, 300)), not_run(BOUNDED, 1, BROKEN)])
    assert (len(report.judged_identities), len(report.failed_identities)) == (2, 1)
    assert Harness(2, 5, 0).title == "The harness is sound"
    assert len(report_of(identities()).judged_identities) == 5


def test_the_newest_record_says_what_a_claim_is() -> None:
    """Older records do not say that a claim is an identity."""
    old = [measured(BOUNDED, i, successes(300, 300), run=provenance(0), status="exploratory") for i in (0, 1)]
    new = measured(BOUNDED, 0, successes(300, 300), run=provenance(9))
    report = report_of([*old, new])
    assert ([row.record.claim.id for row in report.identities], report.findings) == ([BOUNDED.id], [])
    assert len(report.judged_identities) == 2


def test_every_place_with_verdicts_says_that_they_are_exploratory_and_of_which_weights(page: Element) -> None:
    report = report_of([*identities(), *run()])
    texts = {
        "page": page.all("header")[0].text,
        "summary": markdown_summary(report).replace("\\", ""),
        "terminal": " ".join(terminal_summary(report).split()),
        "card": dataset_card(report, "someone/run", {}),
        "notebook": read(ClaimTable([*identities(), *run()])._repr_html_()).text,
    }
    for name, text in texts.items():
        assert f"The verdicts are exploratory: {UNCONFIRMED}." in text, name
        assert "Weights: 4-bit on 2 models, 8-bit on 1 model." in text, name
        assert COUNTED in text, name
    for claim in ("weights_are_recovered", BOUNDED.id):
        terms = page.by_id(f"claim--{claim}").all("dl", "terms")[0].text
        assert ("Statusidentity" if claim == BOUNDED.id else "Statusexploratory: not confirmed") in terms


def test_a_pilot_is_named_where_headline_claims_are_shown(page: Element) -> None:
    pilot = "A pilot preceded the headline claims."
    assert pilot not in page.text
    marked = [
        record.model_copy(update={"claim": record.claim.model_copy(update={"headline": True})})
        for record in run()
    ]
    assert pilot in read(render(report_of(marked))).all("header")[0].text


@pytest.mark.parametrize(
    ("forms", "text"),
    [
        ([], ""),
        ([None, None], ""),
        (["Q4_K_M", "Q4_1"], "All weights are 4-bit."),
        (["Q4_K_M", None], "Weights: 4-bit on 1 model, unknown on 1 model."),
        (["Q4_K_M", "bfloat16", "Q4_1"], "Weights: 4-bit on 2 models, 16-bit on 1 model."),
        (["odd"], "All weights are odd."),
    ],
)
def test_the_form_of_the_weights_in_words(forms: list[str | None], text: str) -> None:
    assert weights_text(forms) == text


def test_summary_and_terminal_show_identities_last_and_count_them_apart() -> None:
    report = report_of([*identities(), *run()])
    summary, terminal = markdown_summary(report), terminal_summary(report, 200)
    assert summary.startswith(f"## 4 claims on 3 models: {FOUND}. {COUNTED}\n")
    assert f"4 claims on 3 models: {FOUND}; 3 new. {COUNTED}\n" in f"{terminal}\n"
    for text, names in (
        (summary, (SLICES.statement, BOUNDED.statement)),
        (terminal, (SLICES.id, BOUNDED.id)),
    ):
        last = text.rindex("Does the instruction format fail")
        places = [text.index("The harness: 1 verdict does not hold"), *map(text.rindex, names)]
        assert last < places[0] < max(places[1:])
    assert re.search(rf"{SLICES.id}.*{BOUNDED.id}", terminal.split("The harness")[1], re.DOTALL)


def test_rows_of_identities_say_so(tmp_path: Path) -> None:
    write_report(report_of([*identities(), *run()]), tmp_path)
    rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert {row["claim"] for row in rows if row["status"] == "identity"} == {BOUNDED.id, SLICES.id}
    assert {row["status"] for row in rows} == {"identity", "exploratory"}
    assert [row["claim"] for row in rows[-6:]] == [SLICES.id] * 3 + [BOUNDED.id] * 3, "after the findings"
    table = ClaimTable([*identities(), *run()])
    assert {row["status"] for row in table.rows} == {"identity", "exploratory"}
    assert len(table) == len(run()) + len(MODELS) + 2
