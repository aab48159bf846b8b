"""The results of a run: records, reports, recorded verdicts, and models that are released."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from xml.etree import ElementTree

import pytest
import torch

from tests.support.ledgers import freeze_of, line_of, register
from vsg_core.generator.engine import Identity, TransformersEngine
from vsg_core.report.view.origins import command
from vsg_core.weights.products import onednn_is_faster

TWO = """
@claim("It mostly works", rule=rate(above=0.5), **ABOUT)
def test_one(lm):
    return trials(38)

@claim("It never works", rule=rate(below=0.5), **ABOUT)
def test_two(lm):
    {}
"""


def test_the_reports_are_written_and_named(suite):
    suite.claims(suite.rate_claim(38))
    result = suite.run()
    result.stdout.fnmatch_lines(["claim report: reports/claims.html"])
    rows = json.loads((suite.reports / "claims.json").read_text())
    assert [(row["claim"], row["model"], row["verdict"]) for row in rows] == [("one", "tiny-random", "holds")]
    for name in ("claims.html", "summary.md", "claims.csv"):
        assert "It mostly works" in (suite.reports / name).read_text()


def test_the_reports_go_to_the_given_folder(suite, tmp_path):
    suite.claims(suite.rate_claim(38))
    suite.run("--reports", tmp_path / "elsewhere")
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} >= {
        "claims.html",
        "pytest.html",
        "records",
    }
    assert not suite.reports.exists()


def test_without_claims_there_are_no_reports(suite):
    suite.claims(suite.rate_claim(38))
    suite.pytester.makepyfile(test_plain="def test_plain():\n    pass\n")
    suite.run("test_plain.py").assert_outcomes(passed=1)
    suite.run("--collect-only")
    assert not suite.reports.exists()


def test_the_provenance_of_a_record(suite):
    suite.claims("""
        @pytest.fixture(scope="session")
        def logits(lm):
            return lm.next_logits([lm.embed_text("the cat")] * 2)

        @claim("It mostly works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm, logits):
            return trials(38)

        @claim("It mostly works", rule=rate(above=0.5), **ABOUT)
        def test_two(lm, logits):
            return trials(38)
        """)
    result = suite.run("--dtype", "float32", "--device", "cpu")
    record = suite.record("one")
    first, second = record.run, suite.record("two").run
    assert (record.evidence.dtype, record.evidence.engine) == ("float32", "transformers")
    kernels = [torch.backends.cpu.get_cpu_capability(), *(["oneDNN"] if onednn_is_faster() else [])]
    assert first.device == f"cpu ({', '.join(kernels)})"
    assert len(record.model.sha256) == 64
    assert first.versions["torch"].startswith("2.")
    assert (first.engine["name"], first.engine["form"]) == ("transformers", "F32")
    assert first.engine["version"] == first.versions["transformers"]
    assert (first.commit, first.dirty) == (None, None), "pytester's folder is not a repository"
    assert first.forward_passes >= 1, "a fixture's forward passes count for the claim that requested it first"
    assert 0 < first.forward_seconds <= first.seconds < 30
    assert second.forward_passes == 0
    result.stdout.fnmatch_lines(["claims took * s, * times the * s of their forward passes"])


def test_a_record_names_the_engine(suite, monkeypatch):
    other = Identity("other", "9.1", "Q4_K_M", "float32", 2, "AVX2")
    monkeypatch.setattr(TransformersEngine, "identity", other)
    suite.claims(TWO.format("raise NotApplicable('no')"))
    suite.run()
    for name in ("one", "two"):
        record = suite.record(name)
        assert record.evidence.engine == "other"
        assert record.run.engine == {**vars(other), "threads": "2"}
        assert (record.run.versions["other"], record.run.versions["torch"][:2]) == ("9.1", "2.")


def test_a_killed_run_keeps_finished_records(suite):
    suite.claims(TWO.format("import os; os._exit(9)"))
    assert suite.run_apart().ret == 9
    assert suite.record("one").verdict == "holds"


def test_record_replaces_only_verdicts_that_ran(suite):
    suite.claims(TWO.format("return trials(2)"))
    suite.run("--record")
    reviewed = "# reviewed by hand\n" + suite.recorded().read_text().replace("[two]", "[two]  # sure?")
    suite.recorded().write_text(reviewed + '\n[gone]\nverdict = "holds"\nrule = "of old"\nweights = "00"\n')
    suite.claims(suite.rate_claim(2))
    result = suite.run("--record", "-k", "test_one")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["recorded 1 verdict of tiny-random in hypotheses/recorded/tiny-random.toml"])
    now = suite.recorded().read_text()
    for kept in ("# reviewed by hand", "[two]  # sure?", "[gone]", '[one]\nverdict = "refuted"'):
        assert kept in now


def test_record_counts_what_it_changes(suite):
    place = "tiny-random in hypotheses/recorded/tiny-random.toml"
    suite.claims(TWO.format("return trials(2)"))
    suite.run("--record").stdout.fnmatch_lines([f"recorded 2 verdicts of {place}"])
    suite.run("--record").stdout.fnmatch_lines([f"unchanged: 2 verdicts of {place}"])
    suite.claims(TWO.format("return trials(3)"))
    suite.run("--record").stdout.fnmatch_lines([f"recorded 1 verdict of {place}; 1 unchanged"])


@pytest.mark.parametrize(
    ("body", "arguments", "why", "code"),
    [
        ("1 / 0", [], "two on tiny-random broke", 1),
        ("raise KeyboardInterrupt", [], "the run was cut short", 2),
        ("pytest.exit('enough')", [], "the run was cut short", 2),
    ],
)
def test_record_refuses_a_broken_or_interrupted_run(suite, body, arguments, why, code):
    suite.claims(TWO.format(body))
    result = suite.run("--record", *arguments)
    assert result.ret == code
    result.stdout.fnmatch_lines([f"nothing recorded: {why}*"])
    assert not (suite.pytester.path / "hypotheses" / "recorded").exists()
    assert suite.record("one").verdict == "holds"


def test_record_refuses_a_run_that_stopped_at_a_failure(suite):
    suite.claims("def test_0():\n    assert False\n" + TWO.format("return trials(2)"))
    result = suite.run("--record", "--maxfail=1")
    assert result.ret == 1
    assert not (suite.pytester.path / "hypotheses" / "recorded").exists()


def test_a_claim_that_does_not_apply_is_recorded_only_once_judged(suite):
    suite.claims("""
        COPIES = {"copies": rate(above=0.5)}

        @claim("It cannot", rule=rate(below=0.5), positive_controls=COPIES, **ABOUT)
        def test_one(lm):
            return Evidence(trials(0), {"copies": trials(1)})

        @claim("Chat works", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
        def test_two(lm):
            return trials(40)
        """)
    suite.run("--record").assert_outcomes(skipped=2)
    accepted = suite.recorded().read_text()
    assert '[one]\nverdict = "not run"' in accepted
    assert "[two]" not in accepted
    suite.run().assert_outcomes(skipped=2)
    suite.claims("""
        COPIES = {"copies": rate(above=0.5)}

        @claim("It cannot", rule=rate(below=0.5), positive_controls=COPIES, **ABOUT)
        def test_one(lm):
            return Evidence(trials(0), {"copies": trials(40)})
        """)
    result = suite.run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["one on tiny-random: changed: was not run *; now holds*"])


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_the_test_report_has_columns_and_is_escaped(suite):
    suite.claims(
        TWO.format(f"raise ValueError({HOSTILE!r})")
        + f"\n@pytest.mark.parametrize('x', [{HOSTILE!r}])\ndef test_hostile(x):\n    assert not x, x\n"
    )
    suite.run()
    page = (suite.reports / "pytest.html").read_text()
    assert HOSTILE not in page
    assert "http" not in re.sub(r"https?://(pypi|www\.w3)\S*", "", page.partition("<script")[0]), (
        "self-contained"
    )
    (blob,) = re.findall(r'data-jsonblob="([^"]*)"', page)
    blob = json.loads(html.unescape(blob))
    rows = {name: tests[-1] for name, tests in blob["tests"].items()}
    one = next(test for name, test in rows.items() if "test_one" in name)
    cells = [re.sub("<.*?>", "", cell) for cell in one["resultsTableRow"]]
    assert cells[0] == "Passed"
    assert cells[2:6] == ["one", "tiny-random", "holds", "0.95"]
    for test in rows.values():
        assert "<script" not in "".join(test["resultsTableRow"]) + test["log"] + test["testId"]
        assert "<img" not in "".join(test["resultsTableRow"]) + test["log"] + test["testId"]
    assert all(f">{name}</th>" in page for name in ("Claim", "Model", "Verdict", "Estimate"))


def test_junit_has_the_verdicts(suite, tmp_path):
    suite.claims(suite.rate_claim(38))
    suite.run(f"--junit-xml={tmp_path / 'junit.xml'}")
    properties = ElementTree.parse(tmp_path / "junit.xml").iter("property")
    stored = {each.get("name"): each.get("value") for each in properties}
    ends = suite.record("one").evidence.interval
    assert stored == {
        "claim": "one",
        "model": "tiny-random",
        "verdict": "holds",
        "outcome": "new",
        "estimate": "0.95",
        "interval_low": str(ends[0]),
        "interval_high": str(ends[1]),
        "n": "40",
    }


def test_junit_of_a_claim_that_did_not_run_has_no_numbers(suite, tmp_path):
    suite.claims("""
        @claim("Chat works", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
        def test_one(lm):
            return trials(40)
        """)
    suite.run(f"--junit-xml={tmp_path / 'junit.xml'}")
    stored = {each.get("name") for each in ElementTree.parse(tmp_path / "junit.xml").iter("property")}
    assert stored == {"claim", "model", "verdict", "outcome"}


FORGETFUL = """
import gc
import weakref
KEPT = {}

def remember(lm):
    KEPT[lm.name] = [weakref.ref(lm), *map(weakref.ref, lm.engine.model.parameters())]

@pytest.fixture(scope="session")
def shared(lm):
    return lm.embed_text("the cat")

@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_a_broken(lm, shared):
    remember(lm)
    secret = [lm, shared]
    1 / 0

@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_b_changed(lm, shared):
    return trials(2)

@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_c_no_model_of_before(lm, shared):
    gc.collect()
    before = [name for name in KEPT if name != lm.name]
    alive = [name for name in before if any(ref() is not None for ref in KEPT[name])]
    assert not alive, alive
    return trials(40 if before else 0)
"""


def test_a_model_is_released_before_the_next_is_loaded(suite, other_llama):
    suite.claims(FORGETFUL.replace("return trials(2)", "return trials(38)"))
    suite.run("--model", other_llama, "-k", "changed", "--record")
    suite.claims(FORGETFUL)
    result = suite.run("--model", other_llama, "-v")
    result.stdout.fnmatch_lines(
        [
            "*test_a_broken?tiny-random? BROKEN*",
            "*test_b_changed?tiny-random? CHANGED*",
            "*test_c_no_model_of_before?tiny-random? refuted*",
            "*test_a_broken?other-random? BROKEN*",
            "*test_b_changed?other-random? CHANGED*",
            "*test_c_no_model_of_before?other-random? holds*",
        ]
    )
    assert result.ret == 1


def test_the_command_on_the_page_measures_that_cell_and_no_other(suite):
    """Run from a shell, it measures one of three claims with similar ids, on the same model and in the same dtype."""
    suite.claims("".join(suite.rate_claim(38, name=name) for name in ("one", "one_more", "another_one")))
    suite.run("--dtype", "bfloat16").assert_outcomes(passed=3)
    words = shlex.split(command(suite.record("one")))
    suite.model = None
    shutil.rmtree(suite.reports)
    suite.run(*words[1:]).assert_outcomes(passed=1, deselected=2)
    assert suite.record("one").evidence.dtype == "bfloat16"


def test_an_identity_is_counted_apart_and_stored_as_one(suite):
    suite.claims(suite.rate_claim(38).replace("rule=", "identity=True, rule="))
    result = suite.run()
    result.stdout.fnmatch_lines(["1 of 1 verdict of 1 identity hold, on 1 model", "The harness is sound: *"])
    result.stdout.no_fnmatch_line("*survives Holm*")
    assert suite.record("one").claim.status == "identity"


def test_the_terminal_names_no_rehearsal_but_what_was_confirmed(suite):
    """A rehearsal is on the page alone: in the terminal it would read as if this run were one."""
    suite.claims(suite.rate_claim(38))
    suite.run()
    record = suite.record("one")
    claims = suite.pytester.path / "hypotheses"
    for name, note in (("rehearsal", "Rehearsal."), ("primary-1", "")):
        register(claims, freeze_of(name, [record], note=note), [line_of(record)])
    result = suite.run()
    result.stdout.no_fnmatch_line("*has rehearsed*")
    result.stdout.fnmatch_lines(["1 claim was registered in primary-1 *"])
    assert "rehearsed how claims are confirmed: 1 claim on" in (suite.reports / "claims.html").read_text()
