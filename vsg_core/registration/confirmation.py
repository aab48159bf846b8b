"""A confirmation: which verdicts of a freeze are in its ledger, which are due, and how a new one is added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.judge.judging import judge
from vsg_core.judge.placebo import placebo, placebos_of
from vsg_core.judge.trials import JudgingError
from vsg_core.records.ledger import Line, append, following, keep_record, kept_record, read_ledger
from vsg_core.records.making import evidence_of
from vsg_core.records.record import Record
from vsg_core.records.registered import Registration

# A claim and a model, by their names.
Cell = tuple[str, str]
# What a line has of a judgement.
JUDGED = ("n", "verdict", "reason", "estimate", "interval", "p_value")


@dataclass
class Confirmation:
    """A run of a freeze's claims that appends to its ledger.

    Args:
        seed: of the run, which the freeze and the nonce determine.
        commit: that of the tree, which has no changes.
        claims: the freeze's claims by id, as the project declares them.
        lines: those of the ledger; this run's are added to them.

    Attributes:
        models: those that the run is about; see `due`.
        before: the cells that had their verdict when the run began.
        own: the lines of this run.
        resumes: the run continues an earlier one; see `due`.

    Raises:
        WrongUse: the ledger is of another seed, or it is gone and its records are not.
    """

    registration: Registration
    seed: str
    commit: str
    claims: Mapping[str, Claim]
    lines: list[Line]
    own: list[Line] = field(default_factory=list)
    resumes: bool = False

    def __post_init__(self) -> None:
        if self.lines and self.lines[0].seed != self.seed:
            raise WrongUse(
                f"{self.registration.ledger} was begun with another freeze or nonce: its seed is "
                f"{self.lines[0].seed[:12]}, and that of this run {self.seed[:12]}: restore both from git"
            )
        if not self.lines and any(self.registration.records.glob("*/*.json.gz")):
            raise WrongUse(
                f"{self.registration.records} has records, and {self.registration.ledger} no line: restore the ledger "
                "from git, or, if a run was interrupted before its first line, remove the records"
            )
        self.before = {(line.claim, line.model) for line in self._confirmed()}
        self.models: set[str] = set()

    @property
    def name(self) -> str:
        """The name of the freeze."""
        return self.registration.freeze.name

    @property
    def cells(self) -> list[Cell]:
        """Every claim of the freeze on every model that it applies to."""
        return self.registration.freeze.cells

    @property
    def there(self) -> str:
        """The number of cells that have their verdict: "12 of 56"."""
        return f"{len({(line.claim, line.model) for line in self._confirmed()})} of {len(self.cells)}"

    def due(self, cells: Collection[Cell], resume: bool) -> set[Cell]:
        """Return which of these cells the run is to measure: those without a verdict, or all where none is missing.

        A run was interrupted if some of the claims on these models have their verdicts, and not all.

        Args:
            resume: whether the run continues one that was interrupted.

        Raises:
            WrongUse: `resume` is missing where a run was interrupted, or given where none was; or none is due.
        """
        self.models = {model for _, model in cells}
        registered = {cell for cell in self.cells if cell[1] in self.models}
        there = self.before & registered
        # A model, or an engine, on which nothing has run is another run, not the rest of one.
        is_unfinished = bool(there) and (there != registered or any(self._cut_off()))
        if is_unfinished and not resume:
            raise WrongUse(
                f"the confirmation of {self.name} was interrupted: {self.there} verdicts are there; "
                "continue with --resume"
            )
        if resume and there and not is_unfinished:
            raise WrongUse(f"the confirmation of {self.name} is complete; without --resume it is repeated")
        self.resumes = is_unfinished
        due = {*cells} - self.before if is_unfinished else {*cells}
        if not due and not any(self._cut_off()):
            raise WrongUse(
                f"the chosen claims of {self.name} have their verdicts; {self.there} are there: choose others"
            )
        return due

    def add(self, record: Record) -> Line:
        """Keep a record, append its line, then the lines of its placebos. Returns the record's line.

        Raises:
            VsgError: its weights are not the frozen ones, it cannot be written, or another process appends to the
                ledger.
        """
        self._check_alone()
        model = self.registration.freeze.model(record.model.name)
        # Weights that had to be fetched first were not compared before the run.
        if model is not None and record.weights != model.weights:
            raise VsgError(
                f"{record.claim.id} ran on weights {record.weights[:12]} of {model.name}, frozen with "
                f"{model.weights[:12]}: nothing was added to the ledger; get the frozen ones"
            )
        file, digest = keep_record(self.registration, record)
        cell = record.claim.id, record.model.name
        line = self._append(
            vars(record.evidence) | {"reason": record.reason},
            kind="repeat" if cell in self.before else "confirmation",
            claim=record.claim.id,
            model=record.model.name,
            engine=record.evidence.engine,
            time=record.run.started,
            record=file,
            digest=digest,
        )
        if line.kind == "confirmation":
            self._add_placebos(line, record)
        return line

    def complete(self) -> None:
        """Append the placebos on the models of this run that an earlier one did not come to.

        Raises:
            VsgError: as `add`.
        """
        for line in list(self._cut_off()):
            self._add_placebos(line, kept_record(self.registration, line))

    def _confirmed(self) -> Iterator[Line]:
        return (line for line in self.lines if line.kind == "confirmation")

    def _cut_off(self) -> Iterator[Line]:
        """The confirmations on the models of this run without all of their placebos."""
        return (line for line in self._confirmed() if line.model in self.models and self._placebos_due(line))

    def _placebos_due(self, line: Line) -> list[int]:
        """The numbers of the placebos that a confirmation is still to be followed by."""
        if line.n is None:
            return []
        on_model = self.registration.freeze.claims_on(line.model)
        there = {each.placebo for each in self.lines if each.cell[:2] == line.cell[:2]}
        return [number for number in placebos_of(on_model, line.claim) if number not in there]

    def _add_placebos(self, line: Line, record: Record) -> None:
        """Judge placebos made from the trials of a record as it is kept, and append a line for each."""
        about = line.model_dump(include={"claim", "model", "engine", "time", "record", "digest"})
        evidence = evidence_of(record)
        for number in self._placebos_due(line):
            made = placebo(self.claims[line.claim], evidence, f"{self.seed} {line.model}", number)
            try:
                judged = vars(judge(*made))
            except JudgingError as error:
                judged = {"verdict": "not run", "reason": str(error)}
            self._append(judged, kind="placebo", placebo=number, **about)

    def _check_alone(self) -> None:
        """Check that the ledger has this run's lines and those before it alone.

        Raises:
            VsgError: another process appends to it.
        """
        if read_ledger(self.registration.ledger) != self.lines:
            raise VsgError(
                f"another process appends to {self.registration.ledger}: leave one of them running"
            )

    def _append(self, judged: Mapping[str, Any], **further: Any) -> Line:
        """Append a line with what was judged, of which only the fields in JUDGED count."""
        self._check_alone()
        number, before = following(self.lines)
        line = Line(
            number=number,
            before=before,
            seed=self.seed,
            commit=self.commit,
            resumed=self.resumes,
            **{name: value for name, value in judged.items() if name in JUDGED},
            **further,
        )
        append(self.registration, line)
        self.lines.append(line)
        self.own.append(line)
        return line
