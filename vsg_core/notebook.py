"""How verdicts, mixtures and claims show themselves in a notebook: HTML in which what a model wrote is text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Template

from vsg_core.report import measures
from vsg_core.report.rows import Report
from vsg_core.report.terms import unit_of_arm
from vsg_core.templating import environment

if TYPE_CHECKING:
    from vsg_core.judging.rules import Judgement
    from vsg_core.writers import ConceptToken

SHOWN = 10  # tokens of a mixture


def judgement_html(judgement: Judgement) -> str:
    """A verdict, what it rests on, and how each control came out."""
    rows = [{**arm, "measured": _plain(arm)} for arm in judgement.controls]
    return _show("judgement", judgement, rows)


def record_html(record: Mapping[str, Any]) -> str:
    """A record: the claim, its verdict on this model, the rule, what was reported, and every other arm."""
    rows = [
        {**arm, "measured": _in_unit(arm, unit_of_arm(arm, record["bound"]))} for arm in record["controls"]
    ]
    return _show("record", record, _in_unit(record, measures.unit_of(record["bound"])), rows)


def concept_html(concept: ConceptToken) -> str:
    """A mixture's heaviest tokens with their weights as bars; their ids where nothing can spell them."""
    shown = list(zip(concept.token_ids, concept.weights, strict=True))[:SHOWN]
    rows = [(_spelled(concept, token), weight) for token, weight in shown]
    rest = max(0.0, 1 - sum(weight for _, weight in shown))
    return _show("mixture", rows, len(concept.token_ids) > SHOWN, rest, concept.entropy)


def _spelled(concept: ConceptToken, token_id: int) -> str:
    return f"token {token_id}" if concept.tokenizer is None else concept.tokenizer.decode([token_id])


def table_html(report: Report) -> str:
    """Claims by models, grouped by question."""
    return _show("table", report)


def _in_unit(arm: Mapping[str, Any], unit: str) -> str:
    return f"{measures.estimate(arm, unit)} {measures.interval(arm['interval'], unit)}".strip()


def _plain(arm: Mapping[str, Any]) -> str:
    """Numbers as they are: a judgement does not keep what unit its rule counts in."""
    ends = "" if arm["interval"] is None else " [{:.3g}, {:.3g}]".format(*arm["interval"])
    return f"{arm['estimate']:.3g}{ends}"


def _show(macro: str, *arguments: Any) -> str:
    return str(getattr(_template().module, macro)(*arguments))


@cache
def _template() -> Template:
    return environment(Path(__file__).parent).get_template("notebook.html")
