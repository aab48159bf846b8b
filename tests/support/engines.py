"""The transformers engine of a language model, for tests of what is inside it."""

from __future__ import annotations

from vsg_core import LanguageModel
from vsg_core.generator.engine import State, TransformersEngine
from vsg_core.generator.engine.forward import PaddedState


def engine_of(lm: LanguageModel) -> TransformersEngine:
    """Return the engine, which has members that a LanguageModel does not use: its model, its paths, its runners."""
    assert isinstance(lm.engine, TransformersEngine)
    return lm.engine


def padded(state: State) -> PaddedState:
    """Return a state of that engine as what it is, with its cache and its mask."""
    assert isinstance(state, PaddedState)
    return state
