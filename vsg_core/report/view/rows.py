"""The content of the report, arranged from records alone: models, claims, and a cell for each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from vsg_core.judge.holm import survivals
from vsg_core.judge.power import power_text
from vsg_core.records.confirmations import UNCONFIRMED, Confirmation, Confirmations
from vsg_core.records.history import Repeats
from vsg_core.records.record import ModelReference, NotRun, Record
from vsg_core.report.view import curves, findings
from vsg_core.report.view.axis import Axis
from vsg_core.report.view.cells import Cell, cell_of, started
from vsg_core.report.view.confirmed import BADGES, Badge, badge_of, registration_text
from vsg_core.report.view.engines import JUDGED, EnginePair
from vsg_core.report.view.findings import STANDINGS, Standing
from vsg_core.report.view.groups import Group, axis_of, groups
from vsg_core.report.view.terms import Terms, wanted
from vsg_core.vocabulary import ACROSS, VERDICTS, Outcome, Status, Verdict
from vsg_core.weights.engine_names import model_of, on_second_engine
from vsg_core.wording import in_unit

COUNTED: tuple[Verdict | Literal["broken"], ...] = (*VERDICTS, "broken")


@dataclass(frozen=True)
class ClaimRow:
    """One claim over all models; its words are those of its newest record."""

    record: Record
    axis: Axis
    cells: Mapping[str, Cell]
    """By the model's name."""
    confirmations: Mapping[str, Confirmation] = field(default_factory=dict)
    """Its confirming verdicts by model, also of models that the report has no record of."""

    @property
    def wanted(self) -> str:
        """The side of the limit on which the whole interval must lie for the claim to hold."""
        claim = self.record.claim
        return in_unit(wanted(claim.rule), claim.rule.unit, claim.value_unit)

    @property
    def needs(self) -> str:
        """The same in short, as tables have it: "above 50 %", "no counterexample"."""
        return "no counterexample" if self.record.claim.rule.kind == "always" else self.wanted

    @property
    def terms(self) -> Terms:
        return Terms(self.record.claim.rule)

    @property
    def power(self) -> str:
        """The power of the newest record with a verdict, in words; empty without one."""
        judged = [cell.record for cell in self.cells.values() if cell.verdict != "not run"]
        newest = max(judged, key=started, default=None)
        if newest is None or newest.evidence.n is None:
            return ""
        return power_text(newest.claim.rule, newest.evidence.n)

    @property
    def across(self) -> Cell | None:
        """The cell that is judged over several models at once."""
        return self.cells.get(ACROSS)

    @property
    def headline(self) -> bool:
        """Return whether the study is known for it."""
        return self.record.claim.headline

    @property
    def badge(self) -> Badge:
        """The worth of its verdicts over its models."""
        return badge_of(self.record.claim.status, self.confirmations)

    @property
    def status(self) -> Status:
        """The worth of its verdicts in one word; see `Badge.status`."""
        return self.badge.status

    @property
    def registration(self) -> str:
        """The freezes of its confirming verdicts, in words; empty without one."""
        return registration_text(self.confirmations)

    @property
    def is_identity(self) -> bool:
        """Return whether arithmetic or the harness settles it, so that it is not a finding about models."""
        return self.record.claim.status == "identity"

    @cached_property
    def counted(self) -> list[Cell]:
        """The cells that count as verdicts: on a second engine only what the first was not asked for."""
        return [
            cell
            for name, cell in self.cells.items()
            if not (on_second_engine(name) and model_of(name) in self.cells)
        ]

    @property
    def standing(self) -> findings.Standing:
        """One of findings.STANDINGS."""
        return findings.standing(cell.verdict for cell in self.counted)

    @cached_property
    def distance(self) -> float:
        """Its distance from what was reported; see findings.distance."""
        return findings.distance([cell.record for cell in self.counted])

    @cached_property
    def curves(self) -> list[curves.Curves]:
        return curves.curves_of(list(self.cells.values()))

    @property
    def groups(self) -> list[Group]:
        """The lines of its forest plot; arms that a curve shows are left out."""
        drawn = {name for curves in self.curves for name in curves.arms}
        return groups(list(self.cells.values()), self.axis, drawn)

    @property
    def tally(self) -> list[tuple[Verdict, list[Cell]]]:
        """(verdict, the cells with it), in the order of VERDICTS, without empty ones and without broken cells."""
        cells = [cell for cell in self.cells.values() if not cell.broken]
        by = [(verdict, [cell for cell in cells if cell.verdict == verdict]) for verdict in VERDICTS]
        return [(verdict, cells) for verdict, cells in by if cells]

    @property
    def broken(self) -> list[Cell]:
        """The cells that an error kept from a verdict."""
        return [cell for cell in self.cells.values() if cell.broken]


