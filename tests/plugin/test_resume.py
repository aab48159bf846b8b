"""`--resume`: what has a record under its present key is shown from it, everything else runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.conftest import Suite
from vsg_core.records import files
from vsg_core.records.files import read_record, read_reports, write_record

CLAIMS = '''
from pathlib import Path
from vsg_core import torch

@claim("It computes", rule=rate(above=0.5), **ABOUT)
def test_computes(lm):
    """The first words."""
    top = lm.next_logits(["the cat sat on a mat"] * 40).argmax(-1).tolist()
    return [Trial(f"prompt {i}", output=lm.token(token), success=True) for i, token in enumerate(top)]

@claim("It is refuted", rule=rate(above=0.5), **ABOUT)
def test_refuted(lm):
    return trials(2)

@claim("It needs a table", rule=rate(above=0.5), **ABOUT)
def test_needs(lm):
    raise NotApplicable("it has no table")

@claim("It is about chat", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
def test_chat(lm):
    return trials(20)

@claim("It is watched", rule=rate(above=0.5), **ABOUT)
def test_watched(lm, counted):
    return trials(counted)

@pytest.fixture
def counted(lm):
    return 30
'''


@pytest.fixture
def project(suite: Suite) -> Suite:
    suite.claims(CLAIMS)
    return suite


def edit(project: Suite, before: str, after: str, file: str = "things.py") -> None:
    path = project.pytester.path / "hypotheses" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def plan(result: pytest.RunResult) -> str:
    (line,) = [line for line in result.outlines if line.startswith("resume: ")]
    return line.removeprefix("resume: ")


def times(project: Suite) -> dict[str, int]:
    """The time at which each record was written."""
    return {path.stem: path.stat().st_mtime_ns for path in project.reports.glob("records/*/*.json")}


def evidence(project: Suite) -> list[bytes]:
    return [record.evidence_bytes for record in read_reports(project.reports)]


def forget_time(text: str) -> str:
    """A junit file without what differs between any two runs."""
    tree = ElementTree.fromstring(text)
    for suite in tree.iter("testsuite"):
        suite.attrib.pop("timestamp")
        suite.attrib.pop("time")
    for case in tree.iter("testcase"):
        case.attrib.pop("time")
    return ElementTree.tostring(tree, encoding="unicode")


def test_everything_is_kept_and_shown_as_in_a_whole_run(project: Suite, tmp_path: Path) -> None:
    """Outcomes, skips with their reasons and places, junit and exit code are the same, and no model is loaded."""
    whole = project.run("-v", "-rs", "--junitxml", "whole.xml")
    before = times(project)
    (project.pytester.path / "conftest.py").write_text(
        'pytest_plugins = ["vsg_core.plugin", "fixtures.models"]\n'
        "def pytest_fixture_setup(fixturedef):\n    raise RuntimeError(fixturedef.argname)\n"
    )
    # A hook of conftest.py is part of every key.
    assert plan(project.run("--resume", "--collect-only")) == "0 kept, 5 to run: conftest is new (5)"
    (project.pytester.path / "conftest.py").write_text(
        'pytest_plugins = ["vsg_core.plugin", "fixtures.models"]\n'
    )
    # A plugin that is not of the project.
    (tmp_path / "no_setup.py").write_text(
        "def pytest_fixture_setup(fixturedef):\n    raise RuntimeError(fixturedef.argname)\n"
    )
    project.pytester.syspathinsert(tmp_path)
    kept = project.run("-v", "-rs", "--junitxml", "kept.xml", "--resume", "-p", "no_setup")
    assert plan(kept) == "5 kept, 0 to run"
    assert kept.ret == whole.ret == 0
    shown = [
        [line for line in run.outlines if line.startswith(("SKIPPED", "hypotheses"))] for run in (whole, kept)
    ]
    assert shown[0] == shown[1]
    folder = project.pytester.path
    assert forget_time((folder / "whole.xml").read_text()) == forget_time((folder / "kept.xml").read_text())
    assert times(project) == before


def test_the_report_has_the_order_of_a_whole_run(project: Suite, tmp_path: Path) -> None:
    """A claim that is measured again is where its file has it, not last."""
    project.run()
    edit(project, '"the cat sat on a mat"', '"a cat"')
    project.run("--resume")
    project.run("--reports", tmp_path)
    rows = [json.loads((folder / "claims.json").read_text()) for folder in (project.reports, tmp_path)]
    names = [row["claim"] for row in rows[0]]
    assert names == ["computes", "refuted", "needs", "chat", "watched"]
    assert rows[0] == rows[1]


def test_the_time_of_a_kept_claim_is_that_of_its_run(project: Suite) -> None:
    project.run()
    project.run("--resume", "--junitxml", "kept.xml")
    tree = ElementTree.parse(project.pytester.path / "kept.xml")
    shown = {case.attrib["name"]: float(case.attrib["time"]) for case in tree.iter("testcase")}
    for name in ("computes", "refuted"):
        seconds = project.record(name).run.seconds
        assert seconds is not None
        assert shown[f"test_{name}[tiny-random]"] == pytest.approx(seconds, abs=0.02)


def test_the_end_of_a_run_counts_no_time_of_kept_claims(project: Suite) -> None:
    """Nor does it name letters as those of claims that ran, if none did."""
    project.run()
    kept = project.run("--resume")
    kept.stdout.no_fnmatch_line("claims took*")
    kept.stdout.no_fnmatch_line("while it ran:*")
    kept.stdout.fnmatch_lines(["kept, from records:  h holds  r refuted  s not run"])
    edit(project, '"the cat sat on a mat"', '"a cat"')
    partly = project.run("--resume").stdout
    run = project.record("computes").run
    partly.fnmatch_lines(
        ["while it ran:*", f"claims took {run.seconds:.1f} s, * {run.forward_seconds:.1f} s of *"]
    )


@pytest.mark.parametrize(
    ("before", "after", "stale", "line"),
    [
        ("return trials(2)", "return trials(3)", {"refuted"}, "4 kept, 1 to run: claim changed (1)"),
        ("return 30", "return 31", {"watched"}, "4 kept, 1 to run: fixture counted changed (1)"),
        ('"It is refuted", rule=rate(above=0.5)', '"It is refuted", rule=rate(above=0.6)', {"refuted"},
         "4 kept, 1 to run: rule changed (1)"),
        ('"It is refuted", rule', '"It is refuted", seed=3, rule', {"refuted"},
         "4 kept, 1 to run: seed changed (0 to 3) (1)"),
        ("successes, of=40", "successes, of=41", {"refuted", "chat", "watched"},
         "2 kept, 3 to run: claim changed (3)"),
    ],
)  # fmt: skip
def test_only_what_changed_runs(project: Suite, before: str, after: str, stale: set[str], line: str) -> None:
    """The reason is said; the records of the others stay as they are."""
    project.run()
    written = times(project)
    edit(project, before, after)
    assert plan(project.run("--resume")) == line
    now = times(project)
    assert {name for name in now if now[name] != written[name]} == stale
    assert plan(project.run("--resume")) == "5 kept, 0 to run"


def test_words_change_nothing_measured_and_are_shown_in_their_present_form(project: Suite) -> None:
    """A statement, a docstring and a comment are not part of the key; the record gets the present ones."""
    project.run()
    before = project.record("computes")
    edit(project, "It computes", "It can compute")
    edit(project, "The first words.", "Other words.")
    edit(project, "    top = lm", "    # A remark.\n\n    top = (lm")
    edit(project, "argmax(-1).tolist()", "argmax(-1)\n    .tolist())")
    assert plan(project.run("--resume")) == "5 kept, 0 to run"
    after = project.record("computes")
    assert (after.claim.statement, after.claim.docstring) == ("It can compute", "Other words.")
    assert (after.evidence, after.run, after.key) == (before.evidence, before.run, before.key)


def test_a_recorded_verdict_that_changed_meanwhile_is_compared_again(project: Suite) -> None:
    """A kept claim whose recorded verdict differs now fails, with the exit code of changed verdicts."""
    project.run("--record")
    recorded = project.recorded()
    recorded.write_text(recorded.read_text().replace('verdict = "refuted"', 'verdict = "holds"', 1))
    whole, kept = project.run("--reports", "apart"), project.run("--resume")
    assert whole.ret == kept.ret == 10
    assert plan(kept) == "5 kept, 0 to run"
    message = "*refuted on tiny-random: changed: was holds*"
    whole.stdout.fnmatch_lines([message])
    kept.stdout.fnmatch_lines([message])
    assert project.record("refuted").outcome == "changed"


def test_a_kept_failure_ends_the_run_under_x_and_counts_for_maxfail(project: Suite) -> None:
    project.run("--record")
    recorded = project.recorded()
    recorded.write_text(recorded.read_text().replace('verdict = "refuted"', 'verdict = "holds"', 1))
    for option in ("-x", "--maxfail=1"):
        result = project.run("--resume", option)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_require_models_fails_a_kept_claim_that_does_not_apply(project: Suite) -> None:
    whole, kept = project.run("--require-models"), project.run("--require-models", "--resume")
    assert plan(kept) == "5 kept, 0 to run"
    assert whole.parseoutcomes() == kept.parseoutcomes()
    kept.stdout.fnmatch_lines(["*test_needs*did not run: not applicable: it has no table*"])


def test_record_accepts_kept_verdicts_too(project: Suite) -> None:
    project.run()
    assert plan(project.run("--resume", "--record")) == "5 kept, 0 to run"
    accepted = project.recorded().read_text()
    project.recorded().unlink()
    project.run("--record", "--reports", "apart")
    assert project.recorded().read_text() == accepted


def test_selections_keep_what_they_select(project: Suite) -> None:
    """-k, -m, --lf and --dtype choose as without --resume; another dtype is another key."""
    project.run()
    assert plan(project.run("--resume", "-k", "refuted or needs")) == "2 kept, 0 to run"
    assert plan(project.run("--resume", "-m", "base")) == "5 kept, 0 to run"
    changed = project.run("--resume", "-k", "computes", "--dtype", "bfloat16")
    assert plan(changed) == "0 kept, 1 to run: dtype changed (float32 to bfloat16) (1)"
    assert project.record("computes").evidence.dtype == "bfloat16"
    edit(project, "return trials(2)", "raise ValueError(2)")
    project.run("--resume", "-k", "refuted")
    assert plan(project.run("--resume", "--lf")) == "0 kept, 1 to run: broken (1)"


def test_other_weights_are_another_key(project: Suite, other_llama: Path) -> None:
    project.run("-k", "refuted")
    project.model = None
    other = project.run("--resume", "-k", "refuted", "--model", other_llama)
    assert plan(other) == "0 kept, 1 to run: no record (1)"


def test_claims_that_run_in_several_files_with_kept_ones_between(project: Suite) -> None:
    """A file's fixtures are torn down when the run leaves the file, as in a whole run."""
    module = """
        @pytest.fixture(scope="module", autouse=True)
        def opened():
            print("OPENED {0}")
            yield
            print("CLOSED {0}")

        @claim("It runs", rule=rate(above=0.5), **ABOUT)
        def test_runs_{0}(lm):
            return trials(CHANGED)

        @claim("It is kept", rule=rate(above=0.5), **ABOUT)
        def test_kept_{0}(lm):
            return trials(30)

        CHANGED = 30
        """
    for name in ("aaa", "zzz"):
        project.claims(module.format(name), f"{name}.py")
    project.run()
    for name in ("aaa", "zzz"):
        edit(project, "CHANGED = 30", "CHANGED = 31", f"{name}.py")
    result = project.run("--resume", "-s", "-v")
    assert plan(result) == "7 kept, 2 to run: claim changed (2)"
    assert result.ret == 0
    said = re.findall("OPENED ...|CLOSED ...", "\n".join(result.outlines))
    assert said == ["OPENED aaa", "CLOSED aaa", "OPENED zzz", "CLOSED zzz"]


