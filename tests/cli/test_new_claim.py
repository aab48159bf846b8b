"""`vsg new claim`: a file that runs as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.conftest import Suite
from vsg_core.cli.new import LONGEST, SKELETON
from vsg_core.judge.claims import load_claims

ROOT = Path(__file__).parents[2]


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Return exit code, stdout and stderr of `vsg new claim ARGUMENTS`, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run("new", "claim", *arguments, monkeypatch=monkeypatch, capsys=capsys)


def test_it_is_written_where_claims_are_and_can_be_run(new, tmp_path: Path) -> None:
    code, out, _ = new("noise_is_ignored")
    then = "commit it before the first run without --dry"
    assert (code, out) == (
        0,
        f"hypotheses/test_noise_is_ignored.py\ntry it: vsg run --dry -k noise_is_ignored; {then}\n",
    )
    (declared,) = load_claims(tmp_path / "hypotheses")
    assert declared.id == "noise_is_ignored"
    assert declared.statement
    assert declared.source.text
    assert declared.of_role("control")
    code, out, _ = new("noise_is_heard", "--claims", "mine")
    assert (code, out) == (
        0,
        f"mine/test_noise_is_heard.py\ntry it: vsg run --dry --claims mine -k noise_is_heard; {then}\n",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "Noise-Is ignored!",
            "vsg: no claim can be named 'Noise-Is ignored!': give lower-case letters, digits and _",
        ),
        ("test_noise", "without test_, at most 100, say noise"),
        ("9", "say noise_is_ignored"),
        ("ünder", "say nder"),
        ("../up", "say up"),
        ("a" * (LONGEST + 1), f"at most {LONGEST}, say {'a' * LONGEST}"),
        ("noise_still_generates", "vsg: there is a claim noise_still_generates already: give another name"),
    ],
)
def test_a_bad_name_is_one_line(new, tmp_path: Path, name: str, said: str) -> None:
    code, out, errors = new(name)
    assert (code, out) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(new, tmp_path: Path) -> None:
    assert new("mine")[0] == 0
    path = tmp_path / "hypotheses" / "test_mine.py"
    path.write_text("# something else\n")
    code, _, errors = new("mine")
    assert (code, errors) == (2, "vsg: hypotheses/test_mine.py exists already: give another name\n")
    assert path.read_text() == "# something else\n"


def test_a_folder_that_cannot_be_written_is_one_line(new, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, errors = new("mine", "--claims", "file/inside")
    assert (code, errors) == (1, "vsg: cannot write file/inside/test_mine.py: Not a directory\n")


def test_the_skeleton_gives_a_verdict(suite: Suite) -> None:
    """On random weights with a tiny vocabulary the control fails, so that the claim is inconclusive."""
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.prompts"]')
    suite.claims("")
    (suite.pytester.path / "hypotheses" / "test_mine.py").write_text(
        SKELETON.replace("test_NAME", "test_mine")
    )
    suite.run("-k", "mine").assert_outcomes(passed=1)
    record = suite.record("mine")
    assert record.evidence.estimate == 1.0
    assert record.verdict == "inconclusive"
    assert "control 'after another prompt'" in record.reason


def test_the_skeleton_is_lint_clean_and_typed(tmp_path: Path) -> None:
    folder = tmp_path / "hypotheses"
    folder.mkdir()
    path = folder / "test_mine.py"
    path.write_text(SKELETON.replace("test_NAME", "test_mine"))
    settings = ["--config", str(ROOT / "pyproject.toml"), str(path)]
    for command in (["ruff", "check", *settings], ["ruff", "format", "--check", *settings]):
        checked = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, cwd=tmp_path
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
    # With the project's settings, and so with the cache that `make lint` has filled.
    mypy = ["mypy", "--config-file", "pyproject.toml", str(path)]
    checked = subprocess.run([sys.executable, "-m", *mypy], capture_output=True, text=True, cwd=ROOT)
    assert checked.returncode == 0, checked.stdout
