"""Recorded verdicts: the file kept for review, and its comparison with a later record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.judging import MODEL, RUN, declare, judged_record, record_of, successes, values
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.judge.rules import difference, rate
from vsg_core.judge.trials import Evidence
from vsg_core.records.making import not_run_record
from vsg_core.records.record import NotRun, Record
from vsg_core.records.recorded import (
    Comparison,
    RecordedVerdict,
    compare,
    compared,
    read_recorded,
    write_recorded,
)
from vsg_core.vocabulary import Cause, Outcome


def further(record: Record) -> Record:
    """Return the record under the name of a different claim."""
    return record.model_copy(update={"claim": record.claim.model_copy(update={"id": "further"})})


def accepted(record: Record, folder: Path) -> RecordedVerdict:
    """Record a verdict and read it back."""
    write_recorded(folder, "tiny", [record])
    return read_recorded(folder, "tiny")[record.claim.id]


def not_applicable(copies: int = 0) -> Record:
    """Return a record whose positive control failed, unless it has enough copies."""
    example = declare(rate(above=0.5), positive_controls={"copies": rate(above=0.5)})
    evidence = Evidence(successes(40), {"copies": successes(copies)})
    return judged_record(example, evidence)


def unavailable() -> Record:
    error = WeightsUnavailable("no network", "vsg models fetch tiny")
    return not_run_record(declare(rate(above=0.5)), MODEL, error, RUN)


def broken_record() -> Record:
    return not_run_record(declare(rate(above=0.5)), MODEL, VsgError("NaN"), RUN)


def test_the_file_is_readable_for_review(tmp_path: Path) -> None:
    path = write_recorded(tmp_path / "recorded", "tiny", [record_of(27)])
    assert path == tmp_path / "recorded" / "tiny.toml"
    assert path.read_text() == (
        "[example]\n"
        'verdict = "holds"\n'
        "estimate = 0.675\n"
        "interval = [0.5087, 0.8143]\n"
        "n = 40\n"
        "p_value = 0.03848\n"
        'rule = "rate above 50 %, at least 40 trials, alpha 0.05"\n'
        f'rules = "{record_of(27).claim.rules_digest}"\n'
        'weights = "ab12"\n'
        'dtype = "float32"\n'
    )
    assert read_recorded(tmp_path / "recorded", "tiny") == {
        "example": RecordedVerdict(
            verdict="holds",
            estimate=0.675,
            interval=(0.5087, 0.8143),
            n=40,
            p_value=0.03848,
            rule="rate above 50 %, at least 40 trials, alpha 0.05",
            rules=record_of(27).claim.rules_digest,
            weights="ab12",
            dtype="float32",
        )
    }


HELD = "holds, 100 % [91 %, 100 %] of 40"
REFUTED = "refuted, 0 % [0 %, 9 %] of 40"
OPEN = "inconclusive, 50 % [34 %, 66 %] of 40"


@pytest.mark.parametrize(
    ("before", "after", "outcome", "text"),
    [
        (40, 40, "same", f"{HELD}, as recorded"),
        (40, 38, "same", "holds, 95 % [83 %, 99.4 %] of 40, as recorded"),
        (40, 0, "changed", f"changed: was {HELD}; now {REFUTED}"),
        (40, 20, "weakened", f"weakened: was {HELD}; now {OPEN}"),
        (0, 20, "weakened", f"weakened: was {REFUTED}; now {OPEN}"),
        (20, 40, "changed", f"changed: was {OPEN}; now {HELD}"),
        (20, 20, "same", f"{OPEN}, as recorded"),
    ],
)
def test_compare(tmp_path: Path, before: int, after: int, outcome: Outcome, text: str) -> None:
    assert compare(accepted(record_of(before), tmp_path), record_of(after)) == Comparison(outcome, text)


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (1.0, 0.0, "changed"),
        (0.0, 1.0, "changed"),
        (0.0, 0.0, "same"),
        (0.5, 0.0, "changed"),
        (0.0, 0.5, "weakened"),
    ],
)
def test_compare_negligible_verdicts(tmp_path: Path, before: float, after: float, outcome: Outcome) -> None:
    """Means of 1, 0 and 0.5 hold, are negligible and are left open by this rule."""

    def record(mean: float) -> Record:
        spread = 1.0 if mean != 0.5 else 2.0
        rule = difference(above=0, matters=0.5)
        return judged_record(declare(rule), values([mean + spread, mean - spread] * 20))

    first, second = record(before), record(after)
    found = compare(accepted(first, tmp_path), second)
    assert found.outcome == outcome
    assert found.text.startswith(
        f"{second.verdict}, " if outcome == "same" else f"{outcome}: was {first.verdict}, "
    )
    assert "negligible, 0.00 [−0.32, 0.32] of 40" in found.text


def test_without_a_recorded_verdict_the_outcome_is_new_or_not_run() -> None:
    assert compare(None, record_of(40)) == Comparison("new", HELD)
    assert compare(None, not_applicable()).outcome == "not run"
    assert compare(None, unavailable()).outcome == "not run"


@pytest.mark.parametrize("after", [40, 0, 20])
def test_different_weights_or_rules_are_not_comparable(tmp_path: Path, after: int) -> None:
    recorded = accepted(record_of(40), tmp_path)
    outcome = compare(recorded, record_of(after, model=MODEL.model_copy(update={"sha256": "cd34"})))
    assert outcome.outcome == "not comparable"
    assert outcome.text.startswith("the recorded verdict is of different weights; now ")
    outcome = compare(recorded, record_of(after, rule=rate(above=0.50001)))
    assert outcome.outcome == "not comparable"
    assert outcome.text.startswith("the recorded verdict was judged by a different rule; now ")


def test_a_different_dtype_is_not_comparable_and_both_are_named(tmp_path: Path) -> None:
    half = record_of(0, dtype="bfloat16")
    outcome = compare(accepted(record_of(40), tmp_path), half)
    text = f"computed in bfloat16, recorded in float32; now {REFUTED}; recorded {HELD}"
    assert outcome == Comparison("not comparable", text)
    assert compare(accepted(half, tmp_path), half).outcome == "same"
    assert compare(accepted(half, tmp_path), record_of(0)).outcome == "not comparable"


def test_packed_weights_are_not_compared_with_whole_ones(tmp_path: Path) -> None:
    """They may have the same digest: that of the published weights."""
    packed = record_of(0, model=MODEL.model_copy(update={"form": "nf4"}))
    outcome = compare(accepted(record_of(40), tmp_path), packed)
    assert outcome.outcome == "not comparable"
    assert outcome.text.startswith(f"weights in nf4, recorded in {MODEL.form}; now ")
    assert compare(accepted(packed, tmp_path), packed).outcome == "same"


def test_an_entry_without_a_dtype_counts_as_float32(tmp_path: Path) -> None:
    accepted(record_of(40), tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(path.read_text().replace('dtype = "float32"\n', ""))
    recorded = read_recorded(tmp_path, "tiny")["example"]
    assert compare(recorded, record_of(40)).outcome == "same"
    assert compare(recorded, record_of(40, dtype="float16")).outcome == "not comparable"


def test_unknown_weights_are_not_comparable(tmp_path: Path) -> None:
    nameless = record_of(40, model=MODEL.model_copy(update={"sha256": None}))
    assert compare(accepted(nameless, tmp_path), nameless).outcome == "not comparable"


def test_weights_are_identified_by_sha256_or_else_by_revision(tmp_path: Path) -> None:
    by_revision = MODEL.model_copy(update={"sha256": None, "revision": "r1"})
    assert accepted(record_of(40, model=by_revision), tmp_path).weights == "r1"
    both = MODEL.model_copy(update={"sha256": "ef56", "revision": "r1"})
    assert accepted(record_of(40, model=both), tmp_path).weights == "ef56"


def test_not_applicable_is_a_finding_and_may_change(tmp_path: Path) -> None:
    recorded = accepted(not_applicable(), tmp_path)
    assert (recorded.verdict, recorded.estimate, recorded.interval) == ("not run", None, None)
    assert recorded.not_applicable == "positive control 'copies': 0 % [0 %, 9 %] of 40, needs above 50 %"
    assert compare(recorded, not_applicable()).outcome == "not run"
    applies = compare(recorded, not_applicable(copies=40))
    assert applies.outcome == "changed"
    assert applies.text.startswith("changed: was not run (not applicable: positive control 'copies'")
    assert applies.text.endswith(f"; now {HELD}")
    back = compare(accepted(not_applicable(copies=40), tmp_path), not_applicable())
    assert back.outcome == "changed"
    assert back.text.startswith(f"changed: was {HELD}; now not run (not applicable")


def test_a_claim_that_could_not_run_has_no_verdict(tmp_path: Path) -> None:
    recorded = accepted(record_of(40), tmp_path)
    before = (tmp_path / "tiny.toml").read_text()
    assert compare(recorded, unavailable()) == Comparison(
        "not run", "not run (no network; to get them: vsg models fetch tiny)"
    )
    write_recorded(tmp_path, "tiny", [unavailable()])
    assert (tmp_path / "tiny.toml").read_text() == before


def test_a_broken_claim_stays_broken(tmp_path: Path) -> None:
    broken = broken_record()
    assert compare(accepted(record_of(40), tmp_path), broken) == Comparison("broken", "error: NaN")
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


def test_other_entries_and_all_comments_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(REVIEWED)
    write_recorded(tmp_path, "tiny", [record_of(0), further(record_of(40))])
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


def test_recording_the_same_verdict_again_changes_no_byte(tmp_path: Path) -> None:
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


def test_a_recorded_verdict_without_a_digest_is_not_comparable(tmp_path: Path) -> None:
    """A verdict recorded before rules had digests has its rule only as prose, which is never compared."""
    accepted(record_of(40), tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("rules")))
    comparison = compare(read_recorded(tmp_path, "tiny")["example"], record_of(40))
    assert comparison.outcome == "not comparable"


@pytest.mark.parametrize("cause", ["weights", "records", "memory", "skipped"])
def test_a_cause_that_says_nothing_about_the_model_is_not_recorded(tmp_path: Path, cause: Cause) -> None:
    reason = NotRun(cause=cause, reason="not applicable: the words decide nothing")
    record = not_run_record(declare(rate(above=0.5)), MODEL, reason, RUN)
    write_recorded(tmp_path, "tiny", [record])
    assert read_recorded(tmp_path, "tiny") == {}
    assert compare(accepted(record_of(40), tmp_path), record).outcome == "not run"


def test_a_record_keeps_what_it_was_compared_with(tmp_path: Path) -> None:
    recorded = accepted(record_of(0), tmp_path)
    record, comparison = compared(record_of(40), recorded)
    assert (record.outcome, comparison.outcome) == ("changed", "changed")
    assert record.recorded is not None
    assert record.recorded.model_dump() == recorded.model_dump(
        include=set(type(record.recorded).model_fields)
    )
    assert compared(record_of(40), None)[0] == record_of(40)
