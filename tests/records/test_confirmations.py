"""The ledgers of a project: which verdicts they confirm, and how repeats and placebos are counted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.ledgers import (
    WHEN,
    freeze_of,
    line_of,
    placebos,
    register,
    shrunk,
    unrun,
    unsettled,
)
from tests.support.second_engine import MEAN, OVER, RATE, real
from vsg_core.errors import VsgError
from vsg_core.records.confirmations import UNCONFIRMED, Confirmation, read_confirmations
from vsg_core.records.record import Record


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Three real records: two that decide, and one whose estimate does."""
    return [real(claim) for claim in (RATE, OVER, MEAN)]


def confirming(claims: Path, record: Record) -> Confirmation:
    """The confirming verdict of a record's claim on its model."""
    found = read_confirmations([claims]).of_claim(record.claim.id, record.claim.rules_digest)
    return found[record.model.name]


def test_without_a_folder_or_a_line_there_is_nothing(tmp_path: Path, records: list[Record]) -> None:
    assert read_confirmations([tmp_path]) == UNCONFIRMED == read_confirmations([])
    register(tmp_path, freeze_of("primary-1", records), [])
    assert read_confirmations([tmp_path]) == UNCONFIRMED


def test_a_decided_verdict_that_survives_is_confirmed(tmp_path: Path, records: list[Record]) -> None:
    decided = [record for record in records if record.verdict != "inconclusive"]
    assert len(decided) >= 2
    register(tmp_path, freeze_of("primary-1", records), map(shrunk, decided))
    for record in decided:
        found = confirming(tmp_path, record)
        assert (found.status, found.obstacle, found.freeze.name) == ("confirmed", "", "primary-1")
        assert found.is_of(record)


def test_what_does_not_confirm_says_why(tmp_path: Path, records: list[Record]) -> None:
    record, *_ = records
    other = {"holds": "refuted", "refuted": "holds"}[record.verdict]
    for place, (line, why) in enumerate(
        [
            (unsettled(record), "inconclusive"),
            (unrun(record, "positive control failed"), "positive control failed"),
            (unrun(record, ""), "not run"),
            (shrunk(record, verdict=other), f"{record.verdict} before it was registered"),
            (shrunk(record, p_value=0.03), "does not survive Holm over the claims registered on the model"),
        ]
    ):
        claims = tmp_path / str(place)
        register(claims, freeze_of("primary-1", records), [line])
        found = confirming(claims, record)
        assert (found.status, found.obstacle) == ("failed to confirm", why)


def test_a_verdict_that_was_open_before_can_be_confirmed(tmp_path: Path, records: list[Record]) -> None:
    record, *others = records
    unknown = record.model_copy(
        update={"evidence": record.evidence.model_copy(update={"verdict": "inconclusive"})}
    )
    register(tmp_path, freeze_of("primary-1", [unknown, *others]), [shrunk(record)])
    assert confirming(tmp_path, record).status == "confirmed"


def test_the_family_of_holm_is_all_that_was_registered(tmp_path: Path, records: list[Record]) -> None:
    """With three claims on a model the smallest p-value must be 0.05 / 3, however many lines there are."""
    record, *_ = records
    for p_value, status in ((0.0166, "confirmed"), (0.0168, "failed to confirm")):
        claims = tmp_path / str(p_value)
        register(claims, freeze_of("primary-1", records), [shrunk(record, p_value=p_value)])
        assert confirming(claims, record).status == status
    alone = tmp_path / "alone"
    register(alone, freeze_of("primary-1", [record]), [shrunk(record, p_value=0.0168)])
    assert confirming(alone, record).status == "confirmed"


def test_the_first_line_counts_and_later_ones_are_repeats(tmp_path: Path, records: list[Record]) -> None:
    record, *_ = records
    lines = [unsettled(record), shrunk(record, kind="repeat"), unsettled(record, kind="repeat")]
    register(tmp_path, freeze_of("primary-1", records), lines)
    found = confirming(tmp_path, record)
    assert (found.status, found.line.number) == ("failed to confirm", 1)
    assert (len(found.repeats), found.agreeing) == (2, 1)


