"""The look at a model's concept tokens: once per weights and code, announced, and not for a few claims."""

from __future__ import annotations

from vsg_core.records.microscope import read_microscope
from vsg_core.runs import code_of

LOOK = "*a look at the concept tokens of tiny-random*"
TWO = """
@claim("It mostly works", rule=rate(above=0.5), **ABOUT)
def test_one(lm):
    lm.next_logits(["the cat"])
    return trials(38)

@claim("It mostly works", rule=rate(above=0.5), **ABOUT)
def test_two(lm):
    lm.next_logits(["the cat"])
    return trials(38)
"""


def test_a_look_is_announced_and_kept_until_the_code_changes(suite, monkeypatch):
    suite.claims(TWO)
    suite.run().stdout.fnmatch_lines([f"about * s more: {LOOK}100%*"])
    first = read_microscope(suite.reports, "tiny-random")
    assert first is not None
    assert first.rests_on

    suite.run().stdout.no_fnmatch_line(LOOK)
    assert read_microscope(suite.reports, "tiny-random") == first

    monkeypatch.setattr("vsg_core.plugin.microscope.code_digest", lambda room: "other code")
    suite.run("-q").stdout.fnmatch_lines([LOOK])
    second = read_microscope(suite.reports, "tiny-random")
    assert second is not None
    assert second.rests_on != first.rests_on
    assert second.prompts == first.prompts


def test_no_look_where_claims_were_picked(suite):
    suite.claims(TWO)
    picked = "hypotheses/things.py::test_one[tiny-random]"
    for arguments in (["-k", "one"], [picked], ["hypotheses/things.py"], ["--deselect", picked]):
        result = suite.run(*arguments)
        result.stdout.no_fnmatch_line(LOOK)
        assert result.ret == 0
        assert not (suite.reports / "microscope").exists()


def test_no_look_where_nothing_was_measured(suite):
    suite.claims("""
        @claim("Chat works", rule=rate(above=0.5), **ABOUT)
        def test_one(lm):
            raise NotApplicable("it has no chat format")
        """)
    suite.run().assert_outcomes(skipped=1)
    assert not (suite.reports / "microscope").exists()


def test_a_damaged_look_is_taken_again(suite):
    suite.claims(TWO)
    suite.run()
    path = suite.reports / "microscope" / "tiny-random.json"
    path.write_text("{")
    suite.run().stdout.fnmatch_lines([LOOK])
    assert read_microscope(suite.reports, "tiny-random") is not None


def test_a_comment_changes_no_digest_of_code_and_a_statement_does(tmp_path, monkeypatch):
    monkeypatch.setattr(code_of, "HOME", tmp_path)
    (tmp_path / "room").mkdir()
    path = tmp_path / "room" / "module.py"
    digests = []
    for text in ("x = 1\n", '"""A text."""\n\n# a comment\nx  =  1\n', "x = 2\n"):
        path.write_text(text)
        code_of.code_digest.cache_clear()
        digests.append(code_of.code_digest("room"))
    code_of.code_digest.cache_clear()
    assert digests[0] == digests[1] != digests[2]
