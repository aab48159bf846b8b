"""The page in a real browser, used as a person would: choosing, searching, sharing, copying, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import opened, visible
from tests.support.report_records import BOUNDED, MODELS, SLICES, SMALL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOGITS = "Ids and embeddings give the same logits, chat format included"
EMPTY = "Chat-formatted prompts passed as embeddings give empty output"
BRANCHES = "After a concept token the next distribution is nearer to the mixture than to the top branch"
RECOVERED = "The components of a mixture and their weights are recovered from the vector alone"
NOISE = "The next distribution moves away as noise grows"
SIZE = "The larger of two models agrees more"
CONTEXT = SMALL.statement
# In the order at first, by question.
ALL = [BRANCHES, RECOVERED, SIZE, LOGITS, EMPTY, NOISE, CONTEXT]


@pytest.fixture
def page(chromium: Browser, report: Path) -> Iterator[Page]:
    with opened(chromium, report) as page:
        yield page


def claims(page: Page) -> list[str]:
    """The claims that the matrix shows."""
    return visible(page, "#matrix tr.row th a")


def test_everything_is_there_at_first(page: Page) -> None:
    assert claims(page) == ALL
    assert page.get_by_label("Search claims").is_visible()
    assert page.locator("#view-count").inner_text() == "7 claims, 2 identities"


def test_a_verdict_chosen_leaves_the_claims_that_have_it_and_is_in_the_url(page: Page) -> None:
    page.get_by_role("checkbox", name="refuted").check()
    assert claims(page) == [RECOVERED, LOGITS, EMPTY]
    left = [RECOVERED, LOGITS, EMPTY, SLICES.statement]
    assert visible(page, "article.claim h3") == left, "nor are others shown below"
    assert page.locator("#view-count").inner_text() == "3 of 7 claims, 1 of 2 identities"
    assert page.url.endswith("#verdict=refuted")
    page.get_by_role("checkbox", name="inconclusive").check()
    assert claims(page) == [BRANCHES, RECOVERED, LOGITS, EMPTY, NOISE, CONTEXT]
    page.reload()
    assert claims(page) == [BRANCHES, RECOVERED, LOGITS, EMPTY, NOISE, CONTEXT]
    page.get_by_role("button", name="Show all").click()
    assert len(claims(page)) == 7
    assert "#" not in page.url


def test_a_negligible_effect_is_chosen_and_sorted_as_a_verdict_is(page: Page) -> None:
    page.get_by_role("checkbox", name="negligible").check()
    assert claims(page) == [CONTEXT]
    assert page.url.endswith("#verdict=negligible")
    page.get_by_role("button", name="Show all").click()
    page.locator("#matrix").get_by_role(
        "button", name="Sort by verdict on qwen2.5-coder-0.5b-instruct"
    ).click()
    order = claims(page)
    assert order.index(EMPTY) < order.index(CONTEXT) < order.index(NOISE), "refuted, negligible, inconclusive"


def test_text_is_searched_in_statement_source_report_and_question(page: Page) -> None:
    search = page.get_by_label("Search claims")
    for typed, found in {
        "LOGITS chat": [LOGITS],
        "reader of their own": [EMPTY],
        "0.1 bits": [BRANCHES],
        "superpositions": [BRANCHES, RECOVERED],
        "weights_are_recovered": [RECOVERED],
    }.items():
        search.fill(typed)
        assert claims(page) == found
    search.fill("no claim says this")
    assert claims(page) == []
    assert page.get_by_text("No claim matches these choices.").is_visible()
    search.fill("")
    assert len(claims(page)) == 7


def test_identities_are_found_and_put_in_order_as_claims_are(page: Page) -> None:
    both = [SLICES.statement, BOUNDED.statement]
    assert visible(page, "#identities tr.row th a") == both
    page.get_by_label("Search claims").fill("entropy")
    assert (claims(page), visible(page, "#identities tr.row th a")) == ([], [BOUNDED.statement])
    assert not page.get_by_text("No claim matches these choices.").is_visible()
    page.get_by_label("Search claims").fill("logits")
    assert not page.locator("#harness").is_visible()
    page.get_by_label("Search claims").fill("")
    page.get_by_label("Order").select_option(label="alphabetical")
    assert visible(page, "#identities tr.row th a") == sorted(both)
    assert SLICES.statement not in claims(page), "apart in any order"
    page.get_by_label("Order").select_option(label="by question")
    assert visible(page, "#identities tr.row th a") == both
    assert page.locator("#identities .asked").first.is_visible()
    page.get_by_label("Question").select_option(label="How is entropy computed?")
    assert (claims(page), visible(page, "#identities tr.row th a")) == ([], [BOUNDED.statement])


def test_a_family_chosen_hides_the_other_columns_everywhere(page: Page) -> None:
    page.get_by_role("checkbox", name="smollm2").check()
    assert [th.split()[0] for th in visible(page, "#matrix thead th")] == ["Claim", "smollm2-135m-instruct"]
    assert {name.split()[0] for name in visible(page, "article.claim tr.line th")} == {
        "smollm2-135m-instruct",
        "across-models",
    }
    assert SIZE in claims(page), "a claim over all models belongs to every family"
    page.get_by_role("checkbox", name="refuted").check()
    assert claims(page) == [RECOVERED]
    assert page.url.endswith("#verdict=refuted&family=smollm2")


def test_changed_cells_and_one_question_can_be_chosen(page: Page) -> None:
    page.get_by_role("checkbox", name="changed").check()
    assert claims(page) == [BRANCHES, EMPTY]
    page.get_by_label("Question").select_option(label="Do concept tokens preserve superpositions?")
    assert claims(page) == [BRANCHES]


def test_rows_can_be_put_in_order(page: Page) -> None:
    order = page.get_by_label("Order")
    order.select_option(label="alphabetical")
    assert claims(page) == sorted(claims(page))
    assert page.locator("tr.row th small").first.is_visible(), "the question is shown with each claim"
    order.select_option(label="changed first")
    assert set(claims(page)[:2]) == {BRANCHES, EMPTY}
    order.select_option(label="by question")
    assert claims(page) == ALL
    matrix = page.locator("#matrix")
    button = matrix.get_by_role("button", name="Sort by verdict on qwen2.5-coder-1.5b-instruct")
    button.click()
    assert claims(page) == [LOGITS, BRANCHES, RECOVERED, SIZE, EMPTY, NOISE, CONTEXT]
    assert matrix.locator("th[aria-sort]").inner_text().startswith("qwen2.5-coder-1.5b-instruct")
    button.click()
    assert page.locator("th[aria-sort]").count() == 0


def test_a_shared_fragment_brings_back_the_whole_view(chromium: Browser, report: Path) -> None:
    shared = "#text=nearer&verdict=holds&family=qwen&sort=distance"
    with opened(chromium, report, shared) as page:
        assert claims(page) == [BRANCHES]
        assert page.get_by_label("Search claims").input_value() == "nearer"
        assert page.get_by_role("checkbox", name="qwen").is_checked()
        assert page.get_by_label("Order").input_value() == "distance"


def test_a_fragment_of_nonsense_is_a_page_with_everything(chromium: Browser, report: Path) -> None:
    for nonsense in ("#%E0%A4%A", "#sort=none&verdict=maybe&question=x%22%3E", "#nowhere"):
        with opened(chromium, report, nonsense) as page:
            assert len(claims(page)) in (7, 0), "an unknown verdict or question fits no claim, or is ignored"


def test_a_link_to_a_hidden_part_shows_it(page: Page) -> None:
    page.get_by_role("checkbox", name="refuted").check()
    page.locator(".changes").get_by_role("link", name=BRANCHES).first.click()
    line = page.locator(
        "[id='cell--next_distribution_is_nearer_to_the_mixture--qwen2.5-coder-1.5b-instruct']"
    )
    line.wait_for()
    assert line.evaluate(
        "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; }"
    )
    assert not page.get_by_role("checkbox", name="refuted").is_checked()


def test_a_command_is_copied_by_a_click(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, permissions=["clipboard-read", "clipboard-write"]) as page:
        summary = page.locator("[id='claim--weights_are_recovered'] summary", has_text="Trials on smollm2")
        summary.click()
        line = summary.locator("..").locator(".command")
        line.get_by_role("button").click()
        which = "--model smollm2-135m-instruct -k 'test_weights_are_recovered[smollm2-135m-instruct]'"
        copied = f"pytest {which} --dtype bfloat16"
        assert line.locator("code").inner_text() == copied
        line.get_by_text("copied", exact=True).wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == copied


def test_where_there_is_no_clipboard_the_command_is_copied_the_older_way(
    chromium: Browser, report: Path
) -> None:
    with opened(chromium, report, permissions=["clipboard-read"]) as page:
        page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }"
        )
        line = page.locator("#provenance .command").first
        line.get_by_role("button").click()
        line.get_by_text("copied", exact=True).wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == line.locator("code").inner_text()


def test_all_of_it_can_be_used_by_keyboard(page: Page) -> None:
    focused = "document.activeElement"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.textContent") == "Skip to the verdicts"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.id") == "view-text"
    page.keyboard.type("logits")
    assert claims(page) == [LOGITS]
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_role("checkbox", name="holds").is_checked()
    summary = page.locator("[id='claim--ids_and_embeddings_give_the_same_logits'] summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.locator("..").get_attribute("open") is not None
    outline = page.evaluate(f"getComputedStyle({focused}).outlineStyle")
    assert outline == "solid", "what has the focus is seen"


def test_without_script_it_can_still_be_read(chromium: Browser, report: Path) -> None:
    with opened(chromium, report, java_script_enabled=False) as page:
        assert claims(page) == ALL
        assert not page.get_by_label("Search claims").is_visible(), "what cannot work is not offered"
        page.locator("[id='claim--weights_are_recovered'] summary", has_text="Trials on smollm2").click()
        assert page.get_by_text("'test_weights_are_recovered[smollm2-135m-instruct]'").is_visible()


def test_the_models_are_those_of_the_records(page: Page) -> None:
    assert {name.split()[0] for name in visible(page, "#provenance h3")} >= {model.name for model in MODELS}
