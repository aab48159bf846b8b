"""What the report shows, arranged from evidence records alone: models, claims, and a cell for each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from vsg_core.report.view import arms, curves, findings, measures
from vsg_core.report.view.arms import Group
from vsg_core.report.view.axis import Axis
from vsg_core.report.view.cells import Cell, Record, cell_of, started
from vsg_core.report.view.terms import Terms
from vsg_core.vocabulary import ACROSS, VERDICTS


@dataclass(frozen=True)
class ClaimRow:
    """One claim over all models; its words are those of its newest record."""

    record: Record
    axis: Axis
    cells: Mapping[str, Cell]  # by the model's name

    @property
    def wanted(self) -> str:
        return measures.wanted(self.record["bound"])

    @property
    def terms(self) -> Terms:
        return Terms.of(self.record)

    @property
    def across(self) -> Cell | None:
        """The cell that is judged over several models at once."""
        return self.cells.get(ACROSS)

    @property
    def headline(self) -> bool:
        """Whether the study is known for it; records made before this was noted do not say."""
        return self.record.get("headline", False)

    @property
    def standing(self) -> str:
        """One of findings.STANDINGS."""
        return findings.standing(cell.verdict for cell in self.cells.values())

    @cached_property
    def distance(self) -> float:
        """How far it is from what was reported; see findings.distance."""
        return findings.distance([cell.record for cell in self.cells.values()])

    @cached_property
    def curves(self) -> list[curves.Curves]:
        return curves.curves_of(list(self.cells.values()))

    @property
    def groups(self) -> list[Group]:
        """The lines of its forest plot; arms that a curve shows are left out."""
        drawn = {name for found in self.curves for name in found.arms}
        return arms.groups(list(self.cells.values()), self.axis, drawn)

    @property
    def tally(self) -> list[tuple[str, list[Cell]]]:
        """(verdict, the cells with it), in the order of VERDICTS, without empty ones."""
        by = [(verdict, [c for c in self.cells.values() if c.verdict == verdict]) for verdict in VERDICTS]
        return [(verdict, cells) for verdict, cells in by if cells]


@dataclass(frozen=True)
class Report:
    """Everything that the page and the terminal show."""

    models: Sequence[Mapping[str, Any]]  # record["model"] of each, by family and size; ACROSS is none
    questions: Mapping[str, Sequence[ClaimRow]]
    newest: datetime | None  # when the newest record was begun

    @property
    def claims(self) -> list[ClaimRow]:
        return [row for rows in self.questions.values() for row in rows]

    @property
    def cells(self) -> list[Cell]:
        return [cell for row in self.claims for cell in row.cells.values()]

    @property
    def not_run(self) -> dict[str, list[Cell]]:
        """Each reason once, which says what would change it, with what it kept from running."""
        reasons: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.verdict == "not run" and cell.tag != "broken":
                reasons.setdefault(cell.record["reason"], []).append(cell)
        return reasons

    @property
    def names(self) -> list[str]:
        """The names of the models, and ACROSS last where a claim is judged over several."""
        names = [model["name"] for model in self.models]
        return names + [ACROSS] * any(row.across for row in self.claims)

    @property
    def families(self) -> list[str]:
        return sorted({model["family"] for model in self.models if model.get("family")})

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def standings(self) -> dict[str, int]:
        """How many claims stand how."""
        found = Counter(row.standing for row in self.claims)
        return {standing: found[standing] for standing in findings.STANDINGS}

    @property
    def farthest(self) -> list[ClaimRow]:
        """The three claims whose findings contradict most what was reported; fewer when fewer do."""
        against = [row for row in self.claims if row.distance > 0]
        return sorted(against, key=lambda row: -row.distance)[:3]

    @property
    def earlier(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.earlier]

    @property
    def confirmed(self) -> list[Cell]:
        """Cells whose verdict is the recorded one."""
        return [cell for cell in self.cells if cell.record["outcome"] == "same"]

    def tagged(self, *tags: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.tag in tags]


def report_of(records: Iterable[Record]) -> Report:
    """Arrange records. Of two for the same claim and model the newer one counts."""
    by_age = sorted(records, key=started)
    by_claim: dict[str, dict[str, Record]] = {}
    for record in by_age:
        by_claim.setdefault(record["claim"], {})[record["model"]["name"]] = record
    models = {record["model"]["name"]: record["model"] for record in by_age}
    order = sorted(
        (model for name, model in models.items() if name != ACROSS),
        key=lambda m: (m.get("family") or "", m.get("parameters") or 0, m["name"]),
    )
    names = [*(model["name"] for model in order), ACROSS]
    rows = [_row(found, names, by_age[-1]) for found in by_claim.values()]
    questions: dict[str, list[ClaimRow]] = {}
    for row in rows:
        questions.setdefault(row.record["question"], []).append(row)
    return Report(order, _ordered(questions), started(by_age[-1]) if by_age else None)


def _ordered(questions: Mapping[str, Sequence[ClaimRow]]) -> dict[str, Sequence[ClaimRow]]:
    """Questions with a headline claim first, and headline claims first in them; the rest by the question's words,
    and within it as they first ran."""
    headline_first = {
        question: sorted(rows, key=lambda row: not row.headline) for question, rows in questions.items()
    }
    return dict(sorted(headline_first.items(), key=lambda pair: (not pair[1][0].headline, pair[0])))


def _row(by_model: Mapping[str, Record], order: Sequence[str], newest_of_all: Record) -> ClaimRow:
    newest = max(by_model.values(), key=started)
    cells = {name: cell_of(by_model[name], newest, newest_of_all) for name in order if name in by_model}
    return ClaimRow(newest, arms.axis_of(newest["bound"], [a for c in cells.values() for a in c.arms]), cells)
