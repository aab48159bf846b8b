"""Two engines of one model in reports and tables. The second engine's records are real ones that were perturbed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import PHONE, WIDE, opened, visible
from tests.support.page_reading import Element, cell_of, read
from tests.support.second_engine import (
    IDENTITY,
    MEAN,
    MODEL,
    OVER,
    RATE,
    SECOND,
    on_llama_cpp,
    real,
    unable,
    with_verdict,
)
from vsg_core.errors import VsgError
from vsg_core.records.files import write_record
from vsg_core.records.record import Record
from vsg_core.records.recorded import read_recorded, write_recorded
from vsg_core.report import report_of, terminal_summary, write_report
from vsg_core.report.diff import compare_engines, engines_text
from vsg_core.report.page.render import render
from vsg_core.report.text.card import dataset_card
from vsg_core.report.text.recorded_table import recorded_table
from vsg_core.report.text.replication_table import NONE_YET, replication_table, second_engines
from vsg_core.report.text.summary import markdown_summary
from vsg_core.report.view.engines import EnginePair

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
# A claim with a verdict that does not apply to the second engine, and one that is inconclusive on both.
UNASKED, OPEN = "second_path_is_lost_early", "mixture_cannot_be_copied"
FIRST = {claim: real(claim) for claim in (RATE, OVER, MEAN, IDENTITY, UNASKED, OPEN)}
FOUND = {
    RATE: on_llama_cpp(FIRST[RATE]),
    OVER: on_llama_cpp(FIRST[OVER], noise=0.01),
    # Far from what the first engine gave.
    MEAN: on_llama_cpp(FIRST[MEAN], shift=5),
    IDENTITY: on_llama_cpp(FIRST[IDENTITY]),
    UNASKED: unable(FIRST[UNASKED]),
    OPEN: on_llama_cpp(FIRST[OPEN]),
}
COUNTS = (
    "2 of 4 findings replicated, 1 not replicated, 1 undecided "
    "(1 of them inconclusive on both, with no difference that matters)"
)
SENTENCE = f"Replicated by a second engine, llama.cpp, on {MODEL}: {COUNTS}."


def both() -> list[Record]:
    return [*FIRST.values(), *FOUND.values()]


def pair(claim: str, second: Record | None, first: Record | None = None) -> EnginePair:
    return EnginePair(SECOND, first or FIRST[claim], second)


@pytest.fixture(scope="module")
def page() -> Element:
    return read(render(report_of(both())))


@pytest.mark.parametrize(
    ("claim", "result"),
    [
        (RATE, "replicated"), (OVER, "replicated"), (MEAN, "not replicated"), (IDENTITY, "replicated"),
        (UNASKED, "one engine"), (OPEN, "undecided"),
    ],
)  # fmt: skip
def test_a_pair_of_records_has_a_result(claim: str, result: str) -> None:
    assert pair(claim, FOUND[claim]).result == result


def test_the_reason_names_what_decided() -> None:
    assert pair(OPEN, FOUND[OPEN]).reason.startswith(
        "inconclusive on both; difference 0 points, 90 % interval"
    )
    assert pair(OPEN, FOUND[OPEN]).agrees
    assert pair(UNASKED, FOUND[UNASKED]).reason == "llama.cpp: not applicable: llama.cpp has no logit lens"
    assert pair(MEAN, FOUND[MEAN]).reason.endswith("95 % interval [5, 5] of 200 pairs, outside ±0.1")
    held = pair(RATE, with_verdict(FOUND[RATE], "holds"))
    assert held.result == "not replicated"
    assert held.reason.startswith("refuted on transformers, holds on llama.cpp; difference 0 points, 90 %")
    assert held.reason.endswith("of 48 pairs, within ±10 points")
    left_open = pair(RATE, with_verdict(FOUND[RATE], "inconclusive"))
    assert (left_open.result, left_open.agrees) == ("undecided", False)
    assert left_open.reason.startswith("inconclusive on llama.cpp; difference 0 points")


def test_a_record_of_one_engine_alone_is_not_compared() -> None:
    assert pair(RATE, None).result == "one engine"
    assert pair(RATE, None).reason == "no record on llama.cpp"
    alone = EnginePair(SECOND, None, FOUND[RATE])
    assert (alone.result, alone.reason) == ("one engine", "no record on transformers")
    assert (alone.claim, alone.model, alone.difference) == (RATE, MODEL, None)
    neither = pair(UNASKED, FOUND[UNASKED], unable(FIRST[UNASKED]))
    assert neither.result == "no verdict"


@pytest.mark.parametrize(
    ("part", "changed", "reason"),
    [
        ("model", {"sha256": "ff"}, "not known to be of the same weights"),
        ("claim", {"rules_digest": "ff"}, "judged by different rules"),
        ("claim", {"seed": 1}, "seed 0 on transformers, 1 on llama.cpp"),
        ("evidence", {"dtype": "bfloat16"}, "dtype float32 on transformers, bfloat16 on llama.cpp"),
        ("evidence", {"chosen_trials": 9}, "trials None on transformers, 9 on llama.cpp"),
    ],
)
def test_what_was_made_differently_is_not_comparable(
    part: str, changed: dict[str, object], reason: str
) -> None:
    second = FOUND[RATE]
    other = second.model_copy(update={part: getattr(second, part).model_copy(update=changed)})
    assert (pair(RATE, other).result, pair(RATE, other).reason) == ("not comparable", reason)


def test_trials_that_cannot_be_paired_leave_equal_verdicts_undecided() -> None:
    evidence = FOUND[RATE].evidence
    renamed = tuple(trial.model_copy(update={"prompt": trial.prompt + "!"}) for trial in evidence.trials)
    other = FOUND[RATE].model_copy(update={"evidence": evidence.model_copy(update={"trials": renamed})})
    assert pair(RATE, other).result == "undecided"
    assert pair(RATE, other).reason == "only 0 of 48 independent trials have the same prompts"


def test_a_second_engine_adds_no_findings() -> None:
    alone, together = report_of(FIRST.values()), report_of(both())
    assert together.counts == alone.counts
    assert together.standings == alone.standings
    assert together.survival == alone.survival
    assert [row.distance for row in together.findings] == [row.distance for row in alone.findings]
    assert [model.name for model in together.measured_models] == [MODEL]


def test_what_only_the_second_engine_was_asked_counts() -> None:
    """As the gate, which has no record on transformers."""
    records = [record for record in both() if record is not FIRST[RATE]]
    assert report_of(records).counts["refuted"] == report_of(both()).counts["refuted"]


def test_the_engines_of_a_model_are_next_to_each_other() -> None:
    def named(record: Record, name: str, parameters: int) -> Record:
        model = record.model.model_copy(update={"name": name, "parameters": parameters})
        return record.model_copy(update={"model": model})

    # By size alone, the middle one would come between.
    records = [
        named(FIRST[RATE], MODEL, 100), named(FIRST[RATE], "middle", 150), named(FOUND[RATE], SECOND, 200),
    ]  # fmt: skip
    assert [model.name for model in report_of(records).models] == [MODEL, SECOND, "middle"]


def test_the_first_screen_counts_what_is_replicated(page: Element) -> None:
    (header,) = page.all("header")
    assert "measured on 1 language model" in header.text
    assert f"Replicated by a second engine, llama.cpp, on {MODEL}: {COUNTS}." in header.text
    assert "1 more is not compared." in header.text
    assert "1 finding is not replicated on llama.cpp" in header.text


def test_the_matrix_has_the_engines_below_the_name_of_the_model(page: Element) -> None:
    for table in ("matrix", "identities"):
        above, below = page.by_id(table).all("thead")[0].all("tr")
        (group,) = above.all("th", "engines")
        assert group.attributes["colspan"] == "2"
        assert group.text.startswith(MODEL)
        assert [head.text for head in below.all("th")] == [
            f"{MODEL} on transformers",
            f"{MODEL} on llama.cpp",
        ]
    assert cell_of(page, RATE, SECOND).text.endswith("replicated")
    assert cell_of(page, MEAN, SECOND).text.endswith("not replicated")
    assert "replicated" not in cell_of(page, RATE, MODEL).text
    assert (
        "Not replicated: negligible on transformers, holds on llama.cpp; difference 5"
        in page.by_id(f"claim--{MEAN}").text
    )
    # Commands of the second engine choose it.
    assert "--engine llama.cpp" in page.by_id(f"model--{SECOND}").text
    assert "--engine" not in page.by_id(f"model--{MODEL}").text


@pytest.mark.parametrize("records", [FIRST.values(), FOUND.values()], ids=["first", "second"])
def test_with_one_engine_nothing_is_said_about_replication(records: Iterable[Record]) -> None:
    report = report_of(records)
    assert not report.replicas
    for text in (render(report), markdown_summary(report), terminal_summary(report)):
        assert "eplicated" not in text
        assert "second engine" not in text


def test_a_second_engine_that_was_not_compared_has_no_counts() -> None:
    """Nothing ran on it, so 0 of 0 would be replicated; the model on the first engine is the measured one."""
    report = report_of([*FIRST.values(), unable(FIRST[RATE]), unable(FIRST[MEAN])])
    assert [model.name for model in report.measured_models] == [MODEL]
    for text in (render(report), markdown_summary(report), terminal_summary(report)):
        assert "second engine" not in text
        assert "0 of 0" not in text
    assert f"No claim has a verdict on {SECOND}" in read(render(report)).all("header")[0].text


def test_a_model_that_only_the_second_engine_measured_counts_once() -> None:
    report = report_of([unable(FIRST[RATE]).model_copy(update={"model": FIRST[RATE].model}), FOUND[RATE]])
    assert [model.name for model in report.measured_models] == [SECOND]
    assert [model.name for model in report.unmeasured_models] == [MODEL]


def test_summary_terminal_and_card_count_what_is_replicated() -> None:
    report = report_of(both())
    assert " ".join(terminal_summary(report).split()).count(SENTENCE) == 1
    assert f"not replicated:\n  {MEAN} on {SECOND}\n" in terminal_summary(report)
    summary = markdown_summary(report)
    assert SENTENCE in summary
    assert "### Not replicated" in summary
    assert f"| claim | {MODEL} (4-bit) | {SECOND} (4-bit) |" in summary
    assert "replicated" in summary.split("### Not replicated")[1]
    assert SENTENCE in dataset_card(report, "owner/name", {})
    assert summary.startswith("## 5 claims on 1 model")


def test_engines_are_compared_from_one_folder_or_two() -> None:
    diff = compare_engines(both())
    assert diff.counts == {SECOND: {"replicated": 2, "not replicated": 1, "undecided": 1}}
    text = engines_text(diff)
    assert " ".join(text.split()).startswith(
        f"{MODEL}, transformers and llama.cpp: {COUNTS}; 1 more is not compared. Identities: 1 of 1 replicated"
    )
    assert text.index("not replicated: two") < text.index("undecided: ") < text.index("\nreplicated: ")
    assert max(map(len, text.splitlines())) <= 96
    with pytest.raises(VsgError, match="no model has records of two engines, only smollm2-135m-instruct"):
        compare_engines(FIRST.values())


def test_the_comparison_as_json() -> None:
    found = json.loads(json.dumps(compare_engines(both()).as_json()))
    cells = {cell["claim"]: cell for cell in found["cells"]}
    assert cells[RATE]["result"] == "replicated"
    assert cells[RATE]["model"] == MODEL
    assert cells[RATE]["engines"]["llama.cpp"]["verdict"] == "refuted"
    assert cells[RATE]["difference"]["n"] == 48
    assert cells[RATE]["difference"]["margin"] == 0.1
    assert cells[UNASKED]["difference"] is None
    assert cells[IDENTITY]["status"] == "identity"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The verdicts of both engines, recorded as pytest --record does."""
    for name, records in ((MODEL, FIRST), (SECOND, FOUND)):
        write_recorded(tmp_path, name, list(records.values()))
    assert set(read_recorded(tmp_path, SECOND)) == set(FOUND)
    return tmp_path