def test_a_model_of_which_nothing_ran_is_not_looked_at(project: Suite) -> None:
    """Its microscope stays; where the last claims of a model are kept, it is taken after the last that ran."""
    project.run()
    (path,) = project.reports.glob("microscope/*")
    path.unlink()
    project.run("--resume")
    assert not path.exists()
    edit(project, "return trials(2)", "return trials(3)")
    project.run("--resume")
    assert path.exists()


def test_what_said_nothing_about_the_model_runs_again(project: Suite) -> None:
    """A broken claim and a skipped one have no finding to keep."""
    edit(project, "return trials(2)", "raise ValueError('no')")
    edit(project, "return 30", "pytest.skip('today')")
    project.run()
    result = project.run("--resume")
    assert plan(result) == "3 kept, 2 to run: broken (1), not run before (1)"


def test_marks_that_decide_each_time_are_asked_each_time(project: Suite) -> None:
    edit(
        project,
        '@claim("It is refuted"',
        "@pytest.mark.skipif(False, reason='never')\n@claim(\"It is refuted\"",
    )
    project.run()
    assert plan(project.run("--resume")) == "4 kept, 1 to run: marked skipif (1)"


def test_the_plan_is_printed_without_a_run(project: Suite) -> None:
    project.run()
    edit(project, "return trials(2)", "return trials(3)")
    result = project.run("--resume", "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "resume: 4 kept, 1 to run: claim changed (1)",
            "*test_computes*: kept",
            "*test_refuted*: to run: claim changed",
        ]
    )


