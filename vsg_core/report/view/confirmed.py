"""Confirmations as pages and texts show them: next to an exploratory verdict, over the models of a claim, counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from vsg_core.records.confirmations import Confirmation, Confirmations, Ledger
from vsg_core.records.ledger import Line
from vsg_core.records.record import Measurement, Record
from vsg_core.report.view.arms import Arm, claim_arm
from vsg_core.vocabulary import Status
from vsg_core.weights.engine_names import engine_of, model_of, on_second_engine
from vsg_core.wording import count_text, exact_text

CONFIRMED, FAILED = "✓", "✗"
MARKS_TEXT = f"{CONFIRMED}: confirmed on new prompts, with the estimate there; {FAILED}: failed to confirm."

# The findings with a confirming verdict by their badge, with what it means; in the order of `Badge.rank`.
BADGES = {
    "confirmed": "on new prompts, on every model they were registered for",
    "confirmed on some models": "and not on others, or not run there yet",
    "failed to confirm": "inconclusive, contradicted, not run, or lost to Holm’s correction",
}


@dataclass(frozen=True)
class Confirmed:
    """The confirming verdict in a cell, next to the exploratory one."""

    confirmation: Confirmation
    record: Record
    """The exploratory record of the cell."""

    @cached_property
    def arm(self) -> Arm:
        """Its numbers."""
        measured = Measurement(estimate=self.line.estimate, interval=self.line.interval, n=self.line.n)
        return claim_arm(self.record, measured, self.line.verdict)

    @cached_property
    def before(self) -> Arm:
        """The numbers of the exploratory record."""
        return claim_arm(self.record, self.record.evidence, self.record.verdict)

    @property
    def status(self) -> Status:
        return self.confirmation.status

    @property
    def freeze(self) -> str:
        """The name of the freeze."""
        return self.confirmation.freeze.name

    @property
    def line(self) -> Line:
        """The line of the ledger."""
        return self.confirmation.line

    @property
    def is_shown_record(self) -> bool:
        """Return whether the record of the cell is that of the confirming run, so that there is one mark, not two."""
        return self.record.run.started == self.line.time

    @property
    def shrinkage(self) -> str:
        """The exploratory and the confirming estimate, "0.29 to 0.24"; empty unless there are two."""
        both = self.before.estimate and self.arm.estimate and not self.is_shown_record
        return f"{self.before.estimate} to {self.arm.estimate}" if both else ""

    @property
    def is_drawn(self) -> bool:
        """Return whether the confirming run gave an estimate."""
        return self.arm.value is not None

    @property
    def drawing(self) -> str:
        """The marks in words: "exploratory 0.29 [0.21, 0.37], confirming run 0.24 [0.20, 0.28]"."""
        marks = [f"exploratory {self.before.estimate} {self.before.interval}"] * bool(self.shrinkage)
        return ", ".join([*marks, f"confirming run {self.arm.estimate} {self.arm.interval}"])

    @property
    def badge(self) -> Badge:
        """Its badge in the cell."""
        return Badge(self.status, self.status)

    @property
    def notes(self) -> str:
        """The shrinkage, what keeps it from being confirmed, and the repeats; empty where there is nothing to say."""
        obstacle = self.confirmation.obstacle
        why = "" if obstacle == self.line.verdict else obstacle
        return "; ".join(filter(None, [self.shrinkage, why, repeats_text(self.confirmation)]))

    @property
    def words(self) -> str:
        """The whole in words: "confirmed: holds 0.24 [0.20, 0.28]; 0.29 to 0.24"."""
        measured = " ".join(filter(None, [self.line.verdict, self.arm.estimate, self.arm.interval]))
        return "; ".join(filter(None, [f"{self.status}: {measured}", self.notes]))


def repeats_text(confirmation: Confirmation) -> str:
    """Return "2 repeats, 1 with another verdict" or "1 repeat with the same verdict"; empty without any."""
    count = len(confirmation.repeats)
    if not count:
        return ""
    differing = count - confirmation.agreeing
    repeats = count_text(count, "repeat")
    return f"{repeats}, {differing} with another verdict" if differing else f"{repeats} with the same verdict"


@dataclass(frozen=True)
class Badge:
    """The worth of a claim's verdicts over its models.

    Args:
        status: *confirmed* also where only some models confirm it, which the text says.
    """

    status: Status
    text: str

    @property
    def is_partly(self) -> bool:
        """Return whether some models confirm it and others do not."""
        return self.text.startswith("confirmed on")

    @property
    def rank(self) -> int:
        """Its place among badges: confirmed, on some models only, failed to confirm, others."""
        return 1 if self.is_partly else {"confirmed": 0, "failed to confirm": 2}.get(self.status, 3)


def badge_of(status: Status, confirmations: Mapping[str, Confirmation]) -> Badge:
    """Return the badge of a claim.

    Args:
        status: the claim's own, which counts where it has no confirming verdict.
        confirmations: its confirming verdicts by model.
    """
    if not confirmations:
        return Badge(status, status)
    # Where it has not been run yet, it is not confirmed.
    found = {name: False for each in confirmations.values() for name in each.registered_on}
    found |= {name: each.status == "confirmed" for name, each in confirmations.items()}
    if all(found.values()):
        return Badge("confirmed", "confirmed")
    if not any(found.values()):
        return Badge("failed to confirm", "failed to confirm")
    return Badge("confirmed", f"confirmed on {_share_text(found)}")


def _share_text(confirmed: Mapping[str, bool]) -> str:
    """3 of 4 models, 1 of 2 on llama.cpp."""
    engines: dict[str, list[bool]] = {}
    for name, each in confirmed.items():
        again = on_second_engine(name) and model_of(name) in confirmed
        engines.setdefault(engine_of(name) if again else "", []).append(each)
    return ", ".join(
        f"{sum(found)} of {f'{len(found)} on {engine}' if engine else count_text(len(found), 'model')}"
        for engine, found in engines.items()
    )


def registration_text(confirmations: Mapping[str, Confirmation]) -> str:
    """Return the freezes of confirming verdicts: "registered in primary-1 on 2026-12-03 at commit 0adeb75"."""
    freezes = {each.freeze.name: each.freeze for each in confirmations.values()}.values()
    return ", ".join(
        f"registered in {freeze.name} on {freeze.frozen:%Y-%m-%d} at commit {freeze.commit[:7]}, "
        "before its prompts were drawn"
        for freeze in freezes
    )


def registered_texts(claims: Iterable[Mapping[str, Confirmation]], confirmations: Confirmations) -> list[str]:
    """Return a sentence per freeze: how many of these claims it confirms; none without a confirming verdict.

    Args:
        claims: the confirming verdicts of each claim by model.
        confirmations: all of the project, by which it is known which claims have not been run.
    """
    badges: dict[str, list[Badge]] = {}
    for found in filter(None, claims):
        freeze = next(iter(found.values())).freeze.name
        badges.setdefault(freeze, []).append(badge_of("exploratory", found))
    due = {ledger.freeze.name: len(ledger.claims_due) for ledger in confirmations.registered}
    return [
        f"{_were_registered(len(found) + due[name], name)}: {_counts(found, due[name])}."
        for name, found in badges.items()
    ]


def _were_registered(count: int, freeze: str) -> str:
    return f"{count_text(count, 'claim was', 'claims were')} registered in {freeze} before new prompts were drawn"


def _counts(badges: Sequence[Badge], due: int) -> str:
    partly = sum(badge.is_partly for badge in badges)
    failed = sum(badge.status == "failed to confirm" for badge in badges)
    confirmed = len(badges) - partly - failed
    parts = [f"{confirmed} {'is' if confirmed == 1 else 'are'} confirmed on them"]
    parts += [f"{partly} on some models only"] * bool(partly) + [f"{failed} failed to confirm"] * bool(failed)
    parts += [f"{due} {'has' if due == 1 else 'have'} not been run yet"] * bool(due)
    return ", ".join(parts)


def ledger_texts(confirmations: Confirmations) -> list[str]:
    """Return the placebos of each freeze in a sentence, then a line per rehearsal."""
    return placebo_texts(confirmations) + [rehearsal_text(ledger) for ledger in confirmations.rehearsals]


def placebo_texts(confirmations: Confirmations) -> list[str]:
    """Return the placebos of each freeze in a sentence."""
    return [
        f"Placebos of {ledger.freeze.name}: {placebos_text(ledger)}."
        for ledger in confirmations.registered
        if ledger.placebos.judged
    ]


def placebos_text(ledger: Ledger) -> str:
    """2 of 80 claims with permuted labels hold and 1 is refuted; chance alone gives 4."""
    found = ledger.placebos
    return (
        f"of {count_text(found.judged, 'claim')} with permuted labels, "
        f"{found.held} {'holds' if found.held == 1 else 'hold'} and "
        f"{found.refuted} {'is' if found.refuted == 1 else 'are'} refuted; chance alone gives "
        f"{exact_text(found.expected, 'number')}"
    )


def rehearsal_text(ledger: Ledger) -> str:
    """Return what was rehearsed, and that it is of the project, not of the run that a page shows."""
    cells = ledger.confirmations
    models = dict.fromkeys(model for _, model in cells)
    claims = count_text(len({claim for claim, _ in cells}), "claim")
    decided = sum(not each.obstacle for each in cells.values())
    text = (
        f"Apart from this run, the project has rehearsed how claims are confirmed: {claims} on "
        f"{', '.join(models)}, {decided} of {count_text(len(cells), 'verdict')} decided"
    )
    text += f"; {placebos_text(ledger)}" if ledger.placebos.judged else ""
    return f"{text}. The rehearsal confirms nothing."
