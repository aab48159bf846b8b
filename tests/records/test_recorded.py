"""Recorded verdicts: what is kept for review, and what a later record says against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import MODEL, declare, record_of, successes
from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.rules import judge, rate
from vsg_core.judge.trials import Evidence
from vsg_core.records.files import build_record, not_run_record
from vsg_core.records.recorded import Outcome, Recorded, compare, read_recorded, write_recorded


def accepted(record: dict[str, Any], folder: Path) -> Recorded:
    """What is read back once that record was recorded."""
    write_recorded(folder, "tiny", [record])
    return read_recorded(folder, "tiny")[record["claim"]]


def not_applicable(copies: int = 0) -> dict[str, Any]:
    """A record whose positive control failed."""
    example = declare(rate(above=0.5), positive_controls={"copies": rate(above=0.5)})
    evidence = Evidence(successes(40), {"copies": successes(copies)})
    return build_record(example, MODEL, evidence, judge(example, evidence), {})


def unavailable() -> dict[str, Any]:
    return not_run_record(declare(rate(above=0.5)), MODEL, "weights unavailable; fetch them", {})


def test_the_file_is_made_for_review(tmp_path: Path) -> None:
    path = write_recorded(tmp_path / "recorded", "tiny", [record_of(27)])
    assert path == tmp_path / "recorded" / "tiny.toml"
    assert path.read_text() == (
        "[example]\n"
        'verdict = "holds"\n'
        "estimate = 0.675\n"
        "interval = [0.5087, 0.8143]\n"
        "n = 40\n"
        'rule = "rate above 50 %, at least 40 trials, alpha 0.05"\n'
        'weights = "ab12"\n'
        'dtype = "float32"\n'
    )
    assert read_recorded(tmp_path / "recorded", "tiny") == {
        "example": Recorded(
            "holds", 0.675, (0.5087, 0.8143), 40, "rate above 50 %, at least 40 trials, alpha 0.05", "ab12"
        )
    }


HELD = "holds, 100 % [91.2 %, 100 %] of 40"
REFUTED = "refuted, 0 % [0 %, 8.81 %] of 40"
OPEN = "inconclusive, 50 % [33.8 %, 66.2 %] of 40"


@pytest.mark.parametrize(
    ("before", "after", "kind", "text"),
    [
        (40, 40, "same", f"{HELD}, as recorded"),
        (40, 38, "same", "holds, 95 % [83.1 %, 99.4 %] of 40, as recorded"),
        (40, 0, "changed", f"changed: was {HELD}; now {REFUTED}"),
        (40, 20, "weakened", f"weakened: was {HELD}; now {OPEN}"),
        (0, 20, "weakened", f"weakened: was {REFUTED}; now {OPEN}"),
        (20, 40, "changed", f"changed: was {OPEN}; now {HELD}"),
        (20, 20, "same", f"{OPEN}, as recorded"),
    ],
)
def test_compare(tmp_path: Path, before: int, after: int, kind: str, text: str) -> None:
    assert compare(accepted(record_of(before), tmp_path), record_of(after)) == Outcome(kind, text)


def test_nothing_recorded() -> None:
    assert compare(None, record_of(40)) == Outcome("new", HELD)
    assert compare(None, not_applicable()).kind == "not run"
    assert compare(None, unavailable()).kind == "not run"


@pytest.mark.parametrize("after", [40, 0, 20])
def test_other_weights_or_another_rule_are_not_comparable(tmp_path: Path, after: int) -> None:
    recorded = accepted(record_of(40), tmp_path)
    outcome = compare(recorded, record_of(after) | {"model": MODEL | {"sha256": "cd34"}})
    assert outcome.kind == "not comparable"
    assert outcome.text.startswith("other weights than recorded; now ")
    outcome = compare(recorded, record_of(after, rule=rate(above=0.50001)))
    assert outcome.kind == "not comparable"
    assert outcome.text.startswith("another rule than recorded; now ")


def test_another_dtype_is_not_comparable_and_both_are_named(tmp_path: Path) -> None:
    half = record_of(0) | {"provenance": {"dtype": "bfloat16"}}
    outcome = compare(accepted(record_of(40), tmp_path), half)
    text = f"in bfloat16, recorded in float32; now {REFUTED}; recorded {HELD}"
    assert outcome == Outcome("not comparable", text)
    assert compare(accepted(half, tmp_path), half).kind == "same"
    assert compare(accepted(half, tmp_path), record_of(0)).kind == "not comparable"


def test_an_entry_without_a_dtype_is_one_of_float32(tmp_path: Path) -> None:
    accepted(record_of(40), tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text().replace('dtype = "float32"\n', ""))
    recorded = read_recorded(tmp_path, "tiny")["example"]
    assert compare(recorded, record_of(40)).kind == "same"
    assert compare(recorded, record_of(40) | {"provenance": {"dtype": "float16"}}).kind == "not comparable"


def test_weights_nobody_knows_are_not_comparable(tmp_path: Path) -> None:
    nameless = record_of(40) | {"model": {"name": "tiny"}}
    assert compare(accepted(nameless, tmp_path), nameless).kind == "not comparable"


def test_weights_are_known_by_sha256_and_else_by_revision(tmp_path: Path) -> None:
    by_revision = record_of(40) | {"model": {"name": "tiny", "sha256": None, "revision": "r1"}}
    assert accepted(by_revision, tmp_path).weights == "r1"
    assert accepted(by_revision | {"provenance": {"model_sha256": "ef56"}}, tmp_path).weights == "ef56"


def test_not_applicable_is_a_finding_and_may_change(tmp_path: Path) -> None:
    recorded = accepted(not_applicable(), tmp_path)
    assert (recorded.verdict, recorded.estimate, recorded.interval) == ("not run", None, None)
    assert (
        recorded.reason
        == "not applicable: positive control 'copies': 0 % [0 %, 8.81 %] of 40, needs above 50 %"
    )
    assert compare(recorded, not_applicable()).kind == "not run"
    applies = compare(recorded, not_applicable(copies=40))
    assert applies.kind == "changed"
    assert applies.text.startswith("changed: was not run (not applicable: positive control 'copies'")
    assert applies.text.endswith(f"; now {HELD}")
    back = compare(accepted(not_applicable(copies=40), tmp_path), not_applicable())
    assert back.kind == "changed"
    assert back.text.startswith(f"changed: was {HELD}; now not run (not applicable")


def test_what_could_not_run_is_no_verdict(tmp_path: Path) -> None:
    recorded = accepted(record_of(40), tmp_path)
    before = (tmp_path / "tiny.toml").read_text()
    assert compare(recorded, unavailable()) == Outcome("not run", "not run (weights unavailable; fetch them)")
    write_recorded(tmp_path, "tiny", [unavailable()])
    assert (tmp_path / "tiny.toml").read_text() == before


def test_a_broken_claim_stays_broken(tmp_path: Path) -> None:
    broken = unavailable() | {"outcome": "broken", "reason": "error: NaN"}
    assert compare(accepted(record_of(40), tmp_path), broken) == Outcome("broken", "error: NaN")
    with pytest.raises(WrongUse, match="example on tiny is broken and cannot be recorded: error: NaN"):
        write_recorded(tmp_path, "tiny", [broken])


REVIEWED = """# Reviewed on Monday.