def test_a_later_freeze_repeats_the_first(tmp_path: Path, records: list[Record]) -> None:
    """Whatever the names sort to; freezing a claim again until it is confirmed gains nothing."""
    record, *_ = records
    register(tmp_path, freeze_of("z-first", [record]), [unsettled(record)])
    later = freeze_of("a-second", [record], frozen=WHEN + timedelta(days=1))
    register(tmp_path, later, [shrunk(record)])
    found = confirming(tmp_path, record)
    assert (found.freeze.name, found.status, len(found.repeats)) == ("z-first", "failed to confirm", 1)


def test_the_verdict_that_was_given_first_counts(tmp_path: Path, records: list[Record]) -> None:
    """Whichever freeze was written first: to run the other one after a failure gains nothing."""
    record, *_ = records
    again = shrunk(record).model_copy(update={"time": WHEN + timedelta(days=9)})
    register(tmp_path, freeze_of("older", [record]), [again])
    register(tmp_path, freeze_of("newer", [record], frozen=WHEN + timedelta(days=1)), [unsettled(record)])
    found = confirming(tmp_path, record)
    assert (found.freeze.name, found.status, len(found.repeats)) == ("newer", "failed to confirm", 1)


def test_other_rules_or_weights_are_another_claim(tmp_path: Path, records: list[Record]) -> None:
    record, *_ = records
    register(tmp_path, freeze_of("primary-1", records), map(shrunk, records))
    known = read_confirmations([tmp_path])
    assert known.of_claim(record.claim.id, "0" * 16) == {}
    found = confirming(tmp_path, record)
    changed = record.claim.model_copy(update={"rules_digest": "0" * 16})
    model = record.model.model_copy(update={"sha256": "f" * 64})
    assert not found.is_of(record.model_copy(update={"claim": changed}))
    assert not found.is_of(record.model_copy(update={"model": model}))


def test_placebos_are_counted_over_all_models(tmp_path: Path, records: list[Record]) -> None:
    record, *_ = records
    verdicts = ["holds", "refuted", "refuted", "negligible", "not run", *15 * ["inconclusive"]]
    again = placebos(record, ["holds"])
    elsewhere = [
        line.model_copy(update={"model": "elsewhere"}) for line in placebos(record, ["holds", "inconclusive"])
    ]
    lines = [line_of(record), *placebos(record, verdicts), *again, *elsewhere]
    register(tmp_path, freeze_of("primary-1", records), lines)
    (ledger,) = read_confirmations([tmp_path]).registered
    found = ledger.placebos
    assert (found.judged, found.held, found.refuted) == (21, 2, 2)
    assert found.expected == pytest.approx(0.05 * 21)
    assert len(ledger.confirmations) == 1, "a placebo is not a claim"


def test_a_rehearsal_confirms_nothing(tmp_path: Path, records: list[Record]) -> None:
    record, *_ = records
    freeze = freeze_of("rehearsal", records, note="Rehearsal with a nonce of our own.")
    register(tmp_path, freeze, map(shrunk, records))
    known = read_confirmations([tmp_path])
    assert (known.registered, len(known.rehearsals)) == ([], 1)
    assert known.of_claim(record.claim.id, record.claim.rules_digest) == {}


def test_a_broken_chain_is_one_line(tmp_path: Path, records: list[Record]) -> None:
    registration = register(tmp_path, freeze_of("primary-1", records), map(shrunk, records))
    _, *rest = registration.ledger.read_text().splitlines(keepends=True)
    registration.ledger.write_text("".join(rest))
    with pytest.raises(VsgError, match=r"primary-1.ledger.jsonl, line 1: the chain is broken"):
        read_confirmations([tmp_path])
