"""Claims across models, run through pytest itself: when they run, which records they read, how they are reported."""

from __future__ import annotations

import json
import shutil

import pytest
from huggingface_hub import constants

from vsg_core.records.files import read_record
from vsg_core.records.record import NotRun
from vsg_core.weights import registry

REVISIONS = {"small": "a" * 40, "large": "b" * 40, "large, retrained": "c" * 40}
MODEL = """
[[model]]
name = "{name}"
family = "{family}"
series = "tiny"
kind = "base"
parameters = {parameters}
sources = [{{ kind = "hub", repo = "nobody/{name}", revision = "{revision}" }}]
"""
READS = {"small": 5, "large": 35}
ACROSS = """
@claim("More is more", rule=difference(above=0.05), **ABOUT)
def test_larger_reads_more(records):
    from vsg_core.records.across import SIZE
    (pair,) = records.pairs(SIZE, ["reads"])
    small, large = (record.evidence.trials for record in pair.records["reads"])
    return [Trial(a.prompt, value=b.success - a.success) for a, b in zip(small, large)]
"""


@pytest.fixture
def two_sizes(suite, tiny_llama, other_llama, tmp_path, monkeypatch):
    """Build a suite whose registry has two tiny models of one series in the hub's cache, with two claims.

    One claim is judged on each model, the other across them.
    """
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for name, folder in (("small", tiny_llama), ("large", other_llama), ("large, retrained", tiny_llama)):
        cached = tmp_path / f"models--nobody--{name.partition(',')[0]}" / "snapshots" / REVISIONS[name]
        shutil.copytree(folder, cached)
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.toml")
    register(REVISIONS["large"])
    suite.model = None
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.records"]')
    suite.claims(ACROSS, "a_comes_first.py")
    suite.claims(f"""
        @claim("It reads", rule=rate(above=0.2), **ABOUT)
        def test_reads(lm):
            return trials({READS}[lm.name])
        """)
    return suite


def register(large):
    """Write the registry with this revision of the larger model, and clear what was read of it before."""
    models = [
        MODEL.format(name="small", family="one", parameters=1_000_000, revision=REVISIONS["small"]),
        MODEL.format(name="large", family="two", parameters=3_000_000, revision=large),
    ]
    registry.REGISTRY.write_text("".join(models))
    registry._read.cache_clear()


def collected(suite, *arguments):
    return [
        line.partition("::")[2]
        for line in suite.run("--collect-only", "-q", *arguments).outlines
        if "::" in line
    ]


def test_it_is_judged_once_on_the_records_of_this_run(two_sizes):
    """It runs after both models, although its file comes first; the record lists its source records and their dates."""
    result = two_sizes.run("-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*test_reads?small?*", "*test_reads?large?*", "*test_larger_reads_more?across-models? holds, new*"]
    )
    record = two_sizes.record("larger_reads_more")
    assert record.model.name == "across-models"
    assert record.evidence.estimate == 30 / 40
    rests_on = record.run.records
    assert [(used.claim, used.model, used.weights) for used in rests_on] == [
        ("reads", "small", "a" * 40),
        ("reads", "large", "b" * 40),
    ]
    dates = [read_record(path).run.started for path in two_sizes.reports.glob("records/*/reads.json")]
    assert sorted(used.started for used in rests_on) == sorted(dates)
    assert record.evidence.dtype == "float32"


def test_the_reports_show_it(two_sizes):
    """It is in claims.json, on the page and among the accepted verdicts, under the name across-models."""
    two_sizes.run("--record")
    rows = json.loads((two_sizes.reports / "claims.json").read_text())
    assert ("larger_reads_more", "across-models", "holds") in [
        (r["claim"], r["model"], r["verdict"]) for r in rows
    ]
    page = (two_sizes.reports / "claims.html").read_text()
    assert "More is more" in page
    assert "records/across-models/larger_reads_more.json" in page
    accepted = (two_sizes.pytester.path / "hypotheses" / "recorded" / "across-models.toml").read_text()
    assert f'weights = "large {"b" * 40}, small {"a" * 40}"' in accepted