def test_recorded_verdicts_of_both_engines_are_a_table(recorded: Path) -> None:
    table = replication_table(ROOT / "hypotheses", recorded, both())
    assert table.startswith(
        f"### {MODEL} on llama.cpp\n\n2 of 4 findings replicated, 1 not replicated, 1 undecided"
    )
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == "| claim | transformers | llama.cpp | result |"
    assert [row.split(" | ")[-1].partition(":")[0].strip(" |*") for row in rows[2:]] == [
        "not replicated", "undecided", "one engine", "replicated", "replicated",
    ]  # fmt: skip
    assert "Identities: 1 of 1 replicated." in table


def test_recorded_verdicts_without_trials_can_only_differ(recorded: Path) -> None:
    write_recorded(recorded, SECOND, [with_verdict(FOUND[RATE], "holds")])
    table = replication_table(ROOT / "hypotheses", recorded)
    assert "0 of 4 findings replicated, 2 not replicated, 2 undecided; 1 more is not compared" in table
    assert "**not replicated**: different verdicts |" in table
    assert "undecided: the same verdict; the trials of both are not at hand |" in table


def test_records_that_are_not_the_recorded_ones_do_not_count(recorded: Path) -> None:
    moved = [FIRST[RATE], on_llama_cpp(FIRST[RATE], noise=0.2)]
    assert "0 of 4 findings replicated" in replication_table(ROOT / "hypotheses", recorded, moved)


