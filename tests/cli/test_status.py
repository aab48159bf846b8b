"""`vsg status`: measured, stale and missing, by the same keys as `pytest --resume`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT, Suite
from tests.support.report_records import BROKEN, EMPTY, NO_WEIGHTS, SLICED, measured, not_run, successes
from vsg_core.cli import main as cli
from vsg_core.judge.claims import Claim
from vsg_core.records.files import read_record, write_archive, write_record
from vsg_core.records.record import ModelReference, Record
from vsg_core.runs.estimates import Estimates, duration_text

CLAIMS = """
@claim("It is", rule=rate(above=0.5), **ABOUT)
def test_one(lm, shared):
    return trials(shared)

@claim("It is not", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    return trials(2)

@claim("It is about chat", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
def test_chat(lm):
    return trials(2)

@claim("It is over all", rule=rate(above=0.5), **ABOUT)
def test_over(records):
    return trials(40)

@pytest.fixture
def shared(lm):
    return 30
"""


@pytest.fixture
def project(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(suite.pytester.path / "hub"))
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.records"]')
    suite.claims(CLAIMS)
    monkeypatch.chdir(suite.pytester.path)
    return suite


@pytest.fixture
def vsg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vsg", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code in (0, None), err
        return out

    return run


def states(out: str) -> dict[str, tuple[list[str], dict[str, list[str]], list[str]]]:
    return {
        each["model"]: (sorted(each["measured"]), each["stale"], sorted(each["missing"]))
        for each in json.loads(out)["models"]
    }


def test_it_says_what_resume_does(project: Suite, vsg) -> None:
    """Before any run, after one, and after a change: the same counts and reasons, per model."""
    target = str(project.model)
    assert states(vsg("status", "--json", "--model", target)) == {
        "tiny-random": ([], {}, ["chat", "one", "two"]),
        "across-models": ([], {}, ["over"]),
    }
    project.run()
    assert states(vsg("status", "--json", "--model", target)) == {
        "tiny-random": (["chat", "one", "two"], {}, []),
        "across-models": (["over"], {}, []),
    }
    path = project.pytester.path / "hypotheses" / "things.py"
    path.write_text(path.read_text().replace("return 30", "return 31").replace("test_two(", "test_second("))
    assert states(vsg("status", "--json", "--model", target)) == {
        "tiny-random": (["chat"], {"one": ["fixture shared changed"]}, ["second"]),
        "across-models": (["over"], {}, []),
    }
    result = project.run("--resume", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["resume: 1 kept, 3 to run: *fixture shared changed (1)*no record (1)*"])


def test_it_lists_every_model_with_records_and_says_what_to_type(project: Suite, vsg) -> None:
    """Here and with --claims and --reports from another folder; the time is that of the earlier record."""
    project.run()
    path = project.pytester.path / "hypotheses" / "things.py"
    path.write_text(path.read_text().replace("return trials(2)", "return trials(3)"))
    lines = [line.strip() for line in vsg("status").splitlines()]
    assert "tiny-random" in lines
    assert "1 measured, 2 stale, 0 missing" in lines
    assert "stale: claim changed (2)" in lines
    assert (
        f"to run: 2, about 1 s, and 1 of unknown duration: pytest --resume --model {project.model}" in lines
    )
    (project.pytester.path / "elsewhere").mkdir()
    elsewhere = ["--claims", "../hypotheses", "--reports", "../reports"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("elsewhere")
        found = [line.strip() for line in vsg("status", *elsewhere).splitlines()]
    options = f" {' '.join(elsewhere)}"
    assert found == [line + options if line.startswith("to run: ") else line for line in lines]


def test_a_record_without_a_finding_is_not_stale(project: Suite, vsg) -> None:
    """It is not run, or broken; a script finds it among the stale ones, as before, with the reason."""
    project.run()
    folder = project.pytester.path / "reports" / "records" / "tiny-random"
    causes = {"one": NO_WEIGHTS, "two": BROKEN}
    for claim, why in causes.items():
        record = read_record(folder / f"{claim}.json")
        made = not_run(EMPTY, 0, why)
        evidence, outcome = made.evidence, made.outcome
        write_record(record.model_copy(update={"evidence": evidence, "outcome": outcome}), folder.parent)
    lines = [line.strip() for line in vsg("status").partition("across-models")[0].splitlines()]
    assert lines[:2] == ["tiny-random", "1 measured, 0 stale, 0 missing, 1 not run, 1 broken"]
    assert lines[2].startswith("to run: 2, ")
    stale = {"one": ["not run before"], "two": ["broken"]}
    assert states(vsg("status", "--json"))["tiny-random"] == (["chat"], stale, [])


def test_its_command_measures_in_the_asked_way(project: Suite, vsg) -> None:
    """The command has the options that the keys were computed for."""
    given = ["--dtype", "bfloat16", "--device", "cpu", "--thinking", "on"]
    out = vsg("status", "--model", str(project.model), *given)
    assert f": pytest --resume --model {project.model} {' '.join(given)}\n" in out
    assert out.rstrip().endswith("pytest --resume -m across")


def test_a_folder_without_claims_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vsg", "status", "--claims", "mine"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    wrong = "vsg: there is no folder 'mine': give a folder of claims with --claims\n"
    assert capsys.readouterr() == ("", wrong)


def test_it_loads_no_torch(tmp_path: Path) -> None:
    """On the catalogue, every claim of which gets its key."""
    program = (
        "import sys; from vsg_core.cli.main import vsg; "
        "vsg.main(['status', '--device', 'cpu', '--reports', sys.argv[1]], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "0 measured, 0 stale, 5 missing" in done.stdout


SMALL = ModelReference(name="small", parameters=100, sha256="aa")
LARGE = ModelReference(name="large", parameters=1000, sha256="bb")


def timed(model: ModelReference, seconds: float, claim: Claim = EMPTY) -> Record:
    """A record of a claim on a model that took this time."""
    record = measured(claim, model, successes(38), SLICED)
    return record.model_copy(update={"run": record.run.model_copy(update={"seconds": seconds})})


def test_durations_are_those_of_the_model_else_of_the_nearest_in_size(tmp_path: Path) -> None:
    """Scaled by parameters; none where no record of the claim says anything."""
    for model, seconds in ((SMALL, 10.0), (LARGE, 50.0)):
        write_record(timed(model, seconds), tmp_path / "records")
    estimates, claim = Estimates.of(tmp_path), EMPTY.id
    assert estimates.seconds(claim, "small", None) == 10
    assert estimates.seconds(claim, "another", 150) == pytest.approx(15)
    assert estimates.seconds(claim, "another", 900) == pytest.approx(45)
    assert estimates.seconds(claim, "another", 3000) == pytest.approx(150)
    assert estimates.seconds(claim, "another", None) is None
    assert estimates.seconds("unheard of", "small", 100) is None
    assert estimates.seconds(claim, "large", 1000) == 50


def test_an_archive_has_durations_and_newer_files_count_before_it(tmp_path: Path) -> None:
    """A fresh clone has only the archive of its example, by which `--split` cuts evenly."""
    write_archive([timed(SMALL, 10.0), timed(LARGE, 50.0)], tmp_path / "records.zip")
    write_record(timed(SMALL, 20.0), tmp_path / "records")
    estimates = Estimates.of(tmp_path)
    assert [estimates.seconds(EMPTY.id, name, None) for name in ("small", "large")] == [20, 50]


def test_another_machine_gives_the_durations_that_are_missing(tmp_path: Path) -> None:
    """A fresh clone has no records of its own, but those of its example; later ones show how fast this machine is."""
    other = replace(EMPTY, id="other")
    example, own = tmp_path / "example", tmp_path / "reports"
    for claim in (EMPTY, other):
        write_record(timed(SMALL, 20.0, claim), example / "records")
    assert Estimates.of(own, example).seconds(EMPTY.id, "small", None) == 20
    write_record(timed(SMALL, 10.0), own / "records")
    estimates = Estimates.of(own, example)
    assert [estimates.seconds(claim.id, "small", None) for claim in (EMPTY, other)] == [10, 10]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (100, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_durations_as_text(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_command_repeats_what_the_status_is_of(project: Suite, vsg) -> None:
    """Else it would measure something else."""
    choices = ["--dtype", "bfloat16", "--thinking", "off", "--reports", "my reports"]
    lines = vsg("status", "--model", str(project.model), *choices)
    command = (
        f"pytest --resume --model {project.model} --dtype bfloat16 --thinking off --reports 'my reports'"
    )
    assert lines.rstrip().splitlines()[-1].endswith(command) or f"{command}\n" in lines
