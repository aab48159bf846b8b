"""`vsg freeze` and `vsg verify` as commands: what they take, print and write, and their exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.registered import COMMITMENT, MODELS, NONCE, commit, confirm, write_project
from vsg_core.cli import main as cli
from vsg_core.projects import CLAIMS
from vsg_core.records.registered import read_registration

Vsg = Callable[..., tuple[int, str, str]]
NONCE_OPTIONS = ("--commitment", COMMITMENT.sha256, "--by", "A colleague.")
ARGUMENTS = (*NONCE_OPTIONS, "--model", MODELS[0], "--from", "reports")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_project(tmp_path / "project"))
    return tmp_path / "project"


@pytest.fixture
def vsg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vsg:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vsg", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def test_what_is_frozen_can_be_verified(root: Path, vsg: Vsg) -> None:
    """Before it is confirmed, after that, and after a change."""
    claims = ("--claims", "mean,often", "--claims", "seen", "--trials", "200", "--trials", "seen=300")
    code, out, _ = vsg("freeze", "first", *claims, *ARGUMENTS)
    assert code == 0
    path = root / CLAIMS / "registered" / "first.toml"
    assert f"frozen: {path}: commit it before the nonce is known" in out
    assert "mean: 200 trials, 0.2 matters" in out
    assert f"  {MODELS[0]}: power 0.9" in out
    assert f"{MODELS[0]}: 20 placebo claims, of which 1 decide by chance on average" in out
    registration = read_registration(path.parent, "first")
    assert [claim.trials for claim in registration.freeze.claims] == [200, 200, 300]
    commit(root)

    assert vsg("verify", "first")[:2] == (0, "first: not confirmed yet, the ledger has no lines\n")
    confirm(root, registration)
    code, out, _ = vsg("verify", "first", "--nonce", NONCE)
    assert code == 0
    assert out == (
        "first: 23 lines (3 confirmations, 0 repeats, 20 placebos) fit their records, the judge and the freeze; "
        "the seed follows from the nonce\n"
    )
    assert "the seed is not checked without --nonce" in vsg("verify", "first")[1]
    assert vsg("verify", "first", "--nonce", "another")[0] == 2

    lines = registration.ledger.read_text().splitlines(keepends=True)
    registration.ledger.write_text("".join(lines[:-1]))
    code, out, _ = vsg("verify", "first", "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["lines"], found["placebos"], found["seed_checked"]) == (22, 19, False)
    assert found["faults"] == [f"placebo 18 of seen on {MODELS[0]} is missing"]
    assert vsg("verify", "first")[1].endswith("first: 1 fault\n")


def test_the_claims_of_a_file_are_read_with_their_trials(root: Path, vsg: Vsg) -> None:
    (root / "some.claims").write_text(f"# Three.\nmean 150  # of means\n\nseen\noften 300:250 {MODELS[0]}\n")
    commit(root)
    code, out, _ = vsg("freeze", "first", "--claims", "@some.claims", "--trials", "400", *ARGUMENTS)
    assert code == 0
    assert "often: 300 trials that give 250 units, 0.2 matters" in out
    freeze = read_registration(root / CLAIMS / "registered", "first").freeze
    assert {claim.id: claim.trials for claim in freeze.claims} == {"mean": 150, "often": 300, "seen": 400}


def test_a_dry_run_writes_nothing_and_takes_a_tree_with_changes(root: Path, vsg: Vsg) -> None:
    (root / "hypotheses" / "new.py").write_text("")
    code, out, _ = vsg("freeze", "first", "--claims", "mean", "--dry-run", *ARGUMENTS)
    assert code == 0
    assert "mean: " in out
    assert "frozen" not in out
    assert not (root / CLAIMS / "registered").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--claims", "mean", "--trials", "45"), 1, "below 0.9"),
        (("--claims", "identity"), 1, "is an identity"),
        (("--claims", "mena"), 2, "there is no claim 'mena': did you mean mean?"),
        (("--claims", "@nothing"), 1, "cannot read the claims in nothing"),
        (("--claims", "@bad.claims"), 2, "bad.claims, line 1: 'many' is not a number of trials, or TRIALS:UNITS"),
        (("--claims", "mean,often", "--claims", "mean"), 2, "--claims has mean twice: give it once"),
        (("--claims", "mean", "--trials", "many"), 2, "--trials many: give a whole number from 1 up, or CLAIM=N"),
        (("--claims", "mean", "--trials", "=100"), 2, "--trials =100: give a whole number from 1 up, or CLAIM=N"),
        (("--claims", "mean", "--trials", "seen=100"), 2, "--trials seen=100: --claims does not have seen"),
        (("--claims", "mean", "--commitment", "abc"), 2, "--commitment 'abc': give the sha256 of the nonce"),
        (("--claims", "mean", "--by", ""), 2, "--by is empty"),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_line_with_the_exit_code(
    arguments: tuple[str, ...], code: int, line: str, root: Path, vsg: Vsg
) -> None:
    (root / "bad.claims").write_text("mean many\n")
    commit(root)
    found, _, err = vsg("freeze", "first", *ARGUMENTS, *arguments)
    assert (found, err.count("\n")) == (code, 1)
    assert line in err


def test_a_freeze_that_is_not_there_is_refused(root: Path, vsg: Vsg) -> None:
    code, _, err = vsg("verify", "primary")
    assert code == 2
    assert "there is no freeze 'primary'" in err


def test_a_changed_tree_is_refused(root: Path, vsg: Vsg) -> None:
    (root / "new.txt").write_text("")
    code, _, err = vsg("freeze", "first", "--claims", "mean", *ARGUMENTS)
    assert code == 1
    assert "new.txt: commit or remove that" in err
