"""The ledger of a freeze: one line per verdict of its confirming runs, each with the digest of the line before.

A line is only ever appended. Its record is kept next to it, whole, so that anyone can judge it again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.files import file_name, parse_record, record_text, write_atomically
from vsg_core.records.record import Interval, Number, Record, Stored, first_fault
from vsg_core.records.registered import Registration
from vsg_core.vocabulary import EngineName, Verdict

# confirmation: the first verdict of a claim on a model; repeat: any later one, which replaces nothing; placebo: the
# same trials with permuted labels.
LineKind = Literal["confirmation", "repeat", "placebo"]
# What the first line has in place of the digest of one before.
BEGINNING = "0" * 64


class Line(Stored):
    """One verdict."""

    number: int
    """Its place in the ledger, from 1."""

    before: str
    """The sha256 of the line before, without its line end; of the first line 64 zeros."""

    kind: LineKind
    """What the line is."""

    claim: str
    """The id of the claim; of a placebo that of the claim whose labels were permuted."""

    placebo: int | None = None
    """The number of the placebo claim, from 1; null for the claims themselves."""

    model: str
    """The name of the model; of a second engine MODEL+ENGINE."""

    engine: EngineName
    """What computed it."""

    seed: str
    """The seed of the run, which the freeze's bytes and the nonce determine."""

    n: int | None = None
    """Independent units; null where the claim was not run."""

    verdict: Verdict
    """What was found."""

    reason: str
    """The measurement against the rule, or why there is none."""

    estimate: Number | None = None
    """The estimate; null where the claim was not run."""

    interval: Interval | None = None
    """Its confidence interval."""

    p_value: Number | None = None
    """The smallest alpha at which the verdict would still be given."""

    time: datetime
    """When the claim began to run, UTC."""

    commit: str
    """The commit of the tree that ran."""

    resumed: bool = False
    """Whether the run that wrote this line went on with one that had been interrupted."""

    record: str
    """The file of its record in NAME.records/; of a placebo that of the claim whose labels were permuted."""

    digest: str
    """The sha256 of the record's text."""

    @property
    def cell(self) -> tuple[str, str, int | None]:
        """The claim, the model and the number of the placebo: of the lines of a cell the first one counts."""
        return self.claim, self.model, self.placebo


def line_text(line: Line) -> str:
    """A line as it stands in the ledger, without its line end."""
    return json.dumps(line.model_dump(mode="json"), ensure_ascii=True)


def digest_of(text: str) -> str:
    """The sha256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_ledger(path: str | Path) -> list[Line]:
    """The lines of a ledger in their order; none where there is no file.

    Raises:
        VsgError: a line is damaged, or the chain is broken; one line that names the first such place.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise VsgError(f"cannot read the ledger {path}: {error}") from error
    if content and not content.endswith("\n"):
        raise VsgError(f"{path}: its last line is cut off: remove that line, and continue with --resume")
    lines: list[Line] = []
    before = BEGINNING
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = Line.model_validate_json(text)
        except ValidationError as error:
            raise VsgError(
                f"{path}, line {number} is damaged ({first_fault(error)}): restore it from git"
            ) from error
        if line.before != before or line.number != number:
            raise VsgError(
                f"{path}, line {number}: the chain is broken, it follows {line.before[:12]} as number {line.number} "
                f"and the line before has {before[:12]}: restore the ledger from git"
            )
        lines.append(line)
        before = digest_of(text)
    return lines


def hold(registration: Registration) -> IO[bytes]:
    """Keep other processes from appending to the ledger of a freeze, until what is returned is closed.

    Raises:
        WrongUse: another process does.
        VsgError: the freeze cannot be read.
    """
    # Not on Windows, where the suite does not run.
    import fcntl

    try:
        # Not the ledger, which a run without a verdict should not leave behind.
        file = registration.path.open("rb")
    except OSError as error:
        raise VsgError(f"cannot read {registration.path}: {error.strerror or error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise WrongUse(
            f"another process confirms {registration.freeze.name}: wait until it has ended"
        ) from None
    except OSError:
        # A file system without locks; every line is still checked against the ledger before it is appended.
        return file
    return file


def append(registration: Registration, line: Line) -> None:
    """Append a line whose `number` and `before` follow from the ledger as it is, and bring it to the disk.

    Raises:
        VsgError: it cannot be written.
    """
    try:
        with registration.ledger.open("a", encoding="utf-8") as file:
            file.write(line_text(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise VsgError(f"cannot write the ledger {registration.ledger}: {error.strerror or error}") from error


def following(lines: Sequence[Line]) -> tuple[int, str]:
    """The `number` and the `before` of the line that follows these."""
    return len(lines) + 1, digest_of(line_text(lines[-1])) if lines else BEGINNING


def keep_record(registration: Registration, record: Record) -> tuple[str, str]:
    """Write a record next to the ledger, and return its file there and the digest of its text.

    The file is named by the digest too: MODEL/CLAIM-DIGEST.json.gz, so that a repeat never replaces another.

    Raises:
        VsgError: it cannot be written.
    """
    text = record_text(record)
    digest = digest_of(text)
    member = f"{file_name(record.model.name)}/{file_name(record.claim.id)}-{digest[:12]}.json.gz"
    # Without a time, so that the same record gives the same bytes.
    path = write_atomically(registration.records / member, gzip.compress(text.encode(), 9, mtime=0))
    # Before its line is: no run could continue behind a line whose record was lost.
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return member, digest


def kept_record(registration: Registration, line: Line) -> Record:
    """Read the record of a line.

    Raises:
        VsgError: it is missing, damaged, or not the one that the line names.
    """
    path = registration.records / line.record
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise VsgError(
            f"line {line.number}: cannot read its record {path}: {error}: restore it from git"
        ) from error
    if (found := digest_of(text)) != line.digest:
        raise VsgError(
            f"line {line.number}: {path} has the digest {found[:12]}, the line names {line.digest[:12]}: "
            "restore it from git"
        )
    return parse_record(path, text)
