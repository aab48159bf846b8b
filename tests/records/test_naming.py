"""One name, one set of weights: how models outside the registry are named, and how records are kept apart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.report_records import STARTED, make_claim, measured, provenance, successes
from vsg_core.errors import WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.judge.rules import rate
from vsg_core.records.files import ARCHIVE, FOLDER, read_reports, write_archive, write_record
from vsg_core.records.microscope import FOLDER as LOOKS
from vsg_core.records.microscope import Microscope, write_microscope
from vsg_core.records.naming import Named, recorded_names
from vsg_core.records.record import ModelReference, Record
from vsg_core.records.recorded import write_recorded
from vsg_core.report import report_of

ONE, TWO = (make_claim(name, "It works", "Does it?", rate(above=0.5)) for name in ("one", "two"))
A, B = "aaaa1111" * 8, "bbbb2222" * 8


def record(weights: str, name: str = "out", claim: Claim = ONE, minutes: float = 0) -> Record:
    """A record of a model with these weights."""
    model = ModelReference(name=name, sha256=weights or None)
    return measured(claim, model, successes(38), run=provenance(started=STARTED + timedelta(minutes=minutes)))


def named(weights: str, name: str = "out", target: str = "") -> Named:
    return Named(target or f"/{weights[:4]}/{name}", name, lambda: weights)


def unread(name: str = "out") -> Named:
    """A model whose digest must not be computed."""
    return Named(name, name, lambda: pytest.fail("the weights were read"))


def held(place: Path, *records: Record) -> Path:
    for each in records:
        write_record(each, place / FOLDER)
    return place


def test_a_free_name_is_taken_without_reading_the_weights(tmp_path: Path) -> None:
    held(tmp_path, record(B, "outer"), record(B, "out-2"))
    assert recorded_names([unread(), unread("other")], tmp_path, tmp_path) == ["out", "other"]


def test_the_same_weights_keep_their_name(tmp_path: Path) -> None:
    assert recorded_names([named(A)], held(tmp_path, record(A)), tmp_path) == ["out"]


@pytest.mark.parametrize("archived", [True, False])
def test_a_name_with_records_of_other_weights_gets_a_digest(tmp_path: Path, archived: bool) -> None:
    if archived:
        write_archive([record(A)], tmp_path / ARCHIVE)
    else:
        held(tmp_path, record(A))
    assert recorded_names([named(B)], tmp_path, tmp_path) == ["out-bbbb2222"]


def test_a_name_with_recorded_verdicts_of_other_weights_gets_a_digest(tmp_path: Path) -> None:
    write_recorded(tmp_path / "recorded", "out", [record(A)])
    assert recorded_names([named(B)], tmp_path, tmp_path / "recorded") == ["out-bbbb2222"]
    assert recorded_names([named(A)], tmp_path, tmp_path / "recorded") == ["out"]


def test_two_models_of_one_name_both_get_digests_in_any_order(tmp_path: Path) -> None:
    assert recorded_names([named(A), named(B)], tmp_path, tmp_path) == ["out-aaaa1111", "out-bbbb2222"]
    held(tmp_path, record(A, "out-aaaa1111"), record(B, "out-bbbb2222"))
    assert recorded_names([named(B)], tmp_path, tmp_path) == ["out-bbbb2222"], "its column stays"
    held(tmp_path, record(A))
    assert recorded_names([named(B), named(A)], tmp_path, tmp_path) == ["out-bbbb2222", "out"]


def test_two_models_that_are_not_downloaded_yet_stay_apart(tmp_path: Path) -> None:
    names = recorded_names([named("", target="a--b/c"), named("", target="a/b--c")], tmp_path, tmp_path)
    assert len(set(names)) == 2


def test_one_model_under_two_paths_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WrongUse, match=r"--model /x/out and --model /y/out have the same weights: give one of them"
    ):
        recorded_names([named(A, target="/x/out"), named(A, target="/y/out")], tmp_path, tmp_path)


def test_digests_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    held(tmp_path, record(B), record("aaaa1111" + "0" * 56, "out-aaaa1111"))
    assert recorded_names([named(A)], tmp_path, tmp_path) == ["out-aaaa1111aaaa1111"]


def columns(reports: Path) -> dict[tuple[str, str], str]:
    """The weights of every cell of the report, by model and claim."""
    return {
        (cell.model, cell.record.claim.id): cell.record.weights
        for cell in report_of(read_reports(reports)).cells
    }


def test_a_record_of_other_weights_is_kept_when_its_place_is_written(tmp_path: Path) -> None:
    held(tmp_path, record(A), record(A, claim=TWO), record(B, minutes=5))
    assert columns(tmp_path) == {
        ("out", ONE.id): B,
        ("out-aaaa1111", ONE.id): A,
        ("out-aaaa1111", TWO.id): A,
    }


def test_an_archive_of_other_weights_has_a_column_of_its_own(tmp_path: Path) -> None:
    """Also where it is newer: what is in records/ has the name."""
    write_archive([record(A, minutes=9), record(A, claim=TWO, minutes=9)], tmp_path / ARCHIVE)
    held(tmp_path, record(B))
    assert columns(tmp_path) == {
        ("out", ONE.id): B,
        ("out-aaaa1111", ONE.id): A,
        ("out-aaaa1111", TWO.id): A,
    }


def test_a_record_without_weights_stays_in_its_column(tmp_path: Path) -> None:
    held(tmp_path, record(A), record("", claim=TWO, minutes=5))
    assert columns(tmp_path) == {("out", ONE.id): A, ("out", TWO.id): ""}


def test_a_look_at_other_weights_is_kept(tmp_path: Path) -> None:
    for weights in (A, B):
        model = ModelReference(name="out", sha256=weights)
        seen: dict[str, Any] = {"mixing": {}, "prompts": ()}
        write_microscope(Microscope.of(seen, model, provenance()), tmp_path)
    assert {path.name for path in (tmp_path / LOOKS).iterdir()} == {"out.json", "out-aaaa1111.json"}
