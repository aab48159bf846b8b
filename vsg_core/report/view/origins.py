"""Where the cells of a model come from: cells made by the same bytes, code and machine are told together."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsg_core.report.view.cells import Cell
from vsg_core.report.view.measures import several
from vsg_core.report.view.rows import Report
from vsg_core.vocabulary import ACROSS
from vsg_core.weights import registry

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
            "Measured": self.spent,
            "Seeds": ", ".join(str(seed) for seed in sorted({cell.record["seed"] for cell in self.cells})),
        }
        return {name: str(fact) for name, fact in facts.items() if fact}

    @property
    def spent(self) -> str:
        """How many cells, how long they took together, and how fast the tokens went through."""
        made = [cell.record["provenance"] for cell in self.cells]
        seconds, forward, tokens = (
            sum(one.get(key) or 0 for one in made) for key in ("seconds", "forward_seconds", "tokens")
        )
        text = f"{several(len(self.cells), 'claim')} in {seconds:,.0f} s"
        return text + (
            f", {tokens:,} tokens at {tokens / forward:,.0f} per second of forward passes" if forward else ""
        )


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


def rests_on(record: Mapping[str, Any]) -> list[str]:
    """The records that a claim across models was judged over, as "claim on model"."""
    used = record["provenance"].get("records") or []
    return list(dict.fromkeys(f"{each['claim']} on {each['model']}" for each in used))


def command(record: Mapping[str, Any]) -> str:
    """What measures this cell again, and no other: the brackets around the model end the name that -k looks for."""
    model = record["model"]
    chosen = f"test_{record['claim']}" + ("" if model["name"] == ACROSS else f"[{model['name']}]")
    return _pytest(model, record["provenance"], ["-k", chosen])


def model_command(model: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """What measures all claims on a model again, under the same dtype."""
    return _pytest(model, made, [])


def _pytest(model: Mapping[str, Any], made: Mapping[str, Any], which: Sequence[str]) -> str:
    dtype = made.get("dtype") or "float32"
    on = [] if model["name"] == ACROSS else ["--model", _target(model)]
    return shlex.join(["pytest", *on, *which, *(["--dtype", dtype] if dtype != "float32" else [])])


def _target(model: Mapping[str, Any]) -> str:
    """What --model takes for it: its name, or where it is if the registry does not know it."""
    kind, _, place = (model.get("source") or "").partition(" ")
    known = model["name"] in {entry.name for entry in registry.entries()}
    return place if kind in ("folder", "file", "hub") and not known else model["name"]