@dataclass(frozen=True)
class Report:
    """Everything that the page and the terminal show. Build it once per run, with `report_of`."""

    models: Sequence[ModelReference]
    """By family and size, without ACROSS."""
    questions: Mapping[str, Sequence[ClaimRow]]
    """The findings, by question."""
    identities: Sequence[ClaimRow]
    """Claims that are not findings, those that do not hold first."""
    newest: datetime | None
    """When the newest record was started."""
    confirmations: Confirmations = UNCONFIRMED
    """What the ledgers of the project say."""

    @cached_property
    def findings(self) -> list[ClaimRow]:
        return [row for rows in self.questions.values() for row in rows]

    @cached_property
    def claims(self) -> list[ClaimRow]:
        """The findings, then the identities."""
        return [*self.findings, *self.identities]

    @cached_property
    def cells(self) -> list[Cell]:
        return [cell for row in self.claims for cell in row.cells.values()]

    @property
    def counted(self) -> list[Cell]:
        """The cells that count as verdicts; see `ClaimRow.counted`."""
        return [cell for row in self.claims for cell in row.counted]

    @cached_property
    def replicas(self) -> list[str]:
        """The names of the models on a second engine that the first has records of, too."""
        names = {model.name for model in self.models}
        return [
            name for name in map(_name, self.models) if on_second_engine(name) and model_of(name) in names
        ]

    @property
    def measured_models(self) -> list[ModelReference]:
        """The models with a verdict, each once, however many engines gave it one."""
        names = self._judged_models
        return [
            model
            for model in self.models
            if model.name in names and not (on_second_engine(model.name) and model_of(model.name) in names)
        ]

    @property
    def unmeasured_models(self) -> list[ModelReference]:
        """The models without a verdict, those on a second engine included."""
        return [model for model in self.models if model.name not in self._judged_models]

    @cached_property
    def _judged_models(self) -> set[str]:
        return {cell.model for cell in self.cells if cell.verdict != "not run"}

    @cached_property
    def engine_pairs(self) -> dict[tuple[str, str], EnginePair]:
        """The records of a claim on both engines, by the claim and the model's name on the second."""
        pairs = {}
        for row in self.claims:
            for name in self.replicas:
                first, second = row.cells.get(model_of(name)), row.cells.get(name)
                if first or second:
                    records = (cell.record if cell else None for cell in (first, second))
                    pairs[row.record.claim.id, name] = EnginePair(name, *records)
        return pairs

    @property
    def replications(self) -> dict[str, list[EnginePair]]:
        """The findings on both engines, by the model's name on the second.

        A model is left out if none of its findings has a verdict on both.
        """
        pairs = self.engine_pairs.values()
        found = {
            name: [pair for pair in pairs if pair.name == name and pair.is_finding] for name in self.replicas
        }
        return {name: pairs for name, pairs in found.items() if any(pair.result in JUDGED for pair in pairs)}

    @property
    def not_replicated(self) -> list[EnginePair]:
        """The findings that a second engine does not replicate."""
        pairs = [pair for pairs in self.replications.values() for pair in pairs]
        return [pair for pair in pairs if pair.result == "not replicated"]

    @property
    def asked(self) -> list[str]:
        """The questions of all claims."""
        return list(dict.fromkeys(row.record.claim.question for row in self.claims))

    @property
    def survival(self) -> tuple[int, int]:
        """The number of surviving verdicts of findings under Holm's correction, and the number of those asked."""
        asked = [cell.survives for cell in self.counted if cell.survives is not None]
        return sum(asked), len(asked)

    @property
    def registered(self) -> list[ClaimRow]:
        """The findings with a confirming verdict on some model."""
        return [row for row in self.findings if row.confirmations]

    @property
    def badges(self) -> dict[str, int]:
        """The number of these findings with each of BADGES."""
        ranks = Counter(row.badge.rank for row in self.registered)
        return {name: ranks[rank] for rank, name in enumerate(BADGES)}

    @property
    def confirmed_counts(self) -> dict[Verdict, int]:
        """The number of confirmed cells with each verdict."""
        found = Counter(
            cell.confirmed.line.verdict
            for cell in self.cells
            if cell.confirmed and cell.status == "confirmed"
        )
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def failed_to_confirm(self) -> list[Cell]:
        """The cells whose confirming verdict does not confirm them."""
        return [cell for cell in self.cells if cell.status == "failed to confirm"]

    @property
    def judged_identities(self) -> list[Cell]:
        """The cells of identities that have a verdict, or that an error kept from one."""
        cells = [cell for row in self.identities for cell in row.cells.values()]
        return [cell for cell in cells if cell.verdict != "not run" or cell.broken]

    @property
    def failed_identities(self) -> list[Cell]:
        """Those of them that do not hold."""
        return [cell for cell in self.judged_identities if cell.verdict != "holds"]

    @property
    def not_run(self) -> dict[NotRun, list[Cell]]:
        """Each reason once, with the cells that it kept from running."""
        reasons: dict[NotRun, list[Cell]] = {}
        for cell in self.cells:
            if cell.record.not_run is not None and cell.tag != "broken":
                reasons.setdefault(cell.record.not_run, []).append(cell)
        return reasons

    @property
    def names(self) -> list[str]:
        """The names of the models, and ACROSS last if a claim is judged over several."""
        return [model.name for model in self.models] + [ACROSS] * any(row.across for row in self.claims)

    @property
    def families(self) -> list[str]:
        return sorted({model.family for model in self.models if model.family})

    @property
    def counts(self) -> dict[Verdict | Literal["broken"], int]:
        """The number of cells of findings with each verdict; those that broke are not counted as *not run*."""
        cells = [cell for row in self.findings for cell in row.counted]
        counts: Counter[str] = Counter("broken" if cell.broken else cell.verdict for cell in cells)
        return {name: counts[name] for name in COUNTED}

    @property
    def standings(self) -> dict[Standing, int]:
        """The number of findings with each result over their models."""
        standings = Counter(row.standing for row in self.findings)
        return {standing: standings[standing] for standing in STANDINGS}

    @property
    def farthest(self) -> list[ClaimRow]:
        """The three findings that contradict most what was reported; fewer if fewer do."""
        against = [row for row in self.findings if row.distance > 0]
        return sorted(against, key=lambda row: -row.distance)[:3]

    @property
    def earlier(self) -> list[Cell]:
        """Cells of an earlier day or a different commit from the newest."""
        return [cell for cell in self.cells if cell.earlier]

    @property
    def uncommitted(self) -> list[Cell]:
        """Cells with a verdict from code with uncommitted changes: git does not show which rule came before the run."""
        return [cell for cell in self.cells if cell.verdict != "not run" and cell.record.run.dirty]

    @property
    def confirmed(self) -> list[Cell]:
        """Cells whose verdict is the recorded one."""
        return [cell for cell in self.cells if cell.record.outcome == "same"]

    @property
    def moved(self) -> list[Cell]:
        """Cells whose verdict is the recorded one while their estimate is outside the recorded interval."""
        return [cell for cell in self.cells if cell.moved]

    @property
    def not_reproduced(self) -> list[Cell]:
        """Cells of which a repetition gave a different verdict."""
        return [cell for cell in self.cells if cell.reproduced is False]

    def tagged(self, *tags: Outcome) -> list[Cell]:
        """Return the cells that differ from the recorded verdict in one of these ways."""
        return [cell for cell in self.cells if cell.tag in tags]