def test_different_weights_of_one_of_its_models_are_not_comparable(two_sizes):
    """The recorded verdict belongs to the weights of all its models; with the same weights it is compared."""
    two_sizes.run("--record")
    two_sizes.run("-m", "across", "-v").stdout.fnmatch_lines(
        ["*test_larger_reads_more?across-models? holds *"]
    )
    register(REVISIONS["large, retrained"])
    result = two_sizes.run("-v")
    # The other warning is about the claim on the larger model itself.
    result.assert_outcomes(passed=3, warnings=2)
    result.stdout.fnmatch_lines(
        ["*larger_reads_more on across-models: not comparable: the recorded verdict is of different weights*"]
    )


@pytest.mark.parametrize(
    "options", [["-m", "one"], ["--model", "small", "--require-models"], ["-m", "across"]]
)
def test_without_the_records_it_is_not_run_and_does_not_fail(two_sizes, monkeypatch, options):
    """The same applies in continuous integration and with --require-models; the command to run is given."""
    two_sizes.run("--model", "small", "-k", "test_reads", "--record")
    monkeypatch.setenv("CI", "true")
    result = two_sizes.run("-rs", *options)
    assert result.ret == 0
    result.assert_outcomes(skipped=1, passed=0 if "across" in options else 1)
    record = two_sizes.record("larger_reads_more")
    assert (record.verdict, record.outcome) == ("not run", "not run")
    assert record.not_run == NotRun(
        cause="records",
        reason="needs records of reads on two models of one series: a smaller and a larger model",
        command="pytest --model small --model large",
    )


def test_records_made_under_different_rules_are_not_compared(two_sizes):
    """A record made before a change of the claim is not paired with one made after it."""
    two_sizes.run("--model", "small")
    changed = (two_sizes.pytester.path / "hypotheses" / "things.py").read_text().replace("0.2", "0.3")
    (two_sizes.pytester.path / "hypotheses" / "things.py").write_text(changed)
    two_sizes.run("--model", "large").assert_outcomes(skipped=1, passed=1)
    assert (
        "those of small and large were made under different rules"
        in two_sizes.record("larger_reads_more").reason
    )


def test_it_is_selected_with_any_family_or_kind_and_by_its_own_marker(two_sizes):
    """It comes last, and once. Named models include it as well, other markers do not."""
    across = "test_larger_reads_more[across-models]"
    for options in (["-m", "one"], ["-m", "one and base"], ["--model", "small"]):
        assert collected(two_sizes, *options) == ["test_reads[small]", across], options
    assert collected(two_sizes, "-m", "across") == [across]
    assert collected(two_sizes, "-m", "headline") == []
    assert collected(two_sizes, "-m", "base and not across") == ["test_reads[small]", "test_reads[large]"]


def test_a_worker_does_not_judge_it(two_sizes):
    """Under pytest-xdist, the records of the other workers may be those of an earlier run."""
    two_sizes.run()
    shutil.rmtree(two_sizes.reports / "records" / "across-models")
    conftest = two_sizes.pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text() + "\ndef pytest_configure(config):\n    config.workerinput = {}\n"
    )
    result = two_sizes.run("-m", "across", "-p", "no:html")
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["claims run in the process and thread that pytest was started in*"])
    assert not list(two_sizes.reports.glob("records/across-models/*"))


OWN = """
@claim("It keeps half", rule=difference(above=0.4), **ABOUT)
def test_keeps_half(records):
    records.rests_on({"twin": "{twin}", "own": "a1"})
    return [Trial(f"fork {i}", value=0.5 + 0.01 * (i % 2)) for i in range(40)]
"""


def test_a_claim_that_measures_models_of_its_own_names_their_weights(two_sizes):
    """They identify the record, and the recorded verdict is comparable with the same ones only."""
    two_sizes.claims(OWN.replace("{twin}", "b2"), "own.py")
    two_sizes.run("-k", "keeps_half", "--record").assert_outcomes(passed=1)
    record = two_sizes.record("keeps_half")
    assert record.weights == "own a1, twin b2"
    assert record.model.source == "models of this project: own, twin"
    assert record.evidence.dtype == "float32"
    assert record.run.records == ()
    accepted = (two_sizes.pytester.path / "hypotheses" / "recorded" / "across-models.toml").read_text()
    assert 'weights = "own a1, twin b2"' in accepted
    two_sizes.claims(OWN.replace("{twin}", "c3"), "own.py")
    result = two_sizes.run("-k", "keeps_half")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*not comparable: the recorded verdict is of different weights*"])
