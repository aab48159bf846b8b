"""`pytest --dry`: every mistake in the shape of a claim in seconds, no verdict, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsg_core.generator.engine.random_model import random_model

ABILITY = """
@claim("It answers", rule={rule}, **ABOUT)
def test_one(lm):
    {body}
"""


@pytest.fixture(scope="module", autouse=True)
def architectures() -> None:
    """Import both architectures before pytester counts what is imported."""
    random_model("base", ["a"])
    random_model("instruct", ["a"])


@pytest.fixture
def dry(suite):
    """Build a suite that runs no model of its own."""
    suite.model = None
    return suite


def files(folder: Path) -> set[Path]:
    return {
        path
        for path in folder.rglob("*")
        if not {".pytest_cache", ".benchmarks", "__pycache__"} & set(path.parts)
    }


def one(suite, body: str, rule: str = "rate(above=0.5)", *arguments: str) -> list[str]:
    """Run a claim with this body on the random base model, and return what is to be corrected."""
    suite.claims(ABILITY.format(rule=rule, body=body.replace("\n", "\n    ")))
    result = suite.run("--dry", "-m", "base", *arguments)
    lines = [line.removeprefix("to correct: one on random-base: ") for line in result.outlines]
    found = [new for new, old in zip(lines, result.outlines, strict=True) if new != old]
    assert result.ret == bool(found)
    return found


def test_a_whole_claim_is_ok_on_both_kinds_and_leaves_nothing(dry):
    """Without a verdict in any word, and without a file."""
    dry.claims(dry.rate_claim(38))
    before = files(dry.pytester.path)
    result = dry.run("--dry", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "dry run: shapes only, no verdicts; *",
            "*test_one?random-base? ok, no verdict *",
            "*test_one?random-instruct? ok, no verdict *",
            "*= dry run: shapes only, no verdicts =*",
            "1 claim ok, 0 to correct, 0 not tried",
            "*2 ok in *",
        ]
    )
    for word in ("holds", "refuted", "inconclusive", "passed"):
        result.stdout.no_fnmatch_line(f"*{word}*")
    assert files(dry.pytester.path) == before


MISTAKES = {
    "a bool": ("return True", "it returned True: return the trials, each with its success; *"),
    "nothing": ("trials(38)", "it returned nothing: end it with `return trials(...)` *"),
    "a missing arm": ("return trials(38)", "no trials of control 'shuffled': return Evidence(trials, *"),
    "an undeclared arm": (
        "return Evidence(trials(38), {'shuffled': trials(2), 'greedy': trials(1)})",
        "arm 'greedy' is not declared: *",
    ),
    "a value under a rate": (
        "return Evidence([Trial('p', value=1.5)] * 40, {'shuffled': trials(2)})",
        "the claim's own trials: all 40 have value= and no success=, which the rule (rate above 50 %) looks at: *",
    ),
    "too few trials": (
        "return Evidence(trials(12, of=12), {'shuffled': trials(2)})",
        "the claim's own trials: 12 trials and the rule needs 40: give more prompts; *",
    ),
    "columns of different lengths": (
        "from vsg_core import trials as rows\nreturn rows(['a', 'b'], success=[True])",
        "column 'success' has 1 rows for 2 prompts: give one per prompt",
    ),
    "NaN": (
        "return [Trial('p', value=float('nan'))]",
        "trial 'p': the value is nan: find out why before judging",
    ),
    "an exception": ("return {}['words']", "KeyError: 'words', in things.py:1?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_one_line(dry, mistake):
    body, line = MISTAKES[mistake]
    rule = "rate(above=0.5), controls={'shuffled': rate(below=0.5)}"
    (found,) = one(dry, body, rule)
    pytest.LineMatcher([found]).fnmatch_lines([line])


def test_success_under_a_rule_on_values_is_found(dry):
    """A run would judge the rate of successes as a mean of values."""
    (found,) = one(dry, "return trials(38)", "difference(above=0)")
    assert found.startswith(
        "the claim's own trials: all 40 have success= and no value=, which the rule (difference"
    )


def test_several_mistakes_of_a_claim_are_a_line_each(dry):
    rule = "rate(above=0.5), controls={'shuffled': rate(below=0.5)}"
    assert len(one(dry, "return Evidence(trials(3, of=3), {'other': trials(3)})", rule)) == 3


def test_the_claim_runs_on_a_real_language_model_of_its_kinds(dry):
    """It has words as single tokens, a chat template where it is an instruct model, and different predictions."""
    dry.claims("""
        @pytest.fixture(scope="session")
        def words():
            return ["Zanzibar", "quokka"]

        @claim("It chats", rule=rate(above=0.5), kinds=["instruct"], **ABOUT)
        def test_one(lm, words):
            assert [len(lm.tokenize(f" {word}", special=False)) for word in words] == [1, 1]
            assert lm.has_chat and words[0] in lm.chat(words[0])
            assert lm.next_logits(words).argmax(-1).unique().numel() == 2
            assert len(lm.generate([lm.embed_text(word) for word in words], max_new_tokens=3)[0].ids) <= 3
            return trials(38)

        @claim("It has no chat", rule=rate(above=0.5), kinds=["base"], **ABOUT)
        def test_two(lm, words):
            assert not lm.has_chat and lm.kind == "base"
            return trials(38)
        """)
    result = dry.run("--dry")
    result.stdout.fnmatch_lines(["2 claims ok, 0 to correct, 0 not tried", "*2 ok in *"])


def test_what_a_random_model_cannot_do_is_not_a_mistake(dry):
    """Too few items for at_least: the arms are looked at all the same, and the number of trials is not."""
    dry.claims("""
        from vsg_core import at_least

        @pytest.fixture(scope="session")
        def known(lm):
            return at_least(40, ["a", "b"], "words that the model knows")

        @claim("It knows", rule=rate(above=0.5), controls={"shuffled": rate(below=0.5)}, **ABOUT)
        def test_known(lm, known):
            return Evidence(trials(1, of=len(known)), {"shuffled": trials(0, of=len(known))})

        @claim("It knows", rule=rate(above=0.5), controls={"shuffled": rate(below=0.5)}, **ABOUT)
        def test_arm(lm, known):
            return Evidence(trials(1, of=len(known)), {"shufled": trials(0, of=len(known))})

        @claim("It knows", rule=rate(above=0.5), **ABOUT)
        def test_first(lm):
            return trials(len(at_least(40, [], "words that it knows")[0]))

        @claim("It knows", rule=rate(above=0.5), **ABOUT)
        def test_told(lm):
            raise NotApplicable("it is never told")
        """)
    result = dry.run("--dry")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "1 claim ok, 1 to correct, 2 not tried",
            "to correct: arm on random-base and random-instruct: arm 'shufled' is not declared: did you mean *",
            "ok, but its number of trials was not looked at: known on random-base and random-instruct: 2 words *",
            "not tried: first on random-base and random-instruct: 0 words that it knows, at least 40 are needed",
            "not tried: told on random-base and random-instruct: it is never told",
        ]
    )


def test_a_dry_run_selects_as_a_run_does(dry):
    """With -k and with -m, whichever family it names: the random models stand for all of them."""
    dry.claims(dry.rate_claim(38) + dry.rate_claim(38, name="two"))
    assert dry.run("--dry", "-k", "two").parseoutcomes() == {"ok": 2, "deselected": 2}
    assert dry.run("--dry", "-m", "gemma and base").parseoutcomes() == {"ok": 2, "deselected": 2}
    listed = dry.run("--dry", "--collect-only", "-q")
    assert [line for line in listed.outlines if "::" in line] == [
        f"hypotheses/things.py::test_{name}[random-{kind}]"
        for kind in ("base", "instruct")
        for name in ("one", "two")
    ]
    listed.stdout.no_fnmatch_line("*claims ok*")


def test_a_claim_across_models_reads_the_records_that_there_are(dry):
    dry.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.records"]')
    dry.claims("""
        @claim("They differ", rule=difference(above=0), **ABOUT)
        def test_one(records):
            records.pairs("a smaller and a larger model")
        """)
    result = dry.run("--dry")
    result.stdout.fnmatch_lines(["not tried: one: needs records on two models of one series: *"])
    assert result.ret == 0


def test_a_test_without_a_claim_is_left_out_or_refused_where_there_is_no_other(dry):
    """Never passed over in silence: its author may have forgotten the decorator."""
    plain = "\ndef test_plain():\n    assert False\n"
    dry.claims(plain)
    result = dry.run("--dry")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --dry tries claims, and *::test_plain is not a claim: write @claim*"]
    )
    dry.claims(dry.rate_claim(38) + plain)
    assert dry.run("--dry").parseoutcomes() == {"ok": 2, "deselected": 1}


@pytest.mark.parametrize("options", [["--record"], ["--model", "gpt2"], ["--require-models"]])
def test_options_without_a_meaning_in_a_dry_run_are_refused(dry, options):
    dry.claims(dry.rate_claim(38))
    result = dry.run("--dry", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --dry with {options[0]}: a dry run *: leave out one of them"])