def test_without_a_second_engine_the_table_says_so(recorded: Path) -> None:
    (recorded / f"{SECOND}.toml").unlink()
    assert replication_table(ROOT / "hypotheses", recorded) == NONE_YET
    assert second_engines(FIRST.values()) == []
    assert len(second_engines(both())) == len(both())


def test_the_table_of_verdicts_has_the_first_engine_only(recorded: Path) -> None:
    table = recorded_table(ROOT / "hypotheses", recorded)
    assert "+llama.cpp" not in table
    assert f"| claim | {MODEL} (4-bit) |" in table
    (recorded / f"{MODEL}.toml").unlink()
    assert f"| claim | {SECOND} (4-bit) |" in recorded_table(ROOT / "hypotheses", recorded), (
        "nothing else to show"
    )


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_of_two_engines_in_a_browser(
    chromium: Browser, tmp_path: Path, viewport: dict[str, int]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for record in both():
        write_record(record, tmp_path / "records")
    path = write_report(report_of(both()), tmp_path)
    with opened(chromium, path, viewport=viewport) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
        assert not found.response["violations"], found.generate_report()
        if viewport == WIDE:
            page.locator("#matrix").get_by_role(
                "button", name=f"Sort by verdict on {MODEL} on llama.cpp"
            ).click()
            refuted = {FIRST[claim].claim.statement for claim in (RATE, OVER)}
            assert set(visible(page, "#matrix tr.row th a")[:2]) == refuted, "refuted first"
