"""The ledger of a freeze checked line by line: its chain, its records, its verdicts, and that they fit the freeze."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vsg_core.errors import VsgError
from vsg_core.judge.judging import Judgement, judge
from vsg_core.judge.placebo import placebo, placebos_of
from vsg_core.judge.trials import JudgingError
from vsg_core.records.ledger import Line, kept_record, read_ledger
from vsg_core.records.making import evidence_of
from vsg_core.records.record import Key, Record
from vsg_core.records.registered import Freeze, FrozenClaim, FrozenModel, Registration, claim_seed
from vsg_core.records.restoring import claim_of

# The same trials may give other last digits on another machine; a p-value is found by bisection.
_SAME, _SAME_P_VALUE = 1e-9, 1e-4
# The library that computes on the second engine alone: records of the first do not rest on it.
ON_LLAMA_CPP = "llama-cpp-python"


@dataclass(frozen=True)
class Verification:
    """The result of a check of a ledger.

    Args:
        lines: all lines, none where the chain is broken.
        faults: what is wrong, one line each; empty where nothing is.
        seeded: whether the nonce was given, so that the seed was checked.
    """

    lines: Sequence[Line]
    faults: Sequence[str]
    seeded: bool


def verify(registration: Registration, nonce: str | None = None) -> Verification:
    """Check the ledger of a freeze.

    Each line follows the one before; its record is kept and is the one that it names; what the line says is what its
    record says, and what the judge says of the record's trials now; and the record fits the freeze. Every registered
    verdict is there, with its placebos, and every kept record is named by a line. A ledger without lines has nothing
    to check.

    Args:
        nonce: to check that the seeds follow from the freeze and the nonce.

    Raises:
        WrongUse: the nonce is not the one that the freeze commits to.
    """
    seed = None if nonce is None else registration.seed(nonce)
    try:
        lines = read_ledger(registration.ledger)
    except VsgError as error:
        return Verification([], [str(error)], seed is not None)
    check = _Check(registration, lines, seed)
    faults = [f"{_where(line)}: {fault}" for line in lines for fault in check.faults(line)]
    if lines:
        faults += _missing(registration.freeze, lines)
    faults += _unnamed(registration, lines)
    return Verification(lines, faults, seed is not None)


@dataclass
class _Check:
    """The check of one ledger.

    Args:
        seed: that of the run if the nonce is known.
    """

    registration: Registration
    lines: Sequence[Line]
    seed: str | None
    _records: dict[str, Record] = field(default_factory=dict)

    def faults(self, line: Line) -> Iterator[str]:
        """Describe what is wrong with a line."""
        freeze = self.registration.freeze
        claim, model = freeze.claim(line.claim), freeze.model(line.model)
        if claim is None or model is None or freeze.run(line.claim, line.model) is None:
            yield "the freeze does not register this claim on this model"
            return
        yield from self._of_its_place(line)
        try:
            record = self._record(line)
        except VsgError as error:
            yield str(error).removeprefix(f"line {line.number}: ")
            return
        yield from _other_origin(line, record)
        if line.kind == "placebo":
            yield from _judged_again(line, record)
            return
        yield from _other_result(line, record)
        yield from _misfits(record, claim, model, freeze.versions)
        if record.evidence.trials:
            yield from _judged_again(line, record)

    def _of_its_place(self, line: Line) -> Iterator[str]:
        """Describe what is wrong with its kind and its seed, given the other lines."""
        earlier = [each for each in self.lines[: line.number - 1] if each.cell == line.cell]
        if (line.kind == "placebo") != (line.placebo is not None):
            yield f"a {line.kind} with the placebo number {line.placebo}"
        elif line.kind == "placebo":
            if line.placebo not in placebos_of(self.registration.freeze.claims_on(line.model), line.claim):
                yield f"placebo {line.placebo} is not made from this claim"
            if earlier:
                yield f"a second placebo {line.placebo}, after line {earlier[0].number}"
            if all((each.digest, each.kind) != (line.digest, "confirmation") for each in self.lines):
                yield "it is made from a record that no confirmation names"
        elif (line.kind == "confirmation") != (not earlier):
            yield f"a {line.kind}, but {'a verdict is there already' if earlier else 'no verdict is there yet'}"
        elif any(each.digest == line.digest for each in earlier):
            yield "it names the record of an earlier line"
        if line.seed != (self.seed or self.lines[0].seed):
            other = "what the freeze and the nonce give" if self.seed else "that of the first line"
            yield f"its seed {line.seed[:12]} is not {other}: the freeze or the ledger was changed"

    def _record(self, line: Line) -> Record:
        key = f"{line.record} {line.digest}"
        if key not in self._records:
            self._records[key] = kept_record(self.registration, line)
        return self._records[key]


def _where(line: Line) -> str:
    what = f"placebo {line.placebo} of {line.claim}" if line.kind == "placebo" else line.claim
    return f"line {line.number} ({what} on {line.model})"


def _other_origin(line: Line, record: Record) -> Iterator[str]:
    """State where a line differs from its record in what ran, when, and from which seed."""
    yield from _unequal(
        {
            "claim": (line.claim, record.claim.id),
            "model": (line.model, record.model.name),
            "engine": (line.engine, record.evidence.engine),
            "time": (line.time, record.run.started),
            "commit": (line.commit, record.run.commit),
            "claim's seed": (claim_seed(line.seed, line.claim), record.claim.seed),
        }
    )


def _other_result(line: Line, record: Record) -> Iterator[str]:
    """State where a line differs from its record in what was found."""
    found = record.evidence
    yield from _unequal(
        {
            "verdict": (line.verdict, found.verdict),
            "estimate": (line.estimate, found.estimate),
            "interval": (line.interval, found.interval),
            "n": (line.n, found.n),
            "p-value": (line.p_value, found.p_value),
            "reason": (line.reason, record.reason),
        }
    )


def _unequal(fields: Mapping[str, tuple[object, object]]) -> Iterator[str]:
    for name, (said, found) in fields.items():
        if said != found:
            yield f"its {name} is {said}, that of its record {found}"


def _misfits(
    record: Record, claim: FrozenClaim, model: FrozenModel, versions: Mapping[str, str]
) -> Iterator[str]:
    """State where a record is not of what was frozen."""
    found = record.evidence
    fields = {
        "statement": (record.claim.statement, claim.statement),
        "rules": (record.claim.rules_digest, claim.rules),
        "weights": (record.weights, model.weights),
        "engine": (found.engine, model.engine),
        "trials": (found.chosen_trials, claim.trials),
    }
    if found.dtype is not None:
        fields["dtype"] = (found.dtype, model.dtype)
    if found.verdict != "not run":
        fields["rules, digested again,"] = (claim_of(record).rules_digest, claim.rules)
    for name, (was, frozen) in fields.items():
        if was != frozen:
            yield f"the {name} of its record: {was}, frozen: {frozen}"
    computing = {
        name: value for name, value in versions.items() if name != ON_LLAMA_CPP or model.engine == "llama.cpp"
    }
    yield from _other_parts(record.key, {**claim.parts, **computing})


def _other_parts(key: Key | None, frozen: Mapping[str, str]) -> Iterator[str]:
    if key is None:
        yield "its record has no key, so nothing says what it rests on"
        return
    for name, value in frozen.items():
        if key.parts.get(name) != value:
            yield f"{name} of its record: {key.parts.get(name, 'none')}, frozen: {value}"


def _judged_again(line: Line, record: Record) -> Iterator[str]:
    """State where the judge's verdict on the trials of a record, or on a placebo made from them, is another one."""
    try:
        claim, evidence = claim_of(record), evidence_of(record)
        if line.placebo is not None:
            claim, evidence = placebo(claim, evidence, f"{line.seed} {line.model}", line.placebo)
        again = judge(claim, evidence)
    except JudgingError as error:
        again = Judgement("not run", None, None, None, str(error))
    except VsgError as error:
        yield f"its record cannot be judged again: {error}"
        return
    if again.verdict != line.verdict or again.n != line.n:
        yield f"it says {line.verdict} of {line.n}, judged again: {again.verdict} of {again.n}"
    said = [line.estimate, *(line.interval or ())]
    found = [again.estimate, *(again.interval or ())]
    if not _close(said, found, _SAME) or not _close([line.p_value], [again.p_value], _SAME_P_VALUE):
        yield f"it says {said}, p {line.p_value}; judged again: {found}, p {again.p_value}"


