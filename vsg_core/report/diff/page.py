"""Two runs compared, as one HTML file in the style of the claim report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from vsg_core.markup.templating import environment
from vsg_core.records.files import write_atomically
from vsg_core.report import page
from vsg_core.report.diff.runs import KINDS, Pair, RunDiff
from vsg_core.report.diff.text import TOLD, headline
from vsg_core.report.view.arms import Arm, arms_of
from vsg_core.report.view.axis import Axis, axis_for
from vsg_core.report.view.cells import Record
from vsg_core.report.view.measures import several, thresholds
from vsg_core.wording import unit_of

REPORT = Path(page.__file__).parent  # its stylesheet and its macros


@dataclass(frozen=True)
class Side:
    """What one run says of a claim on a model; nothing where it has no record of it."""

    name: str  # "A" or "B"
    arm: Arm | None = None
    axis: Axis | None = None


@dataclass(frozen=True)
class Row:
    """A pair as the page shows it."""

    pair: Pair

    @property
    def sides(self) -> list[Side]:
        """Both runs on one scale, where they measure the same thing, each with its own rule's threshold."""
        both = [record for record in (self.pair.a, self.pair.b) if record is not None]
        return [_side("A", self.pair.a, both), _side("B", self.pair.b, both)]


def write_diff(diff: RunDiff, names: tuple[str, str], path: str | Path) -> Path:
    """Write the comparison to `path`, and return it.

    Raises:
        VsgError: the file cannot be written.
    """
    return write_atomically(Path(path), render(diff, names))


def render(diff: RunDiff, names: tuple[str, str]) -> str:
    """The page; `names` are what the runs are called."""
    template = environment(Path(__file__).parent, REPORT).get_template("diff.html")
    return template.render(
        diff=diff,
        runs=list(zip("AB", names, (diff.a, diff.b), strict=True)),
        kinds=KINDS,
        told={kind: _by_claim(diff.of(kind)) for kind in TOLD if diff.of(kind)},
        headline=headline(diff),
        several=several,
        style=Markup((REPORT / "page.css").read_text(encoding="utf-8")),
    )


def _by_claim(pairs: Sequence[Pair]) -> list[list[Row]]:
    """The rows of each claim, in the order of the report."""
    return [[Row(pair) for pair in group] for _, group in groupby(pairs, key=lambda pair: pair.claim)]


def _side(name: str, record: Record | None, both: Sequence[Record]) -> Side:
    if record is None:
        return Side(name)
    alike = [other for other in both if unit_of(other["bound"]) == unit_of(record["bound"])]
    places = [place for other in alike for place in (*thresholds(other["bound"]), *arms_of(other)[0].numbers)]
    return Side(name, arms_of(record)[0], axis_for(record["bound"], places))
