"""docs/reference.md has everything public; `make lint` checks that it is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vsg_core
from tools.reference import reference
from vsg_core.cli.main import vsg
from vsg_core.plugin.options import OPTIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    return reference()


def test_every_name_has_a_signature_and_a_sentence(page: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)[^`]*` \| (.*) \|$", page, re.MULTILINE))
    assert rows.keys() >= set(dir(vsg_core))
    assert all(rows[name] for name in dir(vsg_core))


def test_it_has_types_defaults_and_methods_and_no_addresses(page: str) -> None:
    assert "| `.mix(weights: Tensor \\| Sequence[Mixture], ids: Tensor \\| None = None) -> Tensor` |" in page
    assert "| `mostly(*, trials: int = 40) -> Rule` |" in page
    assert " at 0x" not in page
    assert "<factory>" not in page


def test_fixtures_commands_and_options_are_listed(page: str) -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "fixtures").glob("[!_]*.py"))
    fixtures = re.findall(r"@pytest\.fixture.*\n(?:@.*\n)*def (\w+)", sources)
    assert len(fixtures) > 30
    assert all(f"| `{name}" in page for name in fixtures)
    assert all(f"`vsg {name}" in page for name in vsg.commands)
    assert "| `--into DIR` |" in page
    assert all(f"| `--{name}" in page for name in OPTIONS)
