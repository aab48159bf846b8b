"""`--trials`: claims that draw from pools take as many as the run chooses, under a key of their own."""

from __future__ import annotations

from html import unescape

import pytest

from fixtures.pools.openings import OPENINGS
from tests.conftest import Suite

CLAIMS = """
@claim("It draws", rule=rate(above=0.5, trials=20), **ABOUT)
def test_draws(lm, draw_openings):
    return [Trial(opening.text, success=True) for opening in draw_openings(40)]

@claim("It lists", rule=rate(above=0.5), **ABOUT)
def test_lists(lm):
    return trials(40)
"""


@pytest.fixture
def project(suite: Suite) -> Suite:
    plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.draws"]
    suite.pytester.makeconftest(f"pytest_plugins = {plugins}")
    suite.claims(CLAIMS)
    return suite


def test_the_run_chooses_how_many_are_drawn(project: Suite) -> None:
    """Only of the claim that draws, and its first ones are those of fewer."""
    project.run()
    own = project.record("draws")
    assert project.run("--trials", "60").ret == 0
    more = project.record("draws")
    assert (own.evidence.n, own.evidence.chosen_trials) == (40, None)
    assert (more.evidence.n, more.evidence.chosen_trials) == (60, 60)
    assert more.evidence.trials[:40] == own.evidence.trials
    assert project.record("lists").evidence.chosen_trials is None


def test_a_record_names_what_its_items_are_drawn_from(project: Suite) -> None:
    """Also one that --resume keeps; the page shows it."""
    project.run()
    project.run("--resume")
    assert project.record("draws").claim.population == OPENINGS.population
    assert project.record("lists").claim.population == ""
    shown = unescape((project.reports / "claims.html").read_text())
    assert f"drawn at random from {OPENINGS.population}" in shown


def test_a_record_of_another_number_is_not_taken_for_it(project: Suite) -> None:
    project.run("--trials", "60")
    key = project.record("draws").key
    assert key
    assert key.parts["trials"] == "60"
    shown = project.run("--resume", "--trials", "60").stdout.str()
    assert "resume: 2 kept, 0 to run" in shown
    shown = project.run("--resume", "--trials", "70").stdout.str()
    assert "resume: 1 kept, 1 to run: trials changed (60 to 70) (1)" in shown
    shown = project.run("--resume").stdout.str()
    assert "resume: 1 kept, 1 to run: trials is gone (1)" in shown


def test_it_is_not_compared_with_the_recorded_verdict(project: Suite) -> None:
    project.run("--record")
    assert project.run("--trials", "60").ret == 0
    assert project.record("draws").outcome == "not comparable"
    assert project.record("lists").outcome == "same"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--trials", "0"], "--trials 0: give a whole number from 1 up"),
        (
            ["--trials", "60", "--record"],
            "--trials with --record: verdicts are recorded with each claim's own",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(project: Suite, arguments: list[str], line: str) -> None:
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert line in result.stderr.str()


@pytest.mark.parametrize(
    ("number", "line"),
    [("10", "10 independent trials, the rule needs 20"), ("999", "of the openings has 608")],
)
def test_too_few_and_too_many_are_one_line(project: Suite, number: str, line: str) -> None:
    result = project.run("--trials", number, "-k", "draws")
    assert result.ret == 1
    assert line in result.stdout.str()


def test_two_claims_with_one_share_are_refused(project: Suite) -> None:
    """The names are found by trying: these two are dealt the same share."""
    from fixtures.pools.pool import share_number

    names = (f"draws_{number}" for number in range(10_000))
    twin = next(name for name in names if share_number(name, 0) == share_number("draws", 0))
    project.claims(CLAIMS + CLAIMS.split('@claim("It lists"')[0].replace("test_draws", f"test_{twin}"))
    result = project.run("-k", "draws")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*draws would draw the same openings as {twin}: give the newer of them*"])
