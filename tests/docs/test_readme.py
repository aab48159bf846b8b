"""The README and the docs say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vsg_core.judge.claims import load_claims
from vsg_core.report.text.recorded_table import recorded_table
from vsg_core.weights.registry import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_table_of_headlines_is_what_vsg_table_prints():
    """Made from the recorded verdicts: paste `vsg table --headline` between the marks when they change."""
    (shown,) = re.findall(r"<!-- vsg table -->\n(.*?)\n?<!-- end of vsg table -->", README, re.DOTALL)
    assert shown == recorded_table(ROOT / "hypotheses", ROOT / "hypotheses" / "recorded", headline=True)


def test_the_page_of_all_verdicts_is_what_vsg_table_prints():
    """Made from the recorded verdicts: paste `vsg table` after the mark when they change."""
    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- vsg table -->\n")[2].rstrip()
    assert shown == recorded_table(ROOT / "hypotheses", ROOT / "hypotheses" / "recorded")


def test_the_claims_said_to_have_changed_exist():
    page = (ROOT / "docs" / "changed-after-data.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert named <= {claim.id for claim in load_claims(ROOT / "hypotheses")}
    assert len(named) > 20


def test_the_claim_shown_runs_as_it_stands(suite):
    """Saved in hypotheses/ and run on the embedded model, it ends in a verdict."""
    (claim,) = (block for block in blocks("python") if "@claim" in block)
    suite.pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.prompts"]')
    suite.claims("")
    (suite.pytester.path / "hypotheses" / "test_nearest.py").write_text(claim)
    suite.model = None
    suite.run("--model", DEFAULT_MODEL, "-k", "nearest_token").assert_outcomes(passed=1)
    assert suite.record("nearest_token_is_the_top_token")["verdict"] in ("holds", "refuted", "inconclusive")


def test_the_python_shown_runs_as_it_stands():
    """The lines under "Use it from Python", on the embedded model."""
    (code,) = (block for block in blocks("python") if "load_model" in block)
    names: dict[str, object] = {}
    exec(code, names)
    assert tuple(names["vector"].shape) == (1, names["lm"].embed(names["prompt"]).shape[-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["vsg models", "vsg concept", "vsg claims", "vsg report", "vsg table"])
def test_the_commands_shown_exist(command):
    from vsg_core.cli.main import vsg

    assert command in README
    assert command.split()[1] in vsg.commands
