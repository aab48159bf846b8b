"""The committed example: its page is what its archive of records gives, and the archive is the one that is named."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

import pytest

from tests.support.second_engine import OVER, RATE, SECOND, on_llama_cpp, real
from tools import example
from vsg_core.records.confirmations import read_confirmations
from vsg_core.records.files import ARCHIVE, read_reports, write_record
from vsg_core.records.recorded import read_recorded, recorded_verdict, write_recorded
from vsg_core.report import report_of, write_report

ROOT = Path(__file__).parents[2]
EXAMPLE, RECORDED = ROOT / "reports" / "example", ROOT / "hypotheses" / "recorded"


def test_the_page_is_built_from_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built again in another folder, page and rows are the committed ones, byte for byte."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    shutil.copy(EXAMPLE / ARCHIVE, tmp_path)
    shutil.copytree(EXAMPLE / "microscope", tmp_path / "microscope")
    report = report_of(read_reports(tmp_path), confirmations=read_confirmations([RECORDED.parent]))
    write_report(report, tmp_path)
    for name in ("claims.json", "claims.html"):
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes(), "python -m tools.example"


def test_the_archive_is_the_recorded_one() -> None:
    recorded, name = (EXAMPLE / f"{ARCHIVE}.sha256").read_text().split()
    assert name == ARCHIVE
    assert hashlib.sha256((EXAMPLE / ARCHIVE).read_bytes()).hexdigest() == recorded


def test_every_recorded_verdict_has_its_record() -> None:
    """With every trial, so that it can be checked; judged by the same rule, to the same numbers."""
    kept = {
        (record.model.name, record.claim.id): recorded_verdict(record) for record in read_reports(EXAMPLE)
    }
    for path in RECORDED.glob("*.toml"):
        for claim, verdict in read_recorded(RECORDED, path.stem).items():
            assert kept[path.stem, claim] == verdict, (path.stem, claim)


def test_the_example_takes_records_of_a_second_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose verdict is the recorded one, under the name that they are recorded by."""
    accepted = on_llama_cpp(real(RATE))
    write_recorded(tmp_path / "recorded", SECOND, [accepted])
    monkeypatch.setattr(example, "accepted", lambda name: read_recorded(tmp_path / "recorded", name))
    for record in (accepted, on_llama_cpp(real(OVER), noise=0.3)):
        write_record(record, tmp_path / "run" / "records")
    (found,) = example.newest([tmp_path / "run"])
    assert (found.model.name, found.claim.id, found.outcome) == (SECOND, RATE, "same")
