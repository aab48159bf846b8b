"""Where the cells of a model come from: cells made by the same bytes, code and machine are told together."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsg_core import registry
from vsg_core.report.rows import Cell, Report

_SHARED = ("model_sha256", "dtype", "device", "engine", "versions", "commit", "dirty", "machine")


@dataclass(frozen=True)
class Origin:
    """What several cells of one model share, and those cells."""

    model: Mapping[str, Any]
    made: Mapping[str, Any]  # the provenance of the first of them
    cells: Sequence[Cell]

    @property
    def facts(self) -> dict[str, str]:
        """What to show of it, by name, without what is not known."""
        made, model = self.made, self.model
        commit = made.get("commit") and made["commit"] + (
            " with uncommitted changes" if made.get("dirty") else ""
        )
        parameters = model.get("parameters") and f"{model['parameters'] / 1e6:,.0f} million"
        facts = {
            "sha256": model.get("sha256") or made.get("model_sha256"),
            "Revision": model.get("revision"),
            "Weights from": model.get("source"),
            "Parameters": parameters,
            "Computed in": " on ".join(made[key] for key in ("dtype", "device") if made.get(key)),
            "Machine": made.get("machine"),
            "Versions": ", ".join(
                f"{name} {version}" for name, version in (made.get("versions") or {}).items()
            ),
            "Code": commit,
        }
        return {name: str(fact) for name, fact in facts.items() if fact}


def origins(report: Report, model: str) -> list[Origin]:
    """The origins of a model's cells, in the order of the claims."""
    groups: dict[str, list[Cell]] = {}
    for cell in report.cells:
        if cell.model == model:
            made = cell.record["provenance"]
            groups.setdefault(json.dumps([made.get(key) for key in _SHARED], sort_keys=True), []).append(cell)
    return [
        Origin(cells[0].record["model"], cells[0].record["provenance"], cells) for cells in groups.values()
    ]


def command(record: Mapping[str, Any]) -> str:
    """What measures this cell again, and no other: the brackets around the model end the name that -k looks for."""
    name, dtype = record["model"]["name"], record["provenance"].get("dtype") or "float32"
    words = ["pytest", "--model", _target(record["model"]), "-k", f"test_{record['claim']}[{name}]"]
    return shlex.join([*words, *(["--dtype", dtype] if dtype != "float32" else [])])


def _target(model: Mapping[str, Any]) -> str:
    """What --model takes for it: its name, or where it is if the registry does not know it."""
    kind, _, place = (model.get("source") or "").partition(" ")
    known = model["name"] in {entry.name for entry in registry.entries()}
    return place if kind in ("folder", "file", "hub") and not known else model["name"]
