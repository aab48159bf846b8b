"""Misspelt fixtures of claims, found when claims are collected and not when the first of them is set up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any

import pytest

# What pytest itself gives to any test.
GIVEN = frozenset({"request"})


# Before -k and -m deselect any: a claim whose `lm` is misspelt has no model, and -m would leave it out silently.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: Sequence[pytest.Item]
) -> None:
    """Refuse claims that ask for fixtures which do not exist, themselves or through another fixture; names them all."""
    if config.option.showfixtures or config.option.show_fixtures_per_test:
        return
    missing: dict[tuple[str, str], str] = {}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.function, "claim"):
            for name, asker in _missing(item):
                if (name, asker) not in missing:
                    missing[name, asker] = _advice(name, _known(session, item))
    if missing:
        raise pytest.UsageError("; ".join(_line(*asked, advice) for asked, advice in missing.items()))


def _missing(item: pytest.Function) -> Iterator[tuple[str, str]]:
    """Yield the names that nothing defines, each with what asks for it."""
    # Arguments that a test is parametrized with have definitions too.
    definitions = item._fixtureinfo.name2fixturedefs
    unknown = [name for name in item.fixturenames if name not in GIVEN and name not in definitions]
    if not unknown:
        return
    fixtures = {f"the fixture {name}": found[-1].argnames for name, found in definitions.items()}
    askers = {f"{item.originalname} in {item.path.name}": item._fixtureinfo.initialnames, **fixtures}
    for name in unknown:
        yield from ((name, asker) for asker, asked in askers.items() if name in asked)


def _known(session: pytest.Session, item: pytest.Function) -> list[str]:
    """The names of the fixtures that a claim may ask for."""
    manager: Any = session._fixturemanager
    # Versions of pytest keep them in tables of different names.
    tables = [table for attribute, table in vars(manager).items() if attribute.startswith("_arg2")]
    names = [name for name in dict.fromkeys(chain(*tables)) if not name.startswith("_")]
    return [name for name in names if manager.getfixturedefs(name, item)]


def _advice(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=2)
    return (
        f"did you mean {' or '.join(close)}?"
        if close
        else "`pytest --fixtures hypotheses` lists those there are"
    )


def _line(name: str, asker: str, advice: str) -> str:
    return f"no fixture {name}, which {asker} asks for: {advice}"
