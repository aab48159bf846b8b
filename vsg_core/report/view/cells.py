"""One claim on one model, as the page, the terminal and the summary show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from vsg_core.judge.arms import guards
from vsg_core.judge.measures import DECIDED, verdict_of
from vsg_core.records.confirmations import Confirmation
from vsg_core.records.history import Repeats
from vsg_core.records.record import Record
from vsg_core.report.view.arms import Arm, arms_of
from vsg_core.report.view.confirmed import Confirmed
from vsg_core.report.view.examples import Example, Table, all_trials, chosen
from vsg_core.report.view.repeats import differing_texts
from vsg_core.report.view.terms import share_text
from vsg_core.vocabulary import Outcome, Status, Verdict
from vsg_core.wording import (
    count_text,
    estimate_text,
    exact_text,
    in_unit,
    interval_text,
    limit_text,
    number_text,
)

# The results of controls that do not hold.
UNHELD = ("failed", "negligible", "undecided")


@dataclass(frozen=True)
class Cell:
    """One claim on one model."""

    record: Record
    arms: Sequence[Arm]
    """The claim itself, then its controls and comparisons."""
    was: Sequence[str]
    """The recorded verdict, its estimate and its interval; empty without one."""
    tag: Outcome | None
    """How it differs from the recorded verdict; None if it does not."""
    day: str
    """The day it was measured, unless that was the newest record's."""
    earlier: str
    """That, or the commit if only that differs."""
    other_rule: bool
    """Whether the claim's rule has changed since this was judged."""
    repeats: Repeats | None = None
    """Further runs of the same measurement; None without any."""
    survives: bool | None = None
    """Whether the verdict survives Holm's correction over all findings on the model; None where that is not asked: of
    an identity, of no verdict or an inconclusive one, or without a p-value."""
    confirmed: Confirmed | None = None
    """The verdict of the confirming run; None unless the claim was registered with these rules and these weights."""

    @property
    def status(self) -> Status:
        """The worth of its verdict."""
        return self.confirmed.status if self.confirmed else self.record.claim.status

    @property
    def verdict(self) -> Verdict:
        return self.record.verdict

    @property
    def model(self) -> str:
        return self.record.model.name

    @property
    def broken(self) -> bool:
        """Return whether an error kept it from a verdict; it is not counted as *not run*."""
        return self.tag == "broken"

    @property
    def undecided(self) -> str:
        """The cause of an inconclusive verdict in one clause: where the bound is, or which control did not hold."""
        return undecided(self.record, self.arms)

    @property
    def share(self) -> str:
        """The share of trials on the claim's side: "71 % of trials above 0"; empty unless the rule averages values."""
        claim = self.record.claim
        return share_text(claim.rule, self.record.evidence.share, claim.value_unit)

    @property
    def holm(self) -> str:
        """The result of Holm's correction in words; empty where that is not asked."""
        return {True: "survives Holm", False: "does not survive Holm", None: ""}[self.survives]

    @property
    def moved(self) -> str:
        """The recorded numbers and those of now, if the estimate left the recorded interval; else empty."""
        if not self.record.moved:
            return ""
        return f"{' '.join(self.was[1:])} recorded, now {self.arms[0].estimate} {self.arms[0].interval}"

    @property
    def flagged(self) -> bool:
        """Return whether the page must highlight it."""
        return self.tag in ("changed", "weakened", "broken") or self.reproduced is False

    @property
    def reproduced(self) -> bool | None:
        """Return whether every repetition gave this verdict; None if there is no repetition."""
        return self.repeats.reproduced if self.repeats else None

    @property
    def not_reproduced(self) -> list[str]:
        """The repetitions with a different verdict, a line for each; empty if there is none."""
        return differing_texts(self.repeats) if self.repeats else []

    @property
    def unheld_controls(self) -> list[Arm]:
        """Controls that did not hold; a positive control that fails is the reason of a claim not run."""
        return _unheld(self.arms)

    @property
    def controls(self) -> str:
        """Their number by result: "1 control undecided, protects only holds"; empty without any.

        A decided verdict that they leave is not one that they protect.
        """
        found = self.unheld_controls
        counts = Counter(arm.result for arm in found)
        parts = [f"{count_text(counts[how], 'control')} {how}" for how in UNHELD if counts[how]]
        only = unprotected_text(self.verdict, found)
        return ", ".join(filter(None, [*parts, only]))

    def examples(self, few: bool = False) -> list[Example]:
        """Return the trials shown as examples; see `examples.chosen`."""
        return chosen(self.record, few)

    @cached_property
    def tables(self) -> list[Table]:
        """All trials, arm by arm."""
        return all_trials(self.record)

    @property
    def tokens_per_second(self) -> float | None:
        """Token positions per second of the model's forward passes."""
        run = self.record.run
        return run.tokens / run.forward_seconds if run.tokens and run.forward_seconds else None


