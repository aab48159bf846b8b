"""Claims that are refused at collection: one line with the claim, the reason and what to do."""

from __future__ import annotations

import pytest

from tests.conftest import Suite


def test_a_refused_claim_is_named_with_its_line_and_reason(suite: Suite) -> None:
    """In place of a traceback, for every file; also where an argument is refused before the claim is declared."""
    suite.claims(suite.rate_claim(38).replace(", **ABOUT", ""), "bare.py")
    suite.claims(suite.rate_claim(38, rule="rate(above=0.95, trials=10)", name="few"), "few.py")
    result = suite.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    output = result.stdout.str()
    assert 'hypotheses/bare.py:12: claim test_one: no control: add controls={"name": control(rule, ' in output
    refused = "claim test_few: rate above 95 %: 10 trials cannot both hold and refute: give trials=72"
    assert f"hypotheses/few.py:12: {refused}\n" in output
    assert "Error: " not in output
    assert "in <module>" not in output
    result.stdout.fnmatch_lines(["ERROR hypotheses/few.py - 12: claim test_few: rate*"])


def test_other_errors_keep_their_traceback(suite: Suite) -> None:
    suite.claims("1 / 0")
    suite.run("--collect-only").stdout.fnmatch_lines(["*in <module>*", "*ZeroDivisionError*"])