def test_several_processes_are_refused_in_one_line(project: Suite) -> None:
    result = project.run_apart("--resume", "-n", "2", "hypotheses")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        "ERROR: claims run in one process, so that each model is loaded once: "
        "leave out -n (pytest-xdist), or add -n 0; --on local:N runs the models in N processes"
    ]


def test_a_record_without_a_key_is_stale(project: Suite) -> None:
    project.run("-k", "refuted")
    (path,) = project.reports.glob("records/*/refuted.json")
    write_record(read_record(path).model_copy(update={"key": None}), project.reports / "records")
    assert (
        plan(project.run("--resume", "-k", "refuted")) == "0 kept, 1 to run: made before records had keys (1)"
    )
    path.write_text("{")
    assert plan(project.run("--resume", "-k", "refuted")) == "0 kept, 1 to run: its record is damaged (1)"


def test_records_that_killed_workers_left_are_adopted(project: Suite) -> None:
    """Those of a present key move to an empty or stale place; others stay where they are."""
    project.run()
    shard = project.reports / "shards" / "tiny-random" / "records"
    shard.mkdir(parents=True)
    (project.reports / "records" / "tiny-random").rename(shard / "tiny-random")
    edit(project, "return trials(2)", "return trials(3)")
    assert plan(project.run("--resume")) == "4 kept, 1 to run: no record (1)"
    assert [path.stem for path in shard.glob("*/*.json")] == ["refuted"]
    assert len(list(project.reports.glob("records/tiny-random/*.json"))) == 5


