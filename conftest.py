"""Loads the plugin that runs claims, and every module in fixtures/: any claim may ask for what it defines."""

from __future__ import annotations

from pathlib import Path

_fixtures = sorted(path.stem for path in (Path(__file__).parent / "fixtures").glob("[!_]*.py"))
# pytester runs the tests of the suite itself (tests/).
pytest_plugins = ["pytester", "vsg_core.plugin", *(f"fixtures.{name}" for name in _fixtures)]
