"""What the report shows, arranged from evidence records alone: models, claims, and a cell for each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vsg_core.report import examples, measures
from vsg_core.report.axis import Axis, axis_for

Record = Mapping[str, Any]

VERDICTS = ("holds", "refuted", "inconclusive", "not run")


@dataclass(frozen=True)
class Arm:
    """One line of numbers: the claim itself on a model, or one of its controls or comparisons."""

    name: str
    kind: str  # "claim", "control", "positive control" or "comparison"
    verdict: str | None
    rule: str | None
    estimate: str
    interval: str
    n: int | None
    axis: Axis | None  # the scale it is drawn on; None when there is nothing to draw
    place: float | None  # of the estimate on that axis
    ends: tuple[float, float] | None  # of the interval

    @property
    def needs(self) -> str:
        """The bound of its rule, without how many trials it takes."""
        return (self.rule or "").partition(", at least ")[0]


@dataclass(frozen=True)
class Cell:
    """One claim on one model."""

    record: Record
    arms: Sequence[Arm]  # the claim itself, then its controls
    was: Sequence[str]  # the recorded verdict, its estimate and its interval; empty without one
    tag: str  # "changed", "weakened", "new", "not comparable" or "broken"; nothing when as recorded
    earlier: str  # when it was measured, if that was before this run
    other_rule: bool  # judged under another rule than its claim has now

    @property
    def verdict(self) -> str:
        return self.record["verdict"]

    @property
    def model(self) -> str:
        return self.record["model"]["name"]

    @property
    def failed_controls(self) -> list[Arm]:
        """Controls that did not come out as they must; positive ones are the reason of a claim not run."""
        return [arm for arm in self.arms if arm.kind == "control" and arm.verdict != "holds"]

    @property
    def examples(self) -> list[examples.Example]:
        return examples.chosen(self.record)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens that went through the model per second of its forward passes."""
        made = self.record["provenance"]
        return (
            made["tokens"] / made["forward_seconds"]
            if made.get("tokens") and made.get("forward_seconds")
            else None
        )


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
    def tally(self) -> list[tuple[str, list[Cell]]]:
        """(verdict, the cells with it), in the order of VERDICTS, without empty ones."""
        by = [(verdict, [c for c in self.cells.values() if c.verdict == verdict]) for verdict in VERDICTS]
        return [(verdict, cells) for verdict, cells in by if cells]


@dataclass(frozen=True)
class Report:
    """Everything that the page and the terminal show."""

    models: Sequence[Mapping[str, Any]]  # record["model"] of each, by family and size
    questions: Mapping[str, Sequence[ClaimRow]]
    newest: datetime | None  # when the newest record was begun

    @property
    def claims(self) -> list[ClaimRow]:
        return [row for rows in self.questions.values() for row in rows]

    @property
    def cells(self) -> list[Cell]:
        return [cell for row in self.claims for cell in row.cells.values()]

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(cell.verdict for cell in self.cells)
        return {verdict: found[verdict] for verdict in VERDICTS}

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
        models.values(), key=lambda m: (m.get("family") or "", m.get("parameters") or 0, m["name"])
    )
    rows = [_row(found, [model["name"] for model in order], by_age[-1]) for found in by_claim.values()]
    questions: dict[str, list[ClaimRow]] = {}
    for row in sorted(rows, key=lambda row: row.record["question"]):  # within a question: as they first ran
        questions.setdefault(row.record["question"], []).append(row)
    return Report(order, questions, started(by_age[-1]) if by_age else None)


def started(record: Record) -> datetime:
    """When the record was begun, with a time zone."""
    return datetime.fromisoformat(record["provenance"]["started"]).astimezone()


def _recorded(record: Record) -> list[str]:
    recorded, unit = record["recorded"], measures.unit_of(record["bound"])
    if not recorded:
        return []
    parts = (
        recorded["verdict"],
        measures.estimate(recorded, unit),
        measures.interval(recorded["interval"], unit),
    )
    return [part for part in parts if part]


def _row(by_model: Mapping[str, Record], order: Sequence[str], newest_of_all: Record) -> ClaimRow:
    newest = max(by_model.values(), key=started)
    axis = axis_for(newest["bound"], [place for record in by_model.values() for place in _places(record)])
    cells = {
        name: Cell(
            record=by_model[name],
            arms=_arms(by_model[name], axis),
            was=_recorded(by_model[name]),
            tag="" if by_model[name]["outcome"] in ("same", "not run") else by_model[name]["outcome"],
            earlier=_earlier(by_model[name], newest_of_all),
            other_rule=by_model[name]["rule"] != newest["rule"],
        )
        for name in order
        if name in by_model
    }
    return ClaimRow(newest, axis, cells)


def _places(record: Record) -> list[float]:
    """All numbers that must fit on the claim's axis: those of arms in its own unit."""
    unit = measures.unit_of(record["bound"])
    controls = [arm for arm in record["controls"] if measures.unit_of_arm(arm, record["bound"]) == unit]
    return [place for arm in (record, *controls) for place in _numbers(arm)]


def _numbers(arm: Mapping[str, Any]) -> list[float]:
    return [] if arm["estimate"] is None else [arm["estimate"], *(arm["interval"] or ())]


def _arms(record: Record, axis: Axis) -> list[Arm]:
    bound = record["bound"]
    own = _arm({**record, "name": record["model"]["name"], "kind": "claim"}, measures.unit_of(bound), axis)
    return [own, *(_arm(arm, measures.unit_of_arm(arm, bound), axis) for arm in record["controls"])]


def _arm(arm: Mapping[str, Any], unit: str, axis: Axis) -> Arm:
    """An arm of another unit than the claim's is drawn on a scale of its own."""
    numbers = _numbers(arm)
    if numbers and unit != axis.unit:
        axis = axis_for(
            {"kind": {"percent": "rate", "counterexamples": "always"}.get(unit, "difference")}, numbers
        )
    ends = arm["interval"] if numbers else None
    return Arm(
        name=arm["name"],
        kind=arm["kind"],
        verdict=arm["verdict"],
        rule=arm["rule"],
        estimate=measures.estimate(arm, unit),
        interval=measures.interval(arm["interval"], unit),
        n=arm["n"],
        axis=axis if numbers else None,
        place=axis.at(arm["estimate"]) if numbers else None,
        ends=(axis.at(ends[0]), axis.at(ends[1])) if ends else None,
    )


def _earlier(record: Record, newest: Record) -> str:
    """The date, or the commit when only that differs, of a cell that was not measured with the newest one."""
    day, last = started(record).date(), started(newest).date()
    if day != last:
        return day.isoformat()
    commits = [r["provenance"].get("commit") or "" for r in (record, newest)]
    return f"at commit {commits[0][:7]}" if commits[0] != commits[1] and commits[0] else ""
