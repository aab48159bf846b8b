"""Jinja2 as every page here needs it: escaped by itself, and with what cannot be seen named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vsg_core.markup.literal import literal, visible


def environment(*folders: Path) -> Environment:
    """Templates of `folders`, with the filter `literal` for text that a model or a claim's author wrote."""
    templates = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["literal"] = literal
    return templates


def _finalize(value: Any) -> Any:
    """Name hidden characters even where a template does not use `literal`."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
