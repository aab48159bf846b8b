"""The time that confirming a freeze takes, estimated from the durations of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.registered import (
    CLAIMS_TEXT,
    MODELS,
    claim_named,
    commit,
    explored,
    folders,
    make,
    write_project,
)
from vsg_core.judge.claims import load_claims
from vsg_core.projects import CLAIMS
from vsg_core.records.files import write_record
from vsg_core.registration.duration import Durations, Expected
from vsg_core.runs.keys import Project

# It asks for what `seen` asks for, and measures it first.
FIRST = """
@claim("It is seen first", rule=mostly(), controls={"noise": not_mostly()}, **ABOUT)
def test_first(lm, worked):
    return worked
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_project(tmp_path / "project")
    (root / CLAIMS / "test_it.py").write_text(CLAIMS_TEXT + FIRST)
    commit(root)
    return root


def write_durations(root: Path, seconds: dict[str, float], model: str = MODELS[0]) -> None:
    """Write records of 100 units that took so long."""
    for name, took in seconds.items():
        record = explored(claim_named(root, name), model)
        run = record.run.model_copy(update={"seconds": took})
        write_record(record.model_copy(update={"run": run}), root / "reports" / "records")


def expected(root: Path) -> list[Expected]:
    known = load_claims(root / CLAIMS)
    return Durations(make(root), known, Project(root, tuple(folders(root))), root / "reports").expected()


def test_trials_take_as_long_as_they_took_before(root: Path) -> None:
    write_durations(root, {"mean": 100, "often": 50, "seen": 10})
    first, _ = expected(root)
    # 120 trials of a second each, 200 of a half and 300 of a tenth.
    assert first.seconds == pytest.approx(120 + 100 + 30)
    assert (first.model.name, first.claims, first.unknown) == (MODELS[0], 3, ())


def test_what_claims_share_is_counted_where_it_was_measured(root: Path) -> None:
    write_durations(root, {"mean": 100, "often": 50, "seen": 10, "first": 200})
    assert expected(root)[0].seconds == pytest.approx(120 + 100 + 300 * 2)


def test_a_claim_without_a_duration_is_named(root: Path) -> None:
    write_durations(root, {"mean": 100, "often": 50})
    first, _ = expected(root)
    assert (first.seconds, first.unknown) == (pytest.approx(120 + 100), ("seen",))
