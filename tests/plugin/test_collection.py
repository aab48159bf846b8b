"""A fixture that does not exist is found when claims are collected."""

from __future__ import annotations

import pytest

CLAIM = """
@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_{name}({arguments}):
    return trials(38)
"""


def claim(arguments: str, name: str = "one") -> str:
    return CLAIM.format(name=name, arguments=arguments)


def refusal(result: pytest.RunResult) -> str:
    """Return the one line that refuses the run."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR")]
    return line


@pytest.mark.parametrize("arguments", [[], ["--collect-only"], ["-k", "another"], ["-m", "instruct"]])
def test_a_misspelt_fixture_is_refused_before_anything_runs(suite, arguments):
    suite.claims("PROMPTS = pytest.fixture(lambda: ['a'], name='open_prompts')\n" + claim("lm, open_promts"))
    assert refusal(suite.run(*arguments)) == (
        "ERROR: no fixture open_promts, which test_one in things.py asks for: did you mean open_prompts?"
    )
    assert not (suite.reports / "records").exists()


def test_a_misspelt_lm_is_refused_as_a_fixture(suite):
    suite.claims(claim("l"))
    assert "no fixture l, which test_one" in refusal(suite.run())
    suite.claims(claim("lmm"))
    assert refusal(suite.run()).endswith(
        "no fixture lmm, which test_one in things.py asks for: did you mean lm?"
    )


def test_all_misspelt_fixtures_are_named_in_one_line_each_once(suite):
    """A fixture of fixtures is named once, however many claims reach it."""
    fixtures = "open_prompts = pytest.fixture(lambda: [], name='open_prompts')\n"
    fixtures += "@pytest.fixture\ndef replies(lm, opn_prompts):\n    return []\n"
    suite.claims(
        fixtures + claim("lm, replies") + claim("lm, replies", name="two") + claim("lm, zzz", name="three")
    )
    assert refusal(suite.run()) == (
        "ERROR: no fixture opn_prompts, which the fixture replies asks for: did you mean open_prompts?; "
        "no fixture zzz, which test_three in things.py asks for: `pytest --fixtures hypotheses` lists those there are"
    )
    listed = suite.run("--fixtures")
    assert listed.ret == 0, "the list that the refusal recommends can be printed"
    listed.stdout.fnmatch_lines(["open_prompts -- *"])


def test_fixtures_of_everywhere_and_parametrized_arguments_are_found(suite):
    suite.pytester.makeconftest(
        'import pytest\npytest_plugins = ["vsg_core.plugin", "fixtures.models"]\n'
        "@pytest.fixture\ndef of_the_conftest():\n    return 1\n"
    )
    suite.claims(
        "OWN = pytest.fixture(lambda: 1, name='own')\n"
        "@pytest.mark.usefixtures('own')\n"
        "@pytest.mark.parametrize('size', [3])"
        + claim("lm, own, of_the_conftest, tmp_path, request, generator, size")
        + "\ndef test_plain(nothing_like_it):\n    assert False\n"
    )
    result = suite.run("-k", "one")
    result.assert_outcomes(passed=1, deselected=1)


def test_a_misspelt_usefixtures_is_found(suite):
    suite.claims("@pytest.mark.usefixtures('tmp_pth')" + claim("lm"))
    assert "no fixture tmp_pth, which test_one in things.py asks for: did you mean tmp_path" in refusal(
        suite.run()
    )
