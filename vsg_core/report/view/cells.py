"""One claim on one model, as the page, the terminal and the summary show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vsg_core.report.view import arms, measures
from vsg_core.report.view.arms import Arm
from vsg_core.report.view.examples import Example, Table, all_trials, chosen

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One claim on one model."""

    record: Record
    arms: Sequence[Arm]  # the claim itself, then its controls
    was: Sequence[str]  # the recorded verdict, its estimate and its interval; empty without one
    tag: str  # "changed", "weakened", "new", "not comparable" or "broken"; nothing when as recorded
    day: str  # when it was measured, if that was on another day than the newest one
    earlier: str  # that, or the commit where only that differs
    other_rule: bool  # judged under another rule than its claim has now

    @property
    def verdict(self) -> str:
        return self.record["verdict"]

    @property
    def model(self) -> str:
        return self.record["model"]["name"]

    @property
    def flagged(self) -> bool:
        """Whether it must stand out."""
        return self.tag in ("changed", "weakened", "broken")

    @property
    def failed_controls(self) -> list[Arm]:
        """Controls that did not come out as they must; positive ones are the reason of a claim not run."""
        return [arm for arm in self.arms if arm.kind == "control" and arm.verdict != "holds"]

    def examples(self, few: bool = False) -> list[Example]:
        return chosen(self.record, few)

    @property
    def tables(self) -> list[Table]:
        """All trials, arm by arm."""
        return all_trials(self.record)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens that went through the model per second of its forward passes."""
        made = self.record["provenance"]
        return (
            made["tokens"] / made["forward_seconds"]
            if made.get("tokens") and made.get("forward_seconds")
            else None
        )


def cell_of(record: Record, newest: Record, newest_of_all: Record) -> Cell:
    """A record as a cell, beside the newest one of its claim and the newest one of all."""
    day = _day(record, newest_of_all)
    return Cell(
        record=record,
        arms=arms.arms_of(record),
        was=_recorded(record),
        tag="" if record["outcome"] in ("same", "not run") else record["outcome"],
        day=day,
        earlier=day or _commit(record, newest_of_all),
        other_rule=record["rule"] != newest["rule"],
    )


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


def _day(record: Record, newest: Record) -> str:
    day, last = started(record).date(), started(newest).date()
    return day.isoformat() if day != last else ""


def _commit(record: Record, newest: Record) -> str:
    commits = [r["provenance"].get("commit") or "" for r in (record, newest)]
    return f"at commit {commits[0][:7]}" if commits[0] != commits[1] and commits[0] else ""
