"""The order of claims: by model, gates first, then those across models, whatever reordered or repeated the items."""

from __future__ import annotations

import pytest

from vsg_core.plugin.across import is_across
from vsg_core.plugin.gates import is_gate
from vsg_core.plugin.selection import claim_of, lm_of, selected_of
from vsg_core.vocabulary import ACROSS


# The last hook before the first test, after every plugin that sorts, shuffles or repeats.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Group the claims by model, so that each is loaded once; a claim across models needs what this run measures."""
    places = {model: place for place, model in enumerate(dict.fromkeys(map(lm_of, session.items)))}
    session.items.sort(key=lambda item: (is_across(item), places[lm_of(item)], not is_gate(item)))


def model_name(item: pytest.Item) -> str | None:
    """The name under which a claim's record is written; None for other tests."""
    if is_across(item):
        return ACROSS
    model = selected_of(item)
    return model.name if model and claim_of(item) else None
