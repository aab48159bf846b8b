"""One's own claims next to the project's: --claims DIR, and the current folder of `vsg run` (--vsg-project)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CLAIM_HEADER, Suite
from vsg_core.projects import project_around, pytest_command, run_command
from vsg_core.records.recorded import read_recorded

OWN = """
@claim("It is mine", rule=rate(above=0.5), **ABOUT)
def test_mine(lm, successes):
    return trials(successes)
"""


@pytest.fixture
def own(suite: Suite, tmp_path: Path) -> Path:
    """A folder of claims outside the project, which has a claim "one"; its fixture is in the folder around it."""
    suite.claims(suite.rate_claim(38))
    folder = tmp_path / "elsewhere" / "hypotheses"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(CLAIM_HEADER + OWN)
    conftest = (
        "import pytest\nfrom numbers_of_mine import N\n@pytest.fixture\ndef successes():\n    return N\n"
    )
    (folder.parent / "conftest.py").write_text(conftest)
    (folder.parent / "numbers_of_mine.py").write_text("N = 36\n")
    return folder


@pytest.fixture
def away(suite: Suite, own: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what `vsg run` adds to pytest's arguments next to one's own claims, in the current folder."""
    project = suite.pytester.path
    monkeypatch.chdir(own.parent)
    return ["-c", str(project / "pytest.ini"), f"--rootdir={project}", f"--vsg-project={project}"]


def collected(suite: Suite, *arguments: str | Path) -> list[str]:
    output = suite.run("--collect-only", "-q", *arguments).outlines
    return [line.partition("[")[0].rpartition("::")[2] for line in output if "::" in line]


def test_claims_of_a_folder_join_those_of_the_project(suite: Suite, own: Path) -> None:
    """Fixtures in the conftest.py next to the folder work, and may import from there."""
    suite.run("--claims", own).assert_outcomes(passed=2)
    assert suite.record("mine").evidence.estimate == 0.9
    assert suite.record("one").evidence.estimate == 0.95


def test_paths_select_among_the_claims(suite: Suite, own: Path) -> None:
    assert collected(suite, "--claims", own) == ["test_one", "test_mine"]
    assert collected(suite, "--claims", own, own / "mine.py") == ["test_mine"]
    assert collected(suite, "--claims", own, f"{own / 'mine.py'}::test_mine") == ["test_mine"]
    assert collected(suite, "--claims", own, "hypotheses") == ["test_one"]
    assert collected(suite, "--claims", own, "-k", "mine") == ["test_mine"]
    assert collected(suite, "--claims", suite.pytester.path / "hypotheses") == ["test_one"]


def test_any_file_of_the_folder_may_hold_claims_and_its_neighbours_are_not_collected(
    suite: Suite, own: Path
) -> None:
    """Pytest itself would look into every folder between the file system's root and the claims."""
    renamed = own.rename(own.with_name("claims of mine"))
    (own.parent / "test_neighbour.py").write_text("1 / 0")
    with (own.parent / "conftest.py").open("a") as file:
        file.write("def pytest_collect_file(file_path):\n    assert file_path.name == 'mine.py', file_path\n")
    assert collected(suite, "--claims", renamed) == ["test_one", "test_mine"]


def test_verdicts_are_recorded_next_to_their_claims(suite: Suite, own: Path) -> None:
    suite.run("--claims", own, "--record").assert_outcomes(passed=2)
    assert list(read_recorded(suite.recorded().parent, "tiny-random")) == ["one"]
    assert list(read_recorded(own / "recorded", "tiny-random")) == ["mine"]
    suite.run("--claims", own)
    assert suite.record("mine").outcome == suite.record("one").outcome == "same"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("nowhere", "there is no folder '*nowhere': give a folder of claims with --claims"),
        ("pytest.ini", "there is no folder '*pytest.ini': give a folder"),
    ],
)
def test_a_folder_that_does_not_exist_is_refused(suite: Suite, argument: str, said: str) -> None:
    suite.claims(suite.rate_claim(38))
    result = suite.run("--claims", argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}*"])


def test_two_claims_of_one_id_are_one_line(suite: Suite, own: Path) -> None:
    (own / "again.py").write_text(CLAIM_HEADER + suite.rate_claim(20))
    result = suite.run("--claims", own)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *things.py::test_one* and *again.py::test_one* are one claim, one, twice*"]
    )


def test_away_from_the_project_nothing_is_written_into_it(suite: Suite, own: Path, away: list[str]) -> None:
    """Reports and recorded verdicts go to the current folder, those of the project's claims too."""
    suite.run(*away, "--record").assert_outcomes(passed=2)
    written = sorted(path.name for path in (own.parent / "reports/records/tiny-random").iterdir())
    assert written == ["mine.json", "one.json"]
    assert sorted(read_recorded(own / "recorded", "tiny-random")) == ["mine", "one"]
    assert not suite.reports.exists()
    assert not (suite.pytester.path / "hypotheses" / "recorded").exists()


def test_away_recorded_verdicts_of_the_project_count_until_one_replaces_them(
    suite: Suite, own: Path, away: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.pytester.path)
    suite.run("--record").assert_outcomes(passed=1)
    monkeypatch.chdir(own.parent)
    suite.claims(suite.rate_claim(2))
    suite.run(*away, "-k", "one").assert_outcomes(failed=1)
    suite.run(*away, "-k", "one", "--record")
    suite.run(*away, "-k", "one").assert_outcomes(passed=1)
    assert read_recorded(suite.recorded().parent, "tiny-random")["one"].verdict == "holds"
    assert read_recorded(own / "recorded", "tiny-random")["one"].verdict == "refuted"


def test_away_own_claims_have_the_paths_that_the_terminal_shows(
    suite: Suite, own: Path, away: list[str]
) -> None:
    result = suite.run(*away, "-v", "-k", "mine")
    result.stdout.fnmatch_lines(["hypotheses/mine.py::test_mine* holds, new*"])
    assert collected(suite, *away, "hypotheses/mine.py::test_mine") == ["test_mine"]


def test_away_a_folder_without_claims_is_fine(
    suite: Suite, away: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    suite.run(*away, "--record").assert_outcomes(passed=1)
    assert sorted(path.name for path in Path().glob("[!.]*")) == ["hypotheses", "reports"]


def test_the_command_is_pytest_in_a_project_and_names_the_project_elsewhere(
    suite: Suite, own: Path, away: list[str]
) -> None:
    project = suite.pytester.path
    assert pytest_command(["-x"], project / "hypotheses")[3:] == ["pytest", "-x"]
    assert project_around(own) is None
    assert any(word.startswith("--vsg-project=") for word in pytest_command([], own))
    assert run_command() == "vsg run"
