"""The precision of a model's weights, which is part of its name wherever they are quantised."""

from __future__ import annotations

from vsg_core.records.record import ModelReference
from vsg_core.vocabulary import form_text


def quantised_text(model: ModelReference) -> str:
    """Return the precision of quantised weights in words ("4-bit"); empty for a model of unquantised weights."""
    return form_text(model.form) if model.quantised and model.form else ""
