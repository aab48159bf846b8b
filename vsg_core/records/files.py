"""Records on disk: one JSON file per claim and model in a folder, or many of them in one archive (records.zip)."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.record import SCHEMA_VERSION, Record
from vsg_core.records.upgrade import upgraded

FOLDER, ARCHIVE = "records", "records.zip"
# Members carry no time of their own, so that the same records give the same archive.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def record_text(record: Record) -> str:
    """A record as JSON text in plain ASCII, so that control characters and lone surrogates survive any file.

    One line per field, arm and trial; full indentation would make the file 50 % larger.
    """
    return _lines(record.model_dump(mode="json", by_alias=True))


def write_record(record: Record, folder: str | Path) -> Path:
    """Write a record to `folder`/MODEL/CLAIM.json, whole or not at all; returns the path.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
        VsgError: the file cannot be written.
    """
    return write_atomically(Path(folder, record_member(record)), record_text(record) + "\n")


def record_member(record: Record) -> str:
    """Where a record lies in a folder or archive: MODEL/CLAIM.json.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
    """
    for name in (record.model.name, record.claim.id):
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise WrongUse(f"{name!r} cannot name a file: use letters, digits, '.', '-', '_' and '+'")
    return f"{record.model.name}/{record.claim.id}.json"


def write_archive(records: Iterable[Record], path: str | Path) -> Path:
    """Write records into one archive, whole or not at all; the same records give the same bytes."""
    path = Path(path)
    members = sorted((record_member(record), record_text(record) + "\n") for record in records)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, text in members:
                archive.writestr(zipfile.ZipInfo(name, _NO_TIME), text, zipfile.ZIP_DEFLATED, 9)
        temporary.replace(path)
    return path


def write_atomically(path: Path, text: str) -> Path:
    """Write a file under a temporary name, then rename it: a reader sees the old one or the new one.

    Raises:
        VsgError: the file cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        # A temporary file is readable by its owner alone.
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise VsgError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def read_run(place: str | Path) -> list[Record]:
    """The records of a run: a folder of reports, a folder of records, or an archive of records.

    Raises:
        WrongUse: there is no such folder or archive.
        VsgError: there are no records in it, or one of them is damaged.
    """
    place = Path(place)
    if not place.exists():
        raise WrongUse(f"there is no folder {str(place)!r}: give a folder of reports, or of records")
    records = read_records(records_in(place))
    if not records:
        raise VsgError(f"no records in {place}: give a folder of reports that a run has written")
    return records


def records_in(reports: Path) -> Path:
    """Where the records of a folder of reports are: in records/, in records.zip, or in the folder itself."""
    places = (reports / FOLDER, reports / ARCHIVE)
    return next((place for place in places if place.exists()), reports)


def read_records(place: str | Path) -> list[Record]:
    """All records in a folder or an archive, by model and then by claim; none where there is nothing.

    Raises:
        VsgError: a record is damaged, or of a schema this version does not read; one line that names it.
    """
    place = Path(place)
    if place.is_file():
        return [_record(name, text) for name, text in _members(place)]
    return [read_record(path) for path in sorted(place.glob("*/*.json"))]


def read_record(path: Path) -> Record:
    """One record, of this schema or of schema 1. Errors as of `read_records`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return _record(path, text)


def _members(archive: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if name.endswith(".json"):
                    yield f"{archive}/{name}", opened.read(name).decode("utf-8")
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise VsgError(f"damaged archive {archive}: {error}; get it again") from error


def _record(place: Path | str, text: str) -> Record:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(place, error) from error
    version = found.get("schema") if isinstance(found, dict) else None
    if version not in (1, SCHEMA_VERSION):
        raise VsgError(
            f"record {place} has schema {version!r}, not {SCHEMA_VERSION}; delete it and run again"
        )
    try:
        return Record.model_validate(upgraded(found) if version == 1 else found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(place, f"{where}: {first['msg']}") from error
    except (KeyError, TypeError, ValueError, VsgError) as error:
        raise _damaged(place, f"no {error}" if isinstance(error, KeyError) else error) from error


def _damaged(place: Path | str, why: object) -> VsgError:
    return VsgError(f"damaged record {place}: {why}; delete it and run that claim again")


def _lines(value: Any, name: str = "") -> str:
    if isinstance(value, Mapping) and name in ("", "evidence", "arms"):
        return "{\n" + ",\n".join(f"{_compact(key)}:{_lines(value[key], key)}" for key in value) + "\n}"
    if name in ("trials", "arms") and value:
        inner = "arms" if name == "arms" else "trial"
        return "[\n" + ",\n".join(_lines(each, inner) for each in value) + "\n]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