def report_of(
    records: Iterable[Record],
    repeats: Mapping[tuple[str, str], Repeats] | None = None,
    confirmations: Confirmations | None = None,
) -> Report:
    """Arrange records. Of two for the same claim and model the newer one counts.

    Args:
        repeats: the repetitions of records by model and claim, as `read_repeats` returns them.
        confirmations: what the ledgers of the project say, as `read_confirmations` returns it.
    """
    by_age = sorted(records, key=lambda record: record.run.started)
    by_claim: dict[str, dict[str, Record]] = {}
    for record in by_age:
        by_claim.setdefault(record.claim.id, {})[record.model.name] = record
    models = {record.model.name: record.model for record in by_age}
    order = sorted(
        (model for name, model in models.items() if name != ACROSS), key=lambda model: _place(model, models)
    )
    names = [*(model.name for model in order), ACROSS]
    survive = _survivals(by_claim.values())
    rows = [
        _row(by_model, names, by_age[-1], repeats or {}, survive, confirmations or UNCONFIRMED)
        for by_model in by_claim.values()
    ]
    ordered = _by_question(row for row in rows if not row.is_identity)
    identities = _by_question(row for row in rows if row.is_identity)
    apart = sorted((row for rows in identities.values() for row in rows), key=_holds)
    newest = started(by_age[-1]) if by_age else None
    return Report(order, ordered, apart, newest, confirmations or UNCONFIRMED)


