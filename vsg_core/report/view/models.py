"""Names of models as people read them, with the precision of quantised weights."""

from __future__ import annotations

from vsg_core.records.record import ModelReference
from vsg_core.report.view.rows import Report
from vsg_core.vocabulary import form_text


def quantised_text(model: ModelReference) -> str:
    """Return the precision of quantised weights in words ("4-bit"); empty for a model of unquantised weights."""
    return form_text(model.form) if model.quantised and model.form else ""


def shown_name(model: ModelReference) -> str:
    """qwen2.5-coder-0.5b-instruct (4-bit); the name alone for a model of unquantised weights."""
    precision = quantised_text(model)
    return f"{model.name} ({precision})" if precision else model.name


def shown_names(report: Report) -> dict[str, str]:
    """The models of a report in its order, by name; last the name that stands for several models, if it is used."""
    shown = {model.name: shown_name(model) for model in report.models}
    return {name: shown.get(name, name) for name in report.names}