def cell_of(
    record: Record,
    newest: Record,
    newest_of_all: Record,
    repeats: Repeats | None = None,
    survives: bool | None = None,
    confirmation: Confirmation | None = None,
) -> Cell:
    """Arrange a record, given the newest record of its claim and the newest of all.

    Args:
        repeats: its repetitions.
        survives: whether its verdict survives Holm's correction.
        confirmation: the confirming verdict of its claim on a model of its name.
    """
    day = _day(record, newest_of_all)
    return Cell(
        record=record,
        arms=arms_of(record),
        was=_recorded(record),
        tag=None if record.outcome in ("same", "not run") else record.outcome,
        day=day,
        earlier=day or _commit(record, newest_of_all),
        other_rule=record.claim.rules_digest != newest.claim.rules_digest,
        repeats=repeats,
        survives=survives,
        confirmed=Confirmed(confirmation, record) if confirmation and confirmation.is_of(record) else None,
    )


def undecided(record: Record, arms: Sequence[Arm]) -> str:
    """Return why a verdict is inconclusive; empty for any other.

    Args:
        arms: the claim's own numbers, then those of its controls and comparisons.
    """
    rule, interval = record.claim.rule, record.evidence.interval
    if record.verdict != "inconclusive" or interval is None:
        return ""
    by_itself = verdict_of(rule, interval)
    if by_itself != "inconclusive":
        return _guilty_controls(arms, by_itself)
    if rule.side == "at most":
        high = number_text(interval[1], rule.unit)
        return f"up to {high} are left open, more than {exact_text(rule.limit, rule.unit)}"
    limit = limit_text(rule.side, rule.limit, rule.unit).split(" ", 1)[1]
    bound = in_unit(limit, rule.unit, record.claim.value_unit)
    inside = f"{'an end of ' if rule.side == 'within' else ''}{bound} is inside the interval"
    # Whether the effect would be negligible depends on a narrower interval, which records do not keep.
    failed = _guilty_controls(arms, "negligible") if rule.matters is not None else ""
    return "; ".join(filter(None, (inside, failed)))


def unprotected_text(verdict: Verdict, controls: Sequence[Arm]) -> str:
    """Return what controls protect that did not hold and left a decided verdict: "protects only holds"."""
    if verdict not in DECIDED or not controls:
        return ""
    protected = "refuted and negligible" if verdict == "holds" else "holds"
    return f"{'protects' if len(controls) == 1 else 'protect'} only {protected}"


def _unheld(arms: Sequence[Arm]) -> list[Arm]:
    return [arm for arm in arms if arm.kind == "control" and arm.verdict != "holds"]


def _guilty_controls(arms: Sequence[Arm], verdict: Verdict) -> str:
    """Name the controls that took a verdict away: "failed control “noise” ..."; empty if none did."""
    guilty = [arm for arm in _unheld(arms) if guards(arm.protects, verdict)]
    return "; ".join(
        f"{arm.result} control “{arm.name}” {arm.estimate} {arm.interval}, needs {arm.needs}"
        for arm in guilty
    )


def started(record: Record) -> datetime:
    """Return when the record was started, in local time."""
    return record.run.started.astimezone()


def _recorded(record: Record) -> list[str]:
    was = record.recorded
    if was is None:
        return []
    numbers = (
        estimate_text(was.estimate, was.interval, was.n, record.unit, record.claim.value_unit),
        interval_text(was.interval, record.unit),
    )
    return [was.verdict, *(text for text in numbers if text)]


def _day(record: Record, newest: Record) -> str:
    day, last = started(record).date(), started(newest).date()
    return day.isoformat() if day != last else ""


def _commit(record: Record, newest: Record) -> str:
    commit, last = record.run.commit or "", newest.run.commit or ""
    return f"at commit {commit[:7]}" if commit and commit != last else ""