def _place(model: ModelReference, models: Mapping[str, ModelReference]) -> tuple[str, int, str, str]:
    """The place of a model: by family and size, and next to itself on another engine."""
    like = models.get(model_of(model.name), model)
    return like.family or "", like.parameters or 0, like.name, model.name


def _name(model: ModelReference) -> str:
    return model.name


def _survivals(claims: Iterable[Mapping[str, Record]]) -> dict[tuple[str, str], bool]:
    """Return whether the decided verdicts of findings survive Holm's correction, by model and claim.

    The family is all findings with a verdict on the same model, the inconclusive ones included. A record from before
    records had p-values counts in it with 1.
    """
    families: dict[str, list[Record]] = {}
    for by_model in claims:
        if max(by_model.values(), key=started).claim.status != "identity":
            for model, record in by_model.items():
                if record.verdict != "not run":
                    families.setdefault(model, []).append(record)
    return {
        (model, record.claim.id): survives
        for model, records in families.items()
        for record, survives in zip(
            records, survivals([(record.verdict, record.evidence.p_value) for record in records]), strict=True
        )
        if survives is not None
    }


def _by_question(rows: Iterable[ClaimRow]) -> dict[str, Sequence[ClaimRow]]:
    questions: dict[str, list[ClaimRow]] = {}
    for row in rows:
        questions.setdefault(row.record.claim.question, []).append(row)
    return _ordered(questions)


def _holds(row: ClaimRow) -> bool:
    """Return whether a claim holds wherever it has a verdict."""
    return not row.broken and {cell.verdict for cell in row.cells.values()} <= {"holds", "not run"}


def _ordered(questions: Mapping[str, Sequence[ClaimRow]]) -> dict[str, Sequence[ClaimRow]]:
    """Put questions with a headline claim first, and headline claims first within a question.

    Otherwise questions are in alphabetical order, and claims in the order of their file, whatever the order in which
    they ran; those of older records, which do not say their place, in the order in which they first ran.
    """
    headline_first = {
        question: sorted(rows, key=lambda row: (not row.headline, row.record.claim.line))
        for question, rows in questions.items()
    }
    return dict(sorted(headline_first.items(), key=lambda pair: (not pair[1][0].headline, pair[0])))


def _row(
    by_model: Mapping[str, Record],
    order: Sequence[str],
    newest_of_all: Record,
    repeats: Mapping[tuple[str, str], Repeats],
    survive: Mapping[tuple[str, str], bool],
    confirmations: Confirmations,
) -> ClaimRow:
    newest = max(by_model.values(), key=started)
    claim = newest.claim.id
    confirming = confirmations.of_claim(claim, newest.claim.rules_digest)
    cells = {
        name: cell_of(
            by_model[name],
            newest,
            newest_of_all,
            repeats.get((name, claim)),
            survive.get((name, claim)),
            confirming.get(name),
        )
        for name in order
        if name in by_model
    }
    drawn = [arm for cell in cells.values() for arm in cell.arms]
    drawn += [cell.confirmed.arm for cell in cells.values() if cell.confirmed]
    return ClaimRow(newest, axis_of(newest.claim.rule, drawn), cells, confirming)
