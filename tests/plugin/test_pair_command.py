"""The command that measures a pair of models for a claim across models."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsg_core.plugin.across import pair_command
from vsg_core.records.across import DIFFERENCES, SIZE, TUNING
from vsg_core.weights import registry

MODEL = """
[[model]]
name = "{}"
family = "any"
series = "one"
kind = "{}"
parameters = {}
size = {}
sources = [{{ kind = "hub", repo = "nobody/any" }}]
"""


def test_it_names_the_pair_with_the_least_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [("large", 900, 1800), ("small", 100, 200), ("middle", 300, 600)]
    path = tmp_path / "registry.toml"
    path.write_text("".join(MODEL.format(name, "instruct", *sizes) for name, *sizes in models))
    monkeypatch.setattr(registry, "REGISTRY", path)
    assert pair_command(SIZE) == "pytest --model small --model middle"
    assert pair_command(TUNING) == ""


def test_the_registry_has_a_pair_for_every_difference() -> None:
    """A claim that was not run for lack of records can always name a command."""
    assert all(pair_command(difference).count("--model") == 2 for difference in DIFFERENCES)
