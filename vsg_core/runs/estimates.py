"""Durations of claims, estimated from the records of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.records.files import ARCHIVE, FOLDER, archive_members, read_text

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Duration:
    """The duration of one claim on one model, as it was measured.

    Args:
        parameters: those of the model; None if they are not known.
    """

    seconds: float
    parameters: int | None


@dataclass
class Estimates:
    """The durations of claims.

    Args:
        durations: what was measured, by claim and then by model.
    """

    durations: dict[str, dict[str, Duration]] = field(default_factory=dict)

    @classmethod
    def of(cls, *reports: str | Path) -> Estimates:
        """Read the durations of records, in files or in archives.

        Args:
            reports: folders of reports: that of the run, then those of other machines for what it lacks.
        """
        estimates = cls()
        for folder in reports:
            estimates.fill(_measured(Path(folder)))
        return estimates

    def fill(self, others: Iterable[tuple[str, str, Duration]]) -> None:
        """Add what another machine measured and this one did not, by the speeds of both on what both measured.

        Args:
            others: model, claim and duration.
        """
        missing: list[tuple[str, str, Duration]] = []
        ratios: list[float] = []
        for model, claim, other in others:
            own = self.durations.get(claim, {}).get(model)
            if own is None:
                missing.append((model, claim, other))
            elif other.seconds > 0:
                ratios.append(own.seconds / other.seconds)
        ratio = median(ratios) if ratios else 1.0
        for model, claim, other in missing:
            found = Duration(other.seconds * ratio, other.parameters)
            self.durations.setdefault(claim, {})[model] = found

    def seconds(self, claim: str, model: str, parameters: int | None) -> float | None:
        """Seconds that a claim takes on a model: as it did there, else on the model nearest in size, times the ratio.

        None if no record gives it.
        """
        known = self.durations.get(claim, {})
        if model in known:
            return known[model].seconds
        if not parameters:
            return None
        ratios = {name: parameters / each.parameters for name, each in known.items() if each.parameters}
        if not ratios:
            return None
        nearest = min(sorted(ratios), key=lambda name: max(ratios[name], 1 / ratios[name]))
        return known[nearest].seconds * ratios[nearest]


def duration_text(seconds: float) -> str:
    """A duration in words, rounded: "40 s", "12 min", "3.5 h"."""
    if seconds < 1.5 * MINUTE:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 1.5 * HOUR else f"{seconds / HOUR:.1f} h"


def _measured(reports: Path) -> Iterator[tuple[str, str, Duration]]:
    """Model, claim and duration of each record with trials, from three lines of its file; damaged ones are skipped."""
    for place, text in _texts(reports):
        try:
            lines = {line.partition(":")[0]: line for line in text.splitlines() if line.startswith('"')}
            run, model = (_value(lines[f'"{name}"']) for name in ("run", "model"))
            if run.get("seconds") is not None and lines.get('"trials"', "").rstrip(",") != '"trials":[]':
                yield place.parent.name, place.stem, Duration(run["seconds"], model.get("parameters"))
        except (KeyError, TypeError, ValueError):
            # The run that meets a damaged record reports it.
            continue


def _texts(reports: Path) -> Iterator[tuple[Path, str]]:
    """The place MODEL/CLAIM.json of each record and its text; those in files come last, and so count."""
    if (archive := reports / ARCHIVE).is_file():
        with suppress(VsgError):
            for name, text in archive_members(archive):
                yield Path(name), text
    for path in sorted((reports / FOLDER).glob("*/*.json")):
        # The run that meets a damaged record reports it.
        with suppress(VsgError):
            yield path, read_text(path)


def _value(line: str) -> dict[str, Any]:
    """The value of a line `"name":{...},` of a record."""
    value = json.loads(line.partition(":")[2].rstrip(","))
    if not isinstance(value, dict):
        raise TypeError(line)
    return value
