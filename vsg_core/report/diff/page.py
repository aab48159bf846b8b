"""Two runs compared, as one HTML file in the style of the claim report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from vsg_core.markup.templating import environment
from vsg_core.records.files import write_atomically
from vsg_core.records.record import Record
from vsg_core.report import page
from vsg_core.report.diff.pairs import CHANGES, RecordPair
from vsg_core.report.diff.runs import RunDiff
from vsg_core.report.diff.text import LISTED, headline
from vsg_core.report.view.arms import Arm, arms_of
from vsg_core.report.view.axis import Axis, axis_for
from vsg_core.report.view.models import shown_name
from vsg_core.report.view.status import EXPLORATORY
from vsg_core.report.view.terms import thresholds
from vsg_core.wording import count_text

# The folder of the claim report's stylesheet and macros.
REPORT = Path(page.__file__).parent


@dataclass(frozen=True)
class Side:
    """The record of one run, as numbers on an axis.

    Args:
        name: "A" or "B".
        arm, axis: None where the run has no record.
    """

    name: str
    arm: Arm | None = None
    axis: Axis | None = None


@dataclass(frozen=True)
class Row:
    """A pair as the page shows it."""

    pair: RecordPair

    @property
    def model(self) -> str:
        return shown_name(self.pair.record.model)

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
        meanings=CHANGES,
        listed={change: _by_claim(diff.of(change)) for change in LISTED if diff.of(change)},
        unchanged={
            change: [Row(pair) for pair in diff.of(change)]
            for change in CHANGES
            if change not in LISTED and diff.of(change)
        },
        headline=headline(diff),
        count_text=count_text,
        exploratory=EXPLORATORY,
        style=Markup((REPORT / "page.css").read_text(encoding="utf-8")),
    )


def _by_claim(pairs: Sequence[RecordPair]) -> list[list[Row]]:
    """The rows of each claim, in the order of the report."""
    return [[Row(pair) for pair in group] for _, group in groupby(pairs, key=lambda pair: pair.claim)]


def _side(name: str, record: Record | None, both: Sequence[Record]) -> Side:
    if record is None:
        return Side(name)
    alike = [other for other in both if other.unit == record.unit]
    return Side(
        name, arms_of(record)[0], axis_for(record.claim.rule, [x for r in alike for x in _numbers(r)])
    )


def _numbers(record: Record) -> Sequence[float]:
    """Numbers of a record that an axis must show: the rule's thresholds, the estimate, the ends of the interval."""
    return [*thresholds(record.claim.rule), *arms_of(record)[0].numbers]
