"""The name under which a model is recorded: one name, one set of weights.

A model outside the registry is named by its folder, file or hub id. Where other weights have that name already, in the
run, in its folder of reports or among the recorded verdicts, the name ends with the start of the weights' digest.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.files import held_by, model_names
from vsg_core.records.recorded import read_recorded
from vsg_core.weights.names import DIGITS, with_digest


@dataclass(frozen=True)
class Named:
    """A model to be named.

    Args:
        target: what was given to --model.
        name: its name, from its folder, file or hub id.
        weights: returns its sha256 or revision; empty if its weights are not on this machine. It may take seconds.
    """

    target: str
    name: str
    weights: Callable[[], str]


def recorded_names(models: Sequence[Named], reports: Path, *recorded: Path) -> list[str]:
    """Return the names under which the models of a run are recorded, in the same order.

    Digests are computed only where a name is taken.

    Raises:
        WrongUse: two of the models have the same name and the same weights.
    """
    taken = Taken(reports, *recorded)
    times = Counter(model.name for model in models)
    names = [_recorded_name(model, times[model.name] > 1, taken) for model in models]
    for name, count in Counter(names).items():
        if count > 1:
            twice = [
                f"--model {model.target}" for model, own in zip(models, names, strict=True) if own == name
            ]
            raise WrongUse(f"{' and '.join(twice)} have the same weights: give one of them")
    return names


class Taken:
    """The names that records in a folder of reports, and folders of recorded verdicts, give to weights."""

    def __init__(self, reports: Path, *recorded: Path) -> None:
        self.reports, self.recorded = reports, recorded
        self.weights = cache(self._weights)

    def _weights(self, name: str) -> frozenset[str]:
        """The weights that have a name. Recorded verdicts that cannot be read are reported by the claims."""
        try:
            verdicts = [
                verdict for folder in self.recorded for verdict in read_recorded(folder, name).values()
            ]
            accepted = {verdict.weights for verdict in verdicts}
        except VsgError:
            accepted = set()
        return frozenset(held_by(self.reports, name) | accepted - {""})

    def with_digests(self, name: str) -> bool:
        """Return whether the name with any digest is taken."""
        longer = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{DIGITS}}}")
        names = model_names(self.reports) | {
            path.stem for folder in self.recorded for path in folder.glob("*.toml")
        }
        return any(map(longer.fullmatch, names))


def _recorded_name(model: Named, shared: bool, taken: Taken) -> str:
    holders = taken.weights(model.name)
    if not shared and not holders and not taken.with_digests(model.name):
        return model.name
    weights = model.weights()
    if not weights:
        # Not downloaded yet: its records keep those of other weights apart when they are written.
        digest = hashlib.sha256(model.target.encode("utf-8", "surrogateescape")).hexdigest()
        return with_digest(model.name, digest) if shared else model.name
    name = with_digest(model.name, weights)
    if weights in holders or not (shared or holders or taken.weights(name)):
        return model.name
    # Eight digits are the same for two sets of weights once in four billion times.
    return name if taken.weights(name) <= {weights} else with_digest(model.name, weights, 2 * DIGITS)
