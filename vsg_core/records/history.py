"""All runs of a cell, from one person or several: history/MODEL/CLAIM/STARTED-DIGEST.json, next to records/.

A record in records/ is the run that is shown; `vsg merge` keeps it and every other run in history/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from vsg_core.errors import VsgError
from vsg_core.records.files import (
    ARCHIVE,
    HISTORY,
    archived_texts,
    file_name,
    parse_record,
    read_text,
    record_member,
    record_text,
)
from vsg_core.records.record import Record

# Hexadecimal digits of the digest in the name of a file.
DIGITS = 12


def run_digest(record: Record) -> str:
    """Return the sha256 of a run's record without the name of its model, which may change when runs are merged."""
    unnamed = record.model_copy(update={"model": record.model.model_copy(update={"name": ""})})
    return hashlib.sha256(record_text(unnamed).encode()).hexdigest()


def history_member(record: Record) -> str:
    """Name the file of a run in a folder of reports or in an archive: history/MODEL/CLAIM/STARTED-DIGEST.json.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
    """
    model, claim = file_name(record.model.name), file_name(record.claim.id)
    return f"{HISTORY}/{model}/{claim}/{_stamp(record)}-{run_digest(record)[:DIGITS]}.json"


def read_history(reports: str | Path) -> dict[str, Record]:
    """Every run in history/ of a folder of reports, and in that of its archive, by the name of its file.

    Raises:
        VsgError: a record is damaged; one line that names it.
    """
    return {member: _parsed(reports, member, text) for member, text in _members(reports).items()}


@dataclass(frozen=True)
class Repeats:
    """The runs that repeat the measurement of a record: same rule, seed, weights, form, engine and dtype.

    Attributes:
        shown: the record.
        others: its repetitions, oldest first.
    """

    shown: Record
    others: Sequence[Record] = ()

    @property
    def differing(self) -> list[Record]:
        """The repetitions with a different verdict."""
        return [record for record in self.others if record.verdict != self.shown.verdict]

    @property
    def reproduced(self) -> bool | None:
        """Return whether every repetition gave the shown verdict; None if there is no repetition."""
        return not self.differing if self.others else None


def repeats_of(shown: Record, runs: Iterable[Record]) -> Repeats:
    """Pick the repetitions of a record out of the runs of its cell; the record itself is left out."""
    own = run_digest(shown)
    others = [run for run in runs if is_repeat(shown, run) and run_digest(run) != own]
    return Repeats(shown, sorted(others, key=lambda run: run.run.started.astimezone()))


def is_repeat(a: Record, b: Record) -> bool:
    """Return whether two runs are measurements of the same claim by the same rule on the same model.

    Both must be findings, and agree in claim, rules, seed, weights, form of the weights, engine and dtype. The form or
    dtype of a claim that does not apply may be unknown.
    """
    return (
        a.is_finding
        and b.is_finding
        and _measured(a) == _measured(b)
        and bool(a.weights and a.claim.rules_digest)
        and _may_equal(a.model.form, b.model.form)
        and _may_equal(a.evidence.dtype, b.evidence.dtype)
    )


def read_repeats(reports: str | Path, records: Iterable[Record]) -> dict[tuple[str, str], Repeats]:
    """The repetitions of each record of a folder of reports, by model and claim; records without any are left out.

    Reads only the files of cells that have more than one run.

    Raises:
        VsgError: a file is damaged; one line that names it.
    """
    by_cell: dict[str, dict[str, str | None]] = {}
    for member, text in _members(reports).items():
        by_cell.setdefault(member.rpartition("/")[0], {})[member] = text
    found = {}
    for record in records:
        members = by_cell.get(f"{HISTORY}/{record.model.name}/{record.claim.id}", {})
        if all(Path(member).name.startswith(f"{_stamp(record)}-") for member in members):
            continue
        runs = [_parsed(reports, name, text) for name, text in members.items()]
        repeats = repeats_of(record, runs)
        if repeats.others:
            found[record.model.name, record.claim.id] = repeats
    return found


def _measured(record: Record) -> tuple[str, str, int, str, str]:
    claim = record.claim
    return claim.id, claim.rules_digest, claim.seed, record.weights, record.evidence.engine


def _may_equal(a: str | None, b: str | None) -> bool:
    return a is None or b is None or a == b


def _stamp(record: Record) -> str:
    return f"{record.run.started.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _members(reports: str | Path) -> dict[str, str | None]:
    """The names of all files of the history, those in the archive with their text."""
    folder = Path(reports, HISTORY)
    own = sorted(folder.glob("*/*/*.json")) if folder.is_dir() else []
    names = [f"{HISTORY}/{path.relative_to(folder).as_posix()}" for path in own if path.name[0] != "."]
    archive = Path(reports, ARCHIVE)
    archived: Mapping[str, str] = archived_texts(archive, HISTORY) if archive.is_file() else {}
    return {**archived, **dict.fromkeys(names)}


def _parsed(reports: str | Path, member: str, text: str | None) -> Record:
    place = Path(reports, member) if text is None else Path(reports, ARCHIVE, member)
    record = parse_record(place, read_text(place) if text is None else text)
    if record_member(record) != f"{Path(member).parent.relative_to(HISTORY).as_posix()}.json":
        raise VsgError(
            f"{place} is a record of {record.claim.id} on {record.model.name}: remove it from there"
        )
    return record
