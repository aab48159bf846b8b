"""Read the ledgers of a project's freezes as reports need them: which verdicts are confirmed, and the placebos.

The first line of a claim on a model counts; every later one is a repeat, which replaces nothing. A rehearsal confirms
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from vsg_core.judge.holm import survivals
from vsg_core.judge.measures import DECIDED
from vsg_core.projects import REGISTERED, claim_folders
from vsg_core.records.ledger import Line, read_ledger
from vsg_core.records.record import Record
from vsg_core.records.registered import Freeze, names_in, read_registration
from vsg_core.vocabulary import Status, Verdict

# How the note of a freeze begins that only tries the machine out.
REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class Confirmation:
    """The confirming verdict of a claim on a model.

    Args:
        freeze: the one that registered the claim.
        line: the first line of the claim on the model.
        survives: whether the verdict survives Holm's correction over all claims registered on the model.
        repeats: the later lines.
    """

    freeze: Freeze
    line: Line
    survives: bool
    repeats: tuple[Line, ...] = ()

    @property
    def exploratory(self) -> Verdict | None:
        """The verdict before the registration; None without one."""
        run = self.freeze.run(self.line.claim, self.line.model)
        return run.exploratory if run else None

    @property
    def registered_on(self) -> list[str]:
        """The models that its claim is registered on."""
        return [model for claim, model in self.freeze.cells if claim == self.line.claim]

    @property
    def obstacle(self) -> str:
        """The reason why the verdict is not confirmed; empty if it is."""
        verdict, before = self.line.verdict, self.exploratory
        if verdict not in DECIDED:
            return (self.line.reason if verdict == "not run" else "") or verdict
        if before in DECIDED and before != verdict:
            return f"{before} before it was registered"
        return "" if self.survives else "does not survive Holm over the claims registered on the model"

    @property
    def status(self) -> Status:
        """*confirmed* or *failed to confirm*."""
        return "failed to confirm" if self.obstacle else "confirmed"

    @property
    def text(self) -> str:
        """The status and the verdict: "confirmed: holds"."""
        return f"{self.status}: {self.line.verdict}"

    @property
    def agreeing(self) -> int:
        """The number of repeats with the same verdict."""
        return sum(line.verdict == self.line.verdict for line in self.repeats)

    def is_of(self, record: Record) -> bool:
        """Return whether a record is of the same rules and the same weights."""
        model, claim = self.freeze.model(self.line.model), self.freeze.claim(self.line.claim)
        return (
            model is not None
            and claim is not None
            and claim.rules == record.claim.rules_digest
            and record.weights in ("", model.weights)
        )


@dataclass(frozen=True)
class Placebos:
    """The placebo claims of a freeze over all its models.

    Args:
        judged: those with a verdict.
        expected: the number that chance alone lets hold or be refuted.
    """

    judged: int
    held: int
    refuted: int
    expected: float


@dataclass(frozen=True)
class Ledger:
    """A freeze with the lines of its ledger, in their order."""

    freeze: Freeze
    lines: Sequence[Line]

    @property
    def is_rehearsal(self) -> bool:
        """Return whether it only tries the machine out, and so confirms nothing."""
        return self.freeze.note.lower().startswith(REHEARSAL)

    @property
    def claims_due(self) -> list[str]:
        """The registered claims without a line on any model."""
        run = {line.claim for line in self.lines}
        return [claim.id for claim in self.freeze.claims if claim.id not in run]

    @cached_property
    def confirmations(self) -> dict[tuple[str, str], Confirmation]:
        """The confirming verdicts by claim and model."""
        own = [line for line in self.lines if line.placebo is None]
        by_cell: dict[tuple[str, str], list[Line]] = {}
        for line in own:
            by_cell.setdefault((line.claim, line.model), []).append(line)
        survive = self._survivals({cell: first for cell, (first, *_) in by_cell.items()})
        return {
            cell: Confirmation(self.freeze, first, survive.get(cell, False), tuple(repeats))
            for cell, (first, *repeats) in by_cell.items()
        }

    def _survivals(self, lines: Mapping[tuple[str, str], Line]) -> dict[tuple[str, str], bool]:
        """Return which decided verdicts survive Holm's correction, by claim and model.

        The family is every claim registered on the model. One that has no verdict counts with a p-value of 1, so that
        neither a failed control nor an interruption makes the family smaller.
        """
        families: dict[str, list[tuple[str, str]]] = {}
        for claim, model in self.freeze.cells:
            families.setdefault(model, []).append((claim, model))
        return {
            cell: bool(survives)
            for family in families.values()
            for cell, survives in zip(
                family, survivals([_judged(lines.get(cell)) for cell in family]), strict=True
            )
        }

    @cached_property
    def placebos(self) -> Placebos:
        """The counts of the placebo claims; of the lines of one the first counts."""
        first: dict[tuple[str, str, int | None], Line] = {}
        for line in self.lines:
            if line.placebo is not None:
                first.setdefault(line.cell, line)
        judged = [line for line in first.values() if line.verdict != "not run"]
        verdicts = [line.verdict for line in judged]
        expected = self.freeze.expected(line.claim for line in judged)
        return Placebos(len(verdicts), verdicts.count("holds"), verdicts.count("refuted"), expected)


@dataclass(frozen=True)
class Confirmations:
    """The ledgers of a project that have lines, in the order of their freezes."""

    ledgers: Sequence[Ledger] = ()

    @property
    def registered(self) -> list[Ledger]:
        """Those that can confirm."""
        return [ledger for ledger in self.ledgers if not ledger.is_rehearsal]

    @property
    def rehearsals(self) -> list[Ledger]:
        """Those that only try the machine out."""
        return [ledger for ledger in self.ledgers if ledger.is_rehearsal]

    @property
    def models(self) -> list[str]:
        """The models with a confirming verdict."""
        return list(dict.fromkeys(model for ledger in self.registered for _, model in ledger.confirmations))

    def of_claim(self, claim: str, rules: str) -> dict[str, Confirmation]:
        """Return the confirming verdicts of a claim under these rules, by model.

        The verdict that was given first counts, whichever freeze it is of: all others are repeats.

        Args:
            rules: the digest of its rule and of every control's: a verdict under other rules is not this claim's.
        """
        found: dict[str, list[Confirmation]] = {}
        for ledger in self.registered:
            frozen = ledger.freeze.claim(claim)
            if frozen is None or frozen.rules != rules:
                continue
            for (name, model), each in ledger.confirmations.items():
                if name == claim:
                    found.setdefault(model, []).append(each)
        return {model: _first(several) for model, several in found.items()}


# What a project without a line in a ledger has.
UNCONFIRMED = Confirmations()


def _first(several: Sequence[Confirmation]) -> Confirmation:
    """The confirmation that was given first, with the lines of the others as its repeats."""
    first, *others = sorted(several, key=lambda each: each.line.time)
    later = [line for each in others for line in (each.line, *each.repeats)]
    return replace(first, repeats=(*first.repeats, *later))


def _judged(line: Line | None) -> tuple[Verdict, float | None]:
    return (line.verdict, line.p_value) if line else ("not run", None)


def read_confirmations(folders: Iterable[str | Path]) -> Confirmations:
    """Read every freeze in folders of claims with its ledger; those without a line are left out.

    Args:
        folders: of claims; each may have freezes in registered/.

    Raises:
        VsgError: a freeze or a ledger is damaged; one line that names it.
    """
    places = [Path(folder, REGISTERED) for folder in folders]
    registrations = [read_registration(place, name) for place in places for name in names_in(place)]
    registrations.sort(key=lambda each: each.freeze.frozen)
    ledgers = (Ledger(each.freeze, read_ledger(each.ledger)) for each in registrations)
    return Confirmations(tuple(ledger for ledger in ledgers if ledger.lines))


def project_confirmations(folder: str | Path, given: Sequence[str] = ()) -> Confirmations:
    """Read those of the claims that a command started in `folder` is about.

    Args:
        given: the values of --claims.

    Raises:
        VsgError: a freeze or a ledger is damaged, or there are no claims.
    """
    return read_confirmations(claim_folders(Path(folder), given))
