"""`vsg merge`: its report, its JSON, and its errors of one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.report_records import EMPTY, MODELS, SLICED, measured, provenance, successes
from vsg_core.cli import main as cli
from vsg_core.records.files import read_reports, write_record


@pytest.fixture
def vsg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vsg", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def sets(tmp_path: Path) -> None:
    """Write two sets that have one cell in common, with different verdicts, and one cell each of their own."""
    theirs = provenance(-60, commit="f" * 40, device="cuda:0")
    write_record(measured(EMPTY, 0, successes(38), SLICED), tmp_path / "mine" / "records")
    write_record(measured(EMPTY, 1, successes(38), SLICED), tmp_path / "mine" / "records")
    write_record(measured(EMPTY, 1, successes(2), SLICED, run=theirs), tmp_path / "theirs")
    write_record(measured(EMPTY, 2, successes(38), SLICED, run=theirs), tmp_path / "theirs")


def test_what_was_not_reproduced_is_printed(vsg, sets: None, tmp_path: Path) -> None:
    code, out, errors = vsg("merge", "mine", "theirs", "--into", "pool")
    assert (code, errors) == (0, "")
    assert out.splitlines() == [
        "2 sets merged into pool: 4 runs of 3 cells, 4 new",
        "repeated: 1 cell, with the same verdict 0",
        "not reproduced:",
        f"  {EMPTY.id} on {MODELS[1].name}: holds 95 % [83 %, 99.4 %] of 40",
        "      another run: refuted 5 % [0.6 %, 17 %] of 40 on 2026-03-14, commit fffffff, device cuda:0",
        "page: pool/claims.html",
    ]
    assert {record.model.name for record in read_reports("pool")} == {model.name for model in MODELS[:3]}
    assert all((tmp_path / "pool" / name).is_file() for name in ("claims.html", "claims.csv", "summary.md"))


def test_as_json(vsg, sets: None) -> None:
    _, out, _ = vsg("merge", "mine", "theirs", "--into", "pool", "--json")
    merged = json.loads(out)
    assert (merged["runs"], merged["new"], merged["into"]) == (4, 4, "pool")
    cells = {cell["model"]: cell for cell in merged["cells"]}
    assert [cells[model.name]["reproduced"] for model in MODELS[:3]] == [None, False, None]
    (other,) = cells[MODELS[1].name]["differing"]
    assert (other["verdict"], other["commit"], other["device"]) == ("refuted", "f" * 40, "cuda:0")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere", "--into", "pool"], 2, "vsg: there is no folder or archive 'nowhere': give folders of reports"),
        (["empty", "--into", "pool"], 1, "vsg: no records in empty: give a folder of reports"),
        (["cut", "mine", "--into", "pool"], 1, "vsg: damaged record cut/tiny/claim.json: "),
        (["theirs", "pool", "--into", "./pool"], 2, "vsg: pool is the folder of --into, whose runs are kept anyway"),
        (["mine"], 2, "Missing option '--into'"),
        (["--into", "pool"], 2, "Missing argument 'DIR...'"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_nothing_is_written(
    vsg, sets: None, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut" / "tiny").mkdir(parents=True)
    (tmp_path / "cut" / "tiny" / "claim.json").write_text('{"schema": 2, "cla')
    found, out, errors = vsg("merge", *arguments)
    assert (found, out) == (code, "")
    assert said in errors
    assert not (tmp_path / "pool").exists()
