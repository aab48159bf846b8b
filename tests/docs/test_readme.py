"""The README and the docs agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vsg_core.judge.claims import load_claims
from vsg_core.weights.registry import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_is_short():
    assert len(README.splitlines()) < 160


def test_every_table_of_numbers_in_judging_is_generated():
    page = (ROOT / "docs" / "judging.md").read_text(encoding="utf-8")
    rules_table = 1
    assert page.count("\n|---") == page.count("[[[cog") + rules_table


@pytest.mark.parametrize("page", ["README.md", "docs/verdicts.md"])
def test_a_page_of_verdicts_shows_identities_apart_and_says_what_verdicts_are_worth(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    findings, identities = re.split("The harness(?: is sound|: )", text, maxsplit=1)
    claims = load_claims(ROOT / "hypotheses")
    assert not [
        claim for claim in claims if claim.status == "identity" and f"| {claim.statement} |" in findings
    ]
    assert not [
        claim for claim in claims if claim.status != "identity" and f"| {claim.statement} |" in identities
    ]
    assert "The verdicts are exploratory" in identities
    assert "All weights are 4-bit." in identities


def test_the_claims_listed_as_changed_exist():
    page = (ROOT / "docs" / "changed-after-data.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert named <= {claim.id for claim in load_claims(ROOT / "hypotheses")}
    assert len(named) > 20


def test_the_claim_in_the_readme_runs_unchanged(suite):
    """Saved in hypotheses/ and run on the embedded model, it gives a verdict."""
    (claim,) = (block for block in blocks("python") if "@claim" in block)
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.prompts"]')
    suite.claims("")
    (suite.pytester.path / "hypotheses" / "test_nearest.py").write_text(claim)
    suite.model = None
    suite.run("--model", DEFAULT_MODEL, "-k", "nearest_token").assert_outcomes(passed=1)
    assert suite.record("nearest_token_is_the_top_token").verdict in ("holds", "refuted", "inconclusive")


def test_the_python_in_the_readme_runs_unchanged():
    """The lines under "From Python" run on the embedded model."""
    (code,) = (block for block in blocks("python") if "load_model" in block)
    names: dict[str, object] = {}
    exec(code, names)
    assert tuple(names["vector"].shape) == (1, names["lm"].embed_text(names["prompt"]).shape[-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["vsg models", "vsg concept", "vsg claims", "vsg report", "vsg table"])
def test_the_commands_in_the_readme_exist(command):
    from vsg_core.cli.main import vsg

    assert command in README
    assert command.split()[1] in vsg.commands
