"""Mixtures and verdicts as HTML for notebooks, in which everything that a model wrote is text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Template

from vsg_core.markup.templating import environment

# How many tokens of a mixture are shown.
SHOWN = 10


def judgement_html(verdict: str, reason: str, arms: Sequence[Mapping[str, object]]) -> str:
    """A verdict, its reason, and the result of each arm.

    Args:
        arms: role, name, rule, measured, n and verdict of each, as texts.
    """
    return show("judgement", verdict, reason, arms)


def mixture_html(tokens: Sequence[str], weights: Sequence[float], entropy: float) -> str:
    """A mixture's heaviest tokens with their weights as bars."""
    shown = list(zip(tokens, weights, strict=True))[:SHOWN]
    rest = max(0.0, 1 - sum(weight for _, weight in shown))
    return show("mixture", shown, len(tokens) > SHOWN, rest, entropy)


def show(macro: str, *arguments: object) -> str:
    """Render the macro of that name in notebook.html with the arguments."""
    return str(getattr(_template().module, macro)(*arguments))


@cache
def _template() -> Template:
    return environment(Path(__file__).parent).get_template("notebook.html")