[untouched] # by nobody
verdict = "refuted" # seen twice
estimate = 0.1
interval = [0.01, 0.2]
n = 40
rule = "another"
weights = "ab12"
note = "keys of others stay"

# The next one is doubtful.
[example] # see the issue
verdict = "holds" # barely
estimate = 0.7
interval = [0.51, 0.81]
n = 40
rule = "older"
weights = "ab12"
"""


def test_other_entries_and_all_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(REVIEWED)
    write_recorded(tmp_path, "tiny", [record_of(0), record_of(40) | {"claim": "further"}])
    before, after = REVIEWED.split("# The next"), path.read_text().split("# The next")
    assert after[0] == before[0]
    assert 'verdict = "refuted" # barely\n' in after[1]
    assert "[example] # see the issue\n" in after[1]
    found = read_recorded(tmp_path, "tiny")
    assert list(found) == ["untouched", "example", "further"]
    assert (found["untouched"].verdict, found["untouched"].n) == ("refuted", 40)
    assert (found["example"].verdict, found["example"].interval) == ("refuted", (0.0, 0.0881))
    write_recorded(tmp_path, "tiny", [not_applicable()])
    assert read_recorded(tmp_path, "tiny")["example"].estimate is None
    assert 'verdict = "not run" # barely\n' in path.read_text()


def test_recording_the_same_again_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(REVIEWED)
    write_recorded(tmp_path, "tiny", [record_of(33)])
    once = path.read_text()
    write_recorded(tmp_path, "tiny", [record_of(33)])
    assert path.read_text() == once


def test_a_record_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"a record of tiny cannot go into .*other\.toml"):
        write_recorded(tmp_path, "other", [record_of(40)])
    assert read_recorded(tmp_path, "other") == {}


@pytest.mark.parametrize(
    "content",
    [b"[example", b"\xff", b"example = 1", b'[example]\nverdict = "holds"', b"[example]\ninterval = [1]\n"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(content)
    with pytest.raises(VsgError) as error:
        read_recorded(tmp_path, "tiny")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