def test_killed_at_any_moment_the_same_command_goes_on(project: Suite) -> None:
    """Twice kill -9 inside a claim, then the end: the evidence of one whole run, and nothing is measured twice.

    The temporary file of a process that is gone is removed.
    """
    for name in ("refuted", "watched"):
        edit(project, f"def test_{name}(lm", f"def test_{name}(lm, slow")
    conftest = project.pytester.path / "conftest.py"
    # Its name is computed, so that it is not in the keys.
    slow = "def slow():\n    time.sleep(float(os.environ.get('SLOW_'[:4], 0)))\n"
    conftest.write_text(f"{conftest.read_text()}\nimport os, time, pytest\n\n@pytest.fixture\n{slow}")
    assert project.run("--reports", "whole").ret == 0
    written: dict[str, int] = {}
    command = [sys.executable, "-m", "pytest", "--model", str(project.model), "--resume"]
    environment = {**os.environ, "SLOW": "2", "OMP_NUM_THREADS": "1"}
    for count in (1, 4):
        process = subprocess.Popen(
            command, cwd=project.pytester.path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        wait_for_records(project, count, process)
        process.kill()
        process.wait()
        now = times(project)
        assert len(now) == count
        assert {name: now[name] for name in written} == written
        written = now
    stray = project.reports / "records" / "tiny-random" / f".watched.json.{files._HOST}-{process.pid}.abc"
    stray.write_text("half")
    assert plan(project.run("--resume")) == "4 kept, 1 to run: no record (1)"
    assert not stray.exists()
    whole = read_reports(project.pytester.path / "whole")
    assert evidence(project) == [record.evidence_bytes for record in whole]


def wait_for_records(project: Suite, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has written this number of records."""
    end = time.monotonic() + 60
    while len(times(project)) < count:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def test_claims_across_models_are_judged_again_when_a_record_changed(two_models: Suite) -> None:
    """They are last, and rest on all records of claims on single models."""
    assert plan(two_models.run("--resume")) == "0 kept, 3 to run: no record (3)"
    assert plan(two_models.run("--resume")) == "3 kept, 0 to run"
    edit(two_models, "READS = 10", "READS = 12")
    result = two_models.run("--resume", "-v")
    assert plan(result) == "0 kept, 3 to run: claim changed (2), follows the claims on single models (1)"
    first = two_models.record("counts_records").run.started
    edit(two_models, "READS = 12", "READS = 12  # the same")
    assert plan(two_models.run("--resume")) == "3 kept, 0 to run"
    assert two_models.record("counts_records").run.started == first


@pytest.fixture
def two_models(suite: Suite, other_llama: Path) -> Suite:
    """Two models, a claim on each, and one across them."""
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.records"]')
    suite.claims("""
        READS = 10

        @claim("It reads", rule=rate(above=0.2), **ABOUT)
        def test_reads(lm):
            return trials(READS)

        @claim("There are records", rule=rate(above=0.2), **ABOUT)
        def test_counts_records(records):
            found = records._measured(None)
            records.used += [record for each in found.values() for record in each.values()]
            return trials(sum(len(record.evidence.trials) for record in records.used))
        """)
    given = suite.run
    object.__setattr__(suite, "run", lambda *arguments: given("--model", other_llama, *arguments))
    return suite


def test_options_of_the_plan_in_json_are_plain(project: Suite) -> None:
    """The key in a record's file is its digest and its parts, texts all."""
    project.run("-k", "watched")
    (path,) = project.reports.glob("records/*/watched.json")
    key = json.loads(path.read_text())["key"]
    assert re.fullmatch("[0-9a-f]{16}", key["digest"])
    assert {"claim", "fixture counted", "fixture lm", "generator", "judge", "weights", "dtype"} <= key[
        "parts"
    ].keys()
    assert all(isinstance(value, str) for value in key["parts"].values())


def test_fixtures_that_only_pytest_finds_are_in_the_key(project: Suite) -> None:
    """One whose decorator has another name, and one that pytest.ini asks for."""
    folder = project.pytester.path
    conftest = (folder / "conftest.py").read_text() + "\nfrom helpers import *\n"
    (folder / "conftest.py").write_text(conftest)
    helpers = "from pytest import fixture as shared\n\n@shared\ndef seeded():\n    return {}\n"
    (folder / "helpers.py").write_text(helpers.format(1))
    ini = (folder / "pytest.ini").read_text()
    (folder / "pytest.ini").write_text(ini.replace("[pytest]", "[pytest]\nusefixtures = seeded"))
    project.run("-k", "refuted")
    assert plan(project.run("--resume", "-k", "refuted", "--collect-only")) == "1 kept, 0 to run"
    (folder / "helpers.py").write_text(helpers.format(2))
    again = plan(project.run("--resume", "-k", "refuted", "--collect-only"))
    assert again == "0 kept, 1 to run: fixture seeded changed (1)"


def test_an_option_of_ones_own_that_a_claim_reads_is_in_its_key(project: Suite) -> None:
    conftest = project.pytester.path / "conftest.py"
    option = "def pytest_addoption(parser):\n    parser.addoption('--size-of-it', type=int, default=0)\n"
    conftest.write_text(f"{conftest.read_text()}\n{option}")
    edit(
        project,
        "def counted(lm):\n    return 30",
        "def counted(lm, pytestconfig):\n    return 30 + pytestconfig.getoption('--size-of-it')",
    )
    project.run("--size-of-it=1")
    assert plan(project.run("--resume", "--collect-only", "--size-of-it=1")) == "5 kept, 0 to run"
    again = plan(project.run("--resume", "--collect-only", "--size-of-it=2"))
    assert again == "4 kept, 1 to run: option size_of_it changed (1)"