def _close(said: Sequence[float | None], found: Sequence[float | None], within: float) -> bool:
    return len(said) == len(found) and all(
        one == other
        if one is None or other is None
        else math.isclose(one, other, rel_tol=within, abs_tol=1e-12)
        for one, other in zip(said, found, strict=True)
    )


def _missing(freeze: Freeze, lines: Sequence[Line]) -> Iterator[str]:
    """The verdicts that were registered and are not there, and the placebos of those that are."""
    confirmed = {line.cell[:2]: line for line in lines if line.kind == "confirmation"}
    placebos = {line.cell for line in lines if line.kind == "placebo"}
    for claim, model in freeze.cells:
        line = confirmed.get((claim, model))
        if line is None:
            yield f"{claim} on {model} has no verdict yet"
        elif line.n is not None:
            for number in placebos_of(freeze.claims_on(model), claim):
                if (claim, model, number) not in placebos:
                    yield f"placebo {number} of {claim} on {model} is missing"


def _unnamed(registration: Registration, lines: Sequence[Line]) -> Iterator[str]:
    """The kept records that no line names: their lines were removed, or never written."""
    named = {line.record for line in lines}
    for path in sorted(registration.records.glob("*/*.json.gz")):
        if (member := path.relative_to(registration.records).as_posix()) not in named:
            yield (
                f"no line names the record {member}: restore the ledger from git, or, if a run was interrupted before "
                "it wrote that line, remove the record"
            )
