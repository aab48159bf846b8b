"""Looks at the concept tokens of a model: one JSON file per model, in microscope/ next to records/."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.files import write_atomically

SCHEMA_VERSION = 1
FOLDER = "microscope"


def write_microscope(record: Mapping[str, Any], reports: str | Path) -> Path:
    """Write it to `reports`/microscope/MODEL.json, whole or not at all; returns the path.

    Raises:
        WrongUse: the model's name cannot name a file.
        VsgError: the file cannot be written.
    """
    name = record["model"]["name"]
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise WrongUse(f"{name!r} cannot name a file: use letters, digits, '.', '-', '_' and '+'")
    text = json.dumps(record, ensure_ascii=True, allow_nan=False, indent=1)
    return write_atomically(Path(reports, FOLDER, f"{name}.json"), text + "\n")


def read_microscopes(reports: str | Path) -> list[dict[str, Any]]:
    """All in `reports`/microscope, by model; none where there is no such folder.

    Raises:
        VsgError: a file is damaged, or of another schema; one line that names it.
    """
    found = []
    for path in sorted(Path(reports, FOLDER).glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise VsgError(
                f"damaged {path}: {error}; delete it and run a claim on that model again"
            ) from error
        version = record.get("schema") if isinstance(record, dict) else None
        if version != SCHEMA_VERSION:
            raise VsgError(f"{path} has schema {version!r}, not {SCHEMA_VERSION}; delete it and run again")
        found.append(record)
    return found
