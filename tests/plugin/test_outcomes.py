"""Every row of the table of outcomes: how pytest reports a verdict."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

import fixtures.models
from vsg_core.errors import NotEnoughMemory, VsgError


def test_a_new_verdict_passes_and_is_marked_as_new(suite):
    suite.claims(suite.rate_claim(38))
    result = suite.run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_one?tiny-random? holds, new*"])
    record = suite.record("one")
    assert (record.verdict, record.outcome, record.recorded) == ("holds", "new", None)
    assert record.evidence.estimate == pytest.approx(38 / 40)
    assert len(record.evidence.trials) == 40


def test_a_new_verdict_fails_in_ci(suite, monkeypatch):
    monkeypatch.setenv("CI", "true")
    suite.claims(suite.rate_claim(38))
    result = suite.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*one on tiny-random: new, not recorded yet: holds, *", "*pytest *--record"])


def test_the_recorded_verdict_passes_in_ci_too(suite, monkeypatch):
    suite.claims(suite.rate_claim(2) + suite.rate_claim(20, name="two"))
    assert suite.run("--record").ret == 0
    monkeypatch.setenv("CI", "true")
    result = suite.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_one?tiny-random? refuted *", "*test_two?tiny-random? inconclusive *"])


@pytest.mark.parametrize(
    ("before", "now", "kind", "text"),
    [
        (38, 2, "changed", "was holds, 95 % [[]*[]] of 40; now refuted, 5 % [[]*[]] of 40"),
        (2, 20, "weakened", "was refuted, 5 % [[]*[]] of 40; now inconclusive, 50 % [[]*[]] of 40"),
        (20, 38, "changed", "was inconclusive, 50 % [[]*[]] of 40; now holds, 95 % [[]*[]] of 40"),
    ],
)
def test_a_different_verdict_fails_with_exit_code_10(suite, before, now, kind, text):
    suite.claims(suite.rate_claim(before))
    assert suite.run("--record").ret == 0
    suite.claims(suite.rate_claim(now))
    result = suite.run("-v")
    assert result.ret == 10
    result.stdout.fnmatch_lines(
        [f"*test_one?tiny-random? {kind.upper()}*", f"one on tiny-random: {kind}: {text}"]
    )
    result.stdout.fnmatch_lines(
        ["claim: *It mostly works", "rule: *rate above 50 %*", "evidence: */one.json"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    record = suite.record("one")
    assert record.outcome == kind
    assert record.recorded.n == 40

    assert suite.run("--record").ret == 0, "--record accepts a changed verdict"
    assert suite.run().ret == 0


def test_a_verdict_that_becomes_negligible_is_changed(suite):
    """Values around 1 hold, values around 0 are negligible."""
    claim = suite.rate_claim(0, rule="difference(above=0, matters=0.5)")

    def values(mean: int) -> str:
        return claim.replace("trials(0)", f"[Trial(str(i), value={mean} + (-1) ** i) for i in range(40)]")

    suite.claims(values(1))
    assert suite.run("--record").ret == 0
    suite.claims(values(0))
    result = suite.run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["one on tiny-random: changed: was holds, 1.00 *; now negligible, 0.00 *"])
    result.stdout.fnmatch_lines(["1 claim on 1 model: 1 negligible", "*!= 0.00 *", "= negligible*"])
    record = suite.record("one")
    assert (record.verdict, record.outcome, record.evidence.share) == ("negligible", "changed", 0.5)
    assert "negligible" in (suite.reports / "claims.html").read_text()
    assert "negligible" in (suite.reports / "summary.md").read_text()
    assert suite.run("--record").ret == 0
    suite.run("-v").stdout.fnmatch_lines(["*test_one?tiny-random? negligible *"])


def test_the_command_that_is_given_records_that_claim_and_no_other(suite, tmp_path):
    """Pasted into a shell: of three claims with similar names, with a blank in the path of the model, and its dtype."""
    suite.model = shutil.copytree(suite.model, tmp_path / "a model")
    three = ("one", "one_more", "another_one")
    suite.claims("".join(suite.rate_claim(38, name=name) for name in three))
    suite.run("--record", "--dtype", "bfloat16", "--device", "cpu")
    suite.claims("".join(suite.rate_claim(2, name=name) for name in three))
    result = suite.run("--dtype", "bfloat16", "--device", "cpu", "-k", "test_one[")
    (advice,) = re.findall(
        "^If the new verdict is right, accept it: (.*)$", result.stdout.str(), re.MULTILINE
    )
    words = shlex.split(advice)
    assert words[:2] == ["pytest", "hypotheses/things.py::test_one[a-model]"]
    suite.model = None
    suite.run(*words[1:]).assert_outcomes(passed=1)
    accepted = tomllib.loads(suite.recorded().read_text())
    assert [accepted[name]["verdict"] for name in three] == ["refuted", "holds", "holds"]
    assert accepted["one"]["dtype"] == "bfloat16"


def test_a_verdict_that_stays_while_its_estimate_moves_passes_and_is_listed(suite):
    suite.claims(suite.rate_claim(40))
    suite.run("--record")
    suite.claims(suite.rate_claim(31))
    result = suite.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["moved (same verdict, *", "  one on tiny-random", "*100 % [[]91 %, 100 %] recorded, now 78 % *"]
    )
    assert suite.record("one").outcome == "same"
    for name in ("summary.md", "claims.html"):
        # The page keeps numbers and their percent signs on one line.
        text = (suite.reports / name).read_text().replace("\N{NO-BREAK SPACE}", " ")
        assert "100 % [91 %, 100 %] recorded" in text


def test_the_summary_names_every_letter_that_was_printed(suite):
    suite.claims(
        suite.rate_claim(38)
        + suite.rate_claim(20, name="two")
        + suite.rate_claim(2, name="three").replace("return trials(2)", "1 / 0")
        + suite.rate_claim(2, name="four").replace("return", 'raise NotApplicable("no");')
        + "\ndef test_plain():\n    pass\n"
    )
    result = suite.run()
    result.stdout.fnmatch_lines(["hypotheses/things.py hiBs*"])
    legend = "while it ran:  h holds  i inconclusive  B broken  s not run  . passed"
    result.stdout.fnmatch_lines(
        ["4 claims on 1 model: 1 holds, 1 inconclusive, 1 not run, 1 broken; 2 new", legend]
    )
    suite.run("-v").stdout.no_fnmatch_line("while it ran:*")


def test_exit_code_1_when_something_else_failed_too(suite):
    suite.claims(suite.rate_claim(38))
    suite.run("--record")
    suite.claims(suite.rate_claim(2) + "\ndef test_plain():\n    assert False\n")
    assert suite.run().ret == 1


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('rules = "', 'rules = "0', "the recorded verdict was judged by a different rule"),
        ('weights = "', 'weights = "0', "the recorded verdict is of different weights"),
    ],
)
def test_a_recorded_verdict_for_a_different_rule_or_weights_is_not_compared(suite, old, new, why):
    suite.claims(suite.rate_claim(38))
    suite.run("--record")
    accepted = suite.recorded().read_text()
    assert old in accepted
    suite.recorded().write_text(accepted.replace(old, new).replace('"holds"', '"refuted"'))
    result = suite.run("-v")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*holds, not comparable*", f"*one on tiny-random: not comparable: {why}*"])


def test_a_rule_in_other_words_is_the_same_rule(suite):
    """The sentence next to the digest is for people; nothing compares it."""
    suite.claims(suite.rate_claim(38))
    suite.run("--record")
    accepted = suite.recorded().read_text()
    suite.recorded().write_text(accepted.replace("above 50 %", "in more than half of the trials"))
    suite.run("-v").stdout.fnmatch_lines(["*test_one?tiny-random? holds *"])
    assert suite.record("one").outcome == "same"


def test_a_recorded_verdict_is_replaced_when_the_claim_no_longer_applies(suite):
    """With a changed rule too, --record leaves no verdict in place that no longer applies."""
    suite.claims(suite.rate_claim(38, rule="rate(above=0.4)"))
    suite.run("--record")
    suite.claims("""
        from vsg_core.errors import NotApplicable

        @claim("It is named", rule=rate(above=0.5), **ABOUT)
        def test_one(lm):
            raise NotApplicable("nothing to ask")
        """)
    suite.run("--record")
    entry = tomllib.loads(suite.recorded().read_text())["one"]
    assert (entry["verdict"], entry["not_applicable"]) == ("not run", "nothing to ask")
    assert "estimate" not in entry


NOT_APPLICABLE = {
    "a claim on instruct models, and tiny-random is a base model": """
        @claim("Chat works", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
        def test_one(lm):
            return trials(40)
        """,
    "it has no chat format": """
        @claim("Chat works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm):
            raise NotApplicable("it has no chat format")
        """,
    "no chat for a fixture": """
        @pytest.fixture
        def chats(lm):
            raise NotApplicable("no chat for a fixture")

        @claim("Chat works", rule=rate(above=0.5), **ABOUT)
        def test_one(chats):
            return trials(40)
        """,
    "positive control 'copies a word': *, needs above 50 %": """
        COPIES = {"copies a word": rate(above=0.5)}

        @claim("It cannot", rule=rate(below=0.5), positive_controls=COPIES, **ABOUT)
        def test_one(lm):
            return Evidence(trials(0), {"copies a word": trials(1)})
        """,
}


@pytest.mark.parametrize("reason", NOT_APPLICABLE)
def test_a_claim_that_does_not_apply_is_skipped_with_the_reason(suite, reason):
    suite.claims(NOT_APPLICABLE[reason])
    result = suite.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED *: not applicable: {reason}"])
    record = suite.record("one")
    assert record.verdict == "not run"
    assert record.not_run.cause == "not applicable"

    result = suite.run("--require-models")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"test_one?tiny-random? did not run: not applicable: {reason}"])


BROKEN = {
    "error: ZeroDivisionError: division by zero": "return trials(1 / 0)",
    "error: *nan*": 'return [Trial("p", value=float("nan"))] * 40',
    "error: claim one: *39 independent trials*the rule needs 40": "return trials(3, of=39)",
    "error: claim one: *no trials at all": "return []",
    "error: the claim gave NoneType: *": "return None",
    "error: Failed: by hand": 'pytest.fail("by hand")',
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_claim_fails_and_has_no_verdict(suite, reason):
    rule = "difference(above=0)" if "nan" in reason else "rate(above=0.5)"
    suite.claims(f"""
        @claim("It works", rule={rule}, **ABOUT)
        def test_one(lm):
            {BROKEN[reason]}
        """)
    result = suite.run("-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*test_one?tiny-random? BROKEN*", f"broken, no verdict: one on tiny-random: {reason}"]
    )
    before_the_legend = result.stdout.str().partition("= claims =")[0]
    assert "refuted" not in before_the_legend
    record = suite.record("one")
    assert (record.verdict, record.outcome) == ("not run", "broken")
    assert record.not_run.cause == "error"


def test_the_place_of_an_exception_is_shown(suite):
    suite.claims("""
        def deep():
            raise ValueError("the deep end")

        @claim("It works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm):
            return deep()
        """)
    result = suite.run()
    result.stdout.fnmatch_lines(["*things.py*in deep", '*raise ValueError("the deep end")'])


def test_a_broken_fixture_breaks_the_claim(suite):
    suite.claims("""
        @pytest.fixture
        def words(lm):
            raise OSError("no words")

        @claim("It works", rule=rate(above=0.5), **ABOUT)
        def test_one(words):
            return trials(40)
        """)
    result = suite.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["broken, no verdict: one on tiny-random: error: OSError: no words"])
    assert suite.record("one").outcome == "broken"


@pytest.mark.parametrize(
    ("error", "outcomes"),
    [
        (NotEnoughMemory("tiny-random needs 900 GiB of memory, 2 GiB are free"), {"skipped": 2}),
        (VsgError("model.safetensors is cut short: 12 of 90 bytes"), {"failed": 2}),
    ],
)
def test_a_model_that_cannot_be_loaded_is_tried_once(suite, monkeypatch, error, outcomes):
    tries = []

    def load(target: str, **_: object) -> None:
        tries.append(target)
        raise error

    monkeypatch.setattr(fixtures.models, "load_model", load)
    suite.claims(suite.rate_claim(38) + suite.rate_claim(38, name="two"))
    result = suite.run("-rs")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([f"*{error}"])
    assert len(tries) == 1
    assert suite.record("two").verdict == "not run"


def test_a_measured_record_is_kept_when_the_weights_are_unavailable(suite, monkeypatch):
    suite.claims(suite.rate_claim(38))
    suite.run()

    def load(target: str, **_: object) -> None:
        raise NotEnoughMemory("too large")

    monkeypatch.setattr(fixtures.models, "load_model", load)
    suite.run().assert_outcomes(skipped=1)
    assert suite.record("one").verdict == "holds"


def test_damaged_recorded_verdicts_are_named(suite):
    suite.claims(suite.rate_claim(38))
    suite.run("--record")
    suite.recorded().write_text("[one\n")
    result = suite.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["broken, no verdict: one on tiny-random: cannot read recorded verdicts *.toml*"]
    )


def test_a_test_without_a_claim_is_an_ordinary_test(suite):
    suite.claims("def test_plain(generator):\n    assert generator.initial_seed() == 0\n")
    suite.run().assert_outcomes(passed=1)
    assert not list(Path(suite.reports).glob("claims.*"))


def test_an_unknown_fixture_that_is_asked_for_by_name_is_named(suite):
    """One among the arguments is found at collection."""
    suite.claims("""
        @pytest.fixture
        def chosen(request):
            return request.getfixturevalue("nope")

        @claim("It works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm, chosen):
            return trials(40)
        """)
    result = suite.run()
    result.stdout.fnmatch_lines(["broken, no verdict: one on tiny-random: error: no fixture 'nope'*"])
