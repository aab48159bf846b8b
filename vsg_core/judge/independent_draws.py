"""A backend of Hypothesis whose draws depend on the seed alone, each independent of the others.

Hypothesis' own backend also draws constants that it finds in the source of whatever modules are imported, and
varies earlier draws: evidence would change with the selection of tests, and trials would not be independent.
Backends are an experimental interface of Hypothesis; a test guards that this one does what it says.
"""

from __future__ import annotations

from typing import Any

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

BACKEND = "independent-draws"


class IndependentDraws(HypothesisProvider):
    """Draws like Hypothesis, but without constants taken from source code."""

    def _maybe_draw_constant(self, *args: Any, **kwargs: Any) -> None:
        return None


AVAILABLE_PROVIDERS[BACKEND] = f"{__name__}.{IndependentDraws.__name__}"
