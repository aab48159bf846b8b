"""Verdicts, mixtures and runs in a notebook: the numbers, and text that stays text."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.report.test_hostile import hostile_records
from tests.support.judging import declare, successes
from tests.support.page_reading import Element, read
from tests.support.report_records import BRANCHES, EMPTY, MODELS, run
from vsg_core import ClaimTable, load_model
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.writing.writers import ConceptToken, write_concepts
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import rate
from vsg_core.judge.trials import Evidence
from vsg_core.records.files import write_record


def shown(thing: Any) -> Element:
    """The HTML that a notebook gets, parsed: an element closed by the wrong tag is an error."""
    return read(thing._repr_html_())


def test_a_mixture_shows_its_tokens_and_what_is_left(tiny_llama: Path) -> None:
    """The heaviest 10 of 18 with their weights, and the weight of all others."""
    lm = load_model(tiny_llama)
    (concept,) = write_concepts(lm, [lm.tokenize("the cat")])[0].steps
    page = shown(concept)
    rows = [[cell.text for cell in row.all("td")] for row in page.all("tr")[1:]]
    assert [row[0] for row in rows[:10]] == [lm.token(i) for i in concept.mixture.token_ids[:10]]
    assert [row[1] for row in rows[:10]] == [f"{weight:.3f}" for weight in concept.mixture.weights[:10]]
    assert rows[10][:2] == ["all others", f"{sum(concept.mixture.weights[10:]):.3f}"]
    assert f"{concept.entropy:.2f} bits" in page.text
    widths = [bar.attributes["style"].rpartition("width:")[2] for bar in page.all("div")]
    assert widths == [f"{100 * weight:.1f}%" for weight in concept.mixture.weights[:10]]


def test_a_mixture_keeps_no_model_alive(tiny_llama: Path) -> None:
    """Its tokens are spelled by the tokenizer alone."""
    lm = load_model(tiny_llama)
    (concept,) = write_concepts(lm, [lm.tokenize("the cat")])[0].steps
    gone = weakref.ref(lm)
    spelled = lm.token(concept.token_id)
    del lm
    gc.collect()
    assert gone() is None
    assert spelled in shown(concept).text


def test_a_mixture_without_a_tokenizer_shows_ids() -> None:
    page = shown(ConceptToken(torch.zeros(2), Mixture((7, 3), (0.75, 0.25)), 0.81))
    assert [cell.text for row in page.all("tr")[1:] for cell in row.all("td")[:2]] == [
        "token 7", "0.750", "token 3", "0.250",
    ]  # fmt: skip


def test_a_verdict_shows_its_measurement_and_its_controls() -> None:
    claim = declare(
        rate(above=0.5), controls={"noise": rate(below=0.5)}, comparisons=["tokens"],
    )  # fmt: skip
    evidence = Evidence(successes(38), {"noise": successes(30), "tokens": successes(10)})
    page = shown(judge(claim, evidence))
    assert "◇ inconclusive 95 % [83 %, 99.4 %] of 40, rule: above 50 %; but control 'noise'" in page.text
    noise, tokens = ([cell.text for cell in row.all("td")] for row in page.all("tr")[1:])
    assert (noise[0], noise[2:]) == ("control: noise", ["75 % [59 %, 87 %]", "40", "✕ refuted"])
    assert tokens[:3] == ["comparison: tokens", "none", "25 % [13 %, 41 %]"]


def test_a_run_shows_claims_by_models(tmp_path: Path) -> None:
    for record in run():
        write_record(record, tmp_path / "records")
    table = ClaimTable.read(tmp_path)
    page = shown(table)
    assert [head.text for head in page.all("thead")[0].all("th")][1:] == [
        "gemma-3-270m", "qwen2.5-coder-0.5b-instruct (4-bit)", "qwen2.5-coder-1.5b-instruct (4-bit)",
        "smollm2-135m-instruct (8-bit)",
    ]  # fmt: skip
    (row,) = [row for row in page.all("tr") if EMPTY.statement in row.text]
    assert [cell.text for cell in row.all("td")][1:] == [
        "– not run", "✕ refuted 0 % [0 %, 9 %], survives Holm",
        "● holds 82 % [67 %, 93 %], survives Holm (changed)",
        "◇ inconclusive 48 % [32 %, 64 %] (new)",
    ]  # fmt: skip
    assert len(table) == len(table.rows) == len(run())


def test_a_record_shows_the_claim_its_verdict_and_its_arms() -> None:
    record = ClaimTable(run())[BRANCHES.id, MODELS[1].name]
    page = shown(record)
    assert BRANCHES.statement in page.text
    assert (
        f"◇ inconclusive 0.048 [0.016, 0.081] on {MODELS[1].name} (4-bit), of 40; recorded: holds"
        in page.text
    )
    assert "Rule: difference above 0" in page.text
    assert "Reported: nearer to the mixture by 0.1 bits (A study of vectors, section 4)" in page.text
    copies, permuted = ([cell.text for cell in row.all("td")] for row in page.all("tr")[1:])
    assert (copies[0], copies[2]) == ("positive control: names the top token", "90 % [76 %, 97 %]")
    assert permuted[4] == "◇ inconclusive"
    assert record.evidence.trials, "it has the attributes of a record"
    with pytest.raises(KeyError, match="no_such_claim"):
        ClaimTable(run())["no_such_claim", MODELS[1].name]


@pytest.mark.parametrize("of", ["table", "record"])
def test_what_others_wrote_stays_text(of: str) -> None:
    records = [
        record.model_copy(
            update={"claim": record.claim.model_copy(update={"id": record.claim.id + '"><img onerror="x">'})}
        )
        for record in hostile_records()
    ]
    table = ClaimTable(records)
    page = shown(table if of == "table" else table[records[0].claim.id, MODELS[0].name])
    assert not [e.tag for e in page.all() if e.tag in ("script", "img", "h1", "style", "textarea", "b!")]
    assert not [name for e in page.all() for name in e.attributes if name.startswith("on")]
    page.raw.encode("utf-8")
    assert "<script>document.title = 'owned'</script>" in page.raw


def test_a_hostile_token_stays_text() -> None:
    class Speller:
        def decode(self, ids: list[int]) -> str:
            return {1: "</td><script>alert(1)</script>", 2: "\n\x1b\ud800"}[ids[0]]

    page = shown(ConceptToken(torch.zeros(2), Mixture((1, 2), (0.5, 0.5)), 1.0, Speller()))
    assert not page.all("script")
    assert [code.raw for code in page.all("code")] == ["</td><script>alert(1)</script>", "↵\n\\x1b\\ud800"]
