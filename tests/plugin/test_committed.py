"""A rule is committed before its first run: what the terminal says, and what --record refuses, where it is not."""

from __future__ import annotations

import pytest

from tests.conftest import Suite
from tests.support.registered import git
from vsg_core.records.provenance import uncommitted

LINE = "not committed: hypotheses/things.py: commit a rule before its first run*"


@pytest.fixture
def repository(suite: Suite) -> Suite:
    """A project in a git repository, with a claim that is committed."""
    suite.claims(suite.rate_claim(38))
    git(suite.pytester.path, "init", "-q")
    git(suite.pytester.path, "add", "hypotheses")
    git(suite.pytester.path, "commit", "-q", "-m", "a claim")
    return suite


def test_a_committed_claim_is_recorded_without_a_word(repository: Suite) -> None:
    result = repository.run("--record")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("not committed*")
    assert "[one]" in repository.recorded().read_text()


def test_a_changed_rule_is_named_and_not_recorded(repository: Suite) -> None:
    repository.claims(repository.rate_claim(38, rule="rate(above=0.6)"))
    result = repository.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines([LINE])
    result = repository.run("--record")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["nothing recorded: hypotheses/things.py is not committed; *--record"])
    assert not list(repository.pytester.path.glob("hypotheses/recorded/*.toml"))


def test_a_new_file_is_not_committed_and_others_are_not_looked_at(repository: Suite) -> None:
    repository.claims(repository.rate_claim(38, name="two"), "more.py")
    assert repository.run("hypotheses/things.py", "--record").ret == 0
    result = repository.run()
    result.stdout.fnmatch_lines(["not committed: hypotheses/more.py: *"])
    result.stdout.no_fnmatch_line(LINE)


def test_where_git_cannot_tell_nothing_is_said(suite: Suite) -> None:
    suite.claims(suite.rate_claim(38))
    assert uncommitted([suite.pytester.path / "hypotheses" / "things.py"]) == []
    suite.run("--record").stdout.no_fnmatch_line("not committed*")
    assert suite.recorded().is_file()


def test_names_are_taken_literally(repository: Suite) -> None:
    """A name is not a pattern: * would be every changed file."""
    folder = repository.pytester.path / "hypotheses"
    odd, other = folder / "*.py", folder / "a b.py"
    for path in (odd, other):
        path.write_text('"""Claims."""\n')
    assert uncommitted([folder / "things.py", odd]) == [odd]
    assert uncommitted([folder / "things.py", other]) == [other]
