"""Merge the records of several people or machines into one folder of reports, without losing a run.

Each run is a file of its own in history/, named by its time and digest, so that merging twice adds nothing. For each
claim and model, records/ has the last run with a finding. Cells of one model that differ in weights, form, engine or
dtype do not share a name: the last one measured has it, and the others have it with what differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path

from filelock import FileLock

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.files import (
    ARCHIVE,
    FOLDER,
    HISTORY,
    archived_texts,
    parse_record,
    read_record,
    read_records,
    record_member,
    record_text,
    write_archive,
    write_atomically,
)
from vsg_core.records.history import Repeats, history_member, read_history, repeats_of, run_digest
from vsg_core.records.record import Record
from vsg_core.weights.names import slug, with_digest

Runs = dict[str, Record]
"""Runs by their digest."""

# The parts of a cell, besides claim and weights, in the order in which they are added to a name.
PARTS: dict[str, Callable[[Record], str | None]] = {
    "form": lambda record: record.model.form,
    "engine": lambda record: record.evidence.engine,
    "dtype": lambda record: record.evidence.dtype,
}


@dataclass(frozen=True)
class Merged:
    """The content of a folder after a merge.

    Attributes:
        cells: the shown run of each claim and model with all of its runs, oldest first.
        new: the number of runs that the folder did not have before.
    """

    cells: Sequence[tuple[Record, Sequence[Record]]]
    new: int

    @property
    def runs(self) -> int:
        return sum(len(runs) for _, runs in self.cells)

    @property
    def repeats(self) -> list[Repeats]:
        """The repetitions of each shown run, in the order of the cells."""
        return [repeats_of(shown, runs) for shown, runs in self.cells]


def merge(places: Sequence[str | Path], into: str | Path) -> Merged:
    """Add every run in `places` to the folder of reports `into`, and show the last one of each cell in its records/.

    All is read before anything is written. Files are written whole, runs before what is shown, and nothing is removed
    that is not written elsewhere: a merge that was interrupted is completed by the next one.

    Args:
        places: folders of reports, folders of records, or archives of records, of schema 1 or 2.

    Raises:
        WrongUse: a place does not exist, or is a folder or file of something else.
        VsgError: a place has no records, a record is damaged, or a file cannot be written.
    """
    into = Path(into)
    given = [read_runs(place) for place in places]
    try:
        into.mkdir(parents=True, exist_ok=True)
        with FileLock(into / ".merge.lock"):
            before = _own_runs(into)
            runs = before.copy()
            for more in given:
                runs |= {digest: run for digest, run in more.items() if digest not in runs}
            named = named_apart(runs.values())
            cells = _cells(named)
            _write(cells, into)
            return Merged(cells, len(runs) - len(before))
    except FileExistsError as error:
        raise WrongUse(f"{into} is not a folder: give --into a folder of reports, or a new one") from error
    except OSError as error:
        raise VsgError(f"cannot write {into}: {error.strerror or error}") from error


def read_runs(place: str | Path) -> Runs:
    """Every run in a folder of reports, with its history, in a folder of records, or in an archive.

    Raises:
        WrongUse: there is no such folder or archive.
        VsgError: there are no records in it, or one of them is damaged or in the place of another.
    """
    place = Path(place)
    if not place.exists():
        raise WrongUse(f"there is no folder or archive {str(place)!r}: give folders of reports or of records")
    if place.is_dir() and any((place / name).exists() for name in (FOLDER, ARCHIVE, HISTORY)):
        runs = _own_runs(place)
    else:
        runs = _by_digest(_archived(place) if place.is_file() else _in_folder(place))
    if not runs:
        raise VsgError(f"no records in {place}: give a folder of reports that a run has written")
    return runs


def named_apart(runs: Iterable[Record]) -> list[Record]:
    """Give each run the name of its cell, which depends only on which runs there are.

    The last measured run of a name keeps it, and so do all of the same weights, form, engine and dtype. Runs of other
    weights get a name with their digest. Runs of the same weights get one with the form, engine or dtype that differs.
    """
    runs = sorted(runs, key=_age)
    known = {(run.model.name, run.weights) for run in runs if not run.model.is_across}
    by_base: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        by_base[_base(run, known)].append(run)
    return [
        # A model of other weights may have been called like that from the start.
        _renamed(run, name if name == base or name not in by_base else with_digest(name, run.weights))
        for base, group in by_base.items()
        for run, name in _names(base, group)
    ]


def _names(base: str, runs: Sequence[Record]) -> Iterable[tuple[Record, str]]:
    """Name the runs, oldest first, of one base name."""
    if all(run.model.is_across for run in runs):
        return [(run, base) for run in runs]
    known = [run for run in runs if run.weights]
    holder = max(known, key=_standing).weights if known else ""
    by_weights: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        by_weights[run.weights or holder].append(run)
    return [
        (run, _suffixed(base if weights == holder else with_digest(base, weights), _unlike(run, last)))
        for weights, group in by_weights.items()
        for last in (max(group, key=_standing),)
        for run in group
    ]


def _unlike(run: Record, last: Record) -> list[str]:
    """The parts that a run does not share with the last measured run of its weights; unknown ones are left out."""
    return [part for of in PARTS.values() if (part := of(run)) and of(last) and part != of(last)]


def _suffixed(name: str, parts: Sequence[str]) -> str:
    return f"{name}-{slug('-'.join(parts))}" if parts else name


def _base(run: Record, known: set[tuple[str, str]]) -> str:
    """The name of a run without what an earlier merge has added, as far as other runs have the shorter name.

    Args:
        known: the names of all runs with their weights.
    """
    name = run.model.name
    parts = [part for of in PARTS.values() if (part := of(run))]
    for chosen in (each for size in (3, 2, 1) for each in combinations(parts, size)):
        shorter = name.removesuffix(_suffixed("", chosen))
        if (shorter, run.weights) in known:
            name = shorter
    shorter = name.removesuffix(with_digest("", run.weights)) if run.weights else name
    return shorter if any(shorter == other for other, _ in known) else name


def _renamed(run: Record, name: str) -> Record:
    if run.model.name == name:
        return run
    return run.model_copy(update={"model": run.model.model_copy(update={"name": name})})


def _standing(run: Record) -> tuple[bool, bool, tuple[datetime, float, str]]:
    """Order runs by what they say: findings last, then by having trials, then by age."""
    return run.is_finding, bool(run.evidence.trials), _age(run)


def _age(run: Record) -> tuple[datetime, float, str]:
    """Order runs by their start; if equal, by how long they took, then by anything that differs."""
    found = run.evidence
    rest = (
        run.run.commit, run.run.machine, run.run.device, run.model.target, run.weights, run.model.form,
        found.engine, found.dtype, found.verdict, found.estimate, run.claim.seed, run.claim.rules_digest,
    )  # fmt: skip
    return run.run.started.astimezone(), run.run.seconds or 0.0, repr(rest)


def _cells(runs: Iterable[Record]) -> list[tuple[Record, Sequence[Record]]]:
    """The runs of each claim and model, and the one to show: the last finding; without any, the last run."""
    by_place: dict[str, list[Record]] = defaultdict(list)
    for run in sorted(runs, key=_age):
        by_place[record_member(run)].append(run)
    return [
        (max(cell, key=lambda run: (run.is_finding, _age(run))), cell) for _, cell in sorted(by_place.items())
    ]


def _write(cells: Sequence[tuple[Record, Sequence[Record]]], into: Path) -> None:
    """Write all runs, then the shown ones, then the archive if there is one; remove what is now in another place."""
    history = {history_member(run): run for _, runs in cells for run in runs}
    shown = {f"{FOLDER}/{record_member(record)}": record for record, _ in cells}
    present = set(_paths(into, HISTORY, "*/*/*.json"))
    for member, run in history.items():
        if into / member not in present:
            write_atomically(into / member, record_text(run) + "\n")
    for member, record in shown.items():
        path, text = into / member, record_text(record) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
    if (into / ARCHIVE).is_file():
        write_archive([record for record, _ in cells], into / ARCHIVE, history)
    for path in [*_paths(into, HISTORY, "*/*/*.json"), *_paths(into, FOLDER, "*/*.json")]:
        if path.relative_to(into).as_posix() not in history | shown:
            path.unlink()


def _own_runs(reports: Path) -> Runs:
    archive = reports / ARCHIVE
    own = [*_in_folder(reports / FOLDER), *(_archived(archive) if archive.is_file() else ())]
    return _by_digest([*read_history(reports).values(), *own])


def _by_digest(runs: Iterable[Record]) -> Runs:
    found: Runs = {}
    for run in runs:
        found.setdefault(run_digest(run), run)
    return found


def _in_folder(folder: Path) -> list[Record]:
    return [_placed(read_record(path), path) for path in _paths(folder, ".", "*/*.json")]


def _archived(archive: Path) -> list[Record]:
    history = archived_texts(archive, HISTORY)
    kept = [parse_record(f"{archive}/{name}", text) for name, text in history.items()]
    return [*kept, *read_records(archive)]


def _paths(folder: Path, below: str, pattern: str) -> list[Path]:
    """The files that match; hidden and temporary ones are skipped."""
    return sorted(path for path in (folder / below).glob(pattern) if path.name[0] != ".")


def _placed(record: Record, path: Path) -> Record:
    """Check that a record is in its own place."""
    if record_member(record) != f"{path.parent.name}/{path.name}":
        raise VsgError(
            f"{path} is the record of {record.claim.id} on {record.model.name}: "
            f"move it to {record_member(record)}, or remove it"
        )
    return record
