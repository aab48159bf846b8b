"""Records on disk: one JSON file per claim and model in a folder, or many of them in one archive (records.zip)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from vsg_core.collector import no_collection
from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.plain import plain
from vsg_core.records.record import SCHEMA_VERSION, ModelReference, Record, Stored, first_fault
from vsg_core.records.upgrade import upgraded
from vsg_core.vocabulary import ACROSS
from vsg_core.weights.engine_names import on_second_engine
from vsg_core.weights.names import is_name, with_digest

Model = TypeVar("Model", bound=Stored)

FOLDER, ARCHIVE = "records", "records.zip"
# All runs of each cell, where `vsg merge` has kept them.
HISTORY = "history"
_SCHEMA_2 = re.compile(r'\s*\{\s*"schema"\s*:\s*2\b')
# Names this machine and the process in a temporary file's name.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{6})-(?P<process>[0-9]+)\.\w+")
_DAY = 24 * 3600.0
# Lines of a record that say nothing of what was measured.
_NOT_SAID = (b'"run":', b'"recorded":', b'"outcome":', b'"key":')
# Members carry no time of their own, so that the same records give the same archive.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def record_text(record: Record) -> str:
    """A record as JSON text in plain ASCII, so that control characters survive any file and any editor.

    One line per field, arm and trial; full indentation would make the file 50 % larger.
    """
    return _lines(record.model_dump(mode="json", by_alias=True))


def write_record(record: Record, folder: str | Path) -> Path:
    """Write a record to `folder`/MODEL/CLAIM.json, whole or not at all; returns the path.

    A record of other weights that has this place is kept under a name with the digest of its weights.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
        VsgError: the file cannot be written, or the record to keep cannot be read.
    """
    path = Path(folder, record_member(record))
    if record.weights and not record.model.is_across and path.is_file():
        before = _weights_in(path)
        if before and before != record.weights:
            write_record(_set_apart(read_record(path)), folder)
    return write_atomically(path, record_text(record) + "\n")


def record_member(record: Record) -> str:
    """Name the file of a record in a folder or archive: MODEL/CLAIM.json.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
    """
    return record_member_of(record.model.name, record.claim.id)


def record_member_of(model: str, claim: str) -> str:
    """Name the file of the record of a claim on a model, as `record_member`."""
    return f"{file_name(model)}/{file_name(claim)}.json"


def file_name(name: str) -> str:
    """Return the name of a model or claim where it can name a file.

    Raises:
        WrongUse: it cannot.
    """
    if not is_name(name):
        raise WrongUse(f"{name!r} cannot name a file: use letters, digits, '.', '-', '_' and '+'")
    return name


def _is_member(place: str) -> bool:
    """Return whether this is the place of a record in a folder or archive; other files are ignored."""
    model, _, file = place.partition("/")
    return is_name(model) and file.endswith(".json") and is_name(file.removesuffix(".json"))


def write_archive(
    records: Iterable[Record], path: str | Path, history: Mapping[str, Record] | None = None
) -> Path:
    """Write records into one archive, whole or not at all; the same records give the same bytes.

    Args:
        history: further runs by the name of their file, as `read_history` returns them.

    Raises:
        WrongUse: a model's or claim's name cannot name a file.
        VsgError: the file cannot be written.
    """
    shown = {record_member(record): record for record in records}
    members = sorted(
        (name, record_text(record) + "\n") for name, record in {**shown, **(history or {})}.items()
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members:
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), text, zipfile.ZIP_DEFLATED, 9)
    return write_atomically(Path(path), content.getvalue())


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, then rename it: a reader sees the old one or the new one.

    Raises:
        VsgError: the file cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The beginning of a long name, so that the temporary one is not too long.
        prefix = f".{path.name[:40]}.{_HOST}-{os.getpid()}."
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False) as file:
            temporary = Path(file.name)
            file.write(content.encode() if isinstance(content, str) else content)
        # A temporary file is readable by its owner alone.
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except FileExistsError as error:
        raise VsgError(f"cannot write {path}: {path.parent} is not a folder") from error
    except OSError as error:
        raise VsgError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # After an interrupt too.
        if temporary:
            with suppress(OSError):
                temporary.unlink()
    return path


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove temporary files that a killed process left in these folders.

    Those of a process of this machine that is gone, and those of other machines that are older than a day.
    """
    import psutil

    for path in (path for folder in folders if folder.is_dir() for path in folder.glob(".*")):
        if not (found := _TEMPORARY.fullmatch(path.name)):
            continue
        host, process = found["host"], int(found["process"])
        with suppress(OSError):
            if host == _HOST:
                left = process == os.getpid() or not psutil.pid_exists(process)
            else:
                left = time.time() - path.stat().st_mtime > _DAY
            if left:
                path.unlink()


def read_run(place: str | Path) -> list[Record]:
    """The records of a run: a folder of reports, a folder of records, or an archive of records.

    Raises:
        WrongUse: there is no such folder or archive.
        VsgError: there are no records in it, or one of them is damaged.
    """
    place = Path(place)
    if not place.exists():
        raise WrongUse(f"there is no folder {str(place)!r}: give a folder of reports, or of records")
    records = read_reports(place) if place.is_dir() else []
    records = records or read_records(place)
    if not records:
        raise VsgError(f"no records in {place}: give a folder of reports that a run has written")
    return records


def has_record(reports: str | Path, member: str) -> bool:
    """Return whether a folder of reports has the record MODEL/CLAIM.json, in records/ or in records.zip."""
    if Path(reports, FOLDER, member).exists():
        return True
    archive = Path(reports, ARCHIVE)
    if not archive.is_file():
        return False
    with _opened(archive) as opened:
        return member in opened.namelist()


def record_at(reports: str | Path, member: str) -> Record | None:
    """The record MODEL/CLAIM.json of a folder of reports, in records/ or else in records.zip; None if it has none.

    Raises:
        VsgError: it is damaged, or of a schema this version does not read.
    """
    path, archive = Path(reports, FOLDER, member), Path(reports, ARCHIVE)
    if path.exists():
        return read_record(path)
    if not archive.is_file():
        return None
    with _opened(archive) as opened:
        text = opened.read(member).decode("utf-8") if member in opened.namelist() else None
    return None if text is None else parse_record(f"{archive}/{member}", text)


def measured_digest(reports: str | Path) -> str:
    """A digest of all that the records of a folder of reports say of claims on single models, on the first engine.

    Of their claims, models and evidence; when and where they were made, and what they were compared with, is left out.
    """
    total = hashlib.sha256()
    for path in sorted(Path(reports, FOLDER).glob("*/*.json")):
        model = path.parent.name
        if model != ACROSS and not on_second_engine(model) and _is_member(f"{model}/{path.name}"):
            total.update(f"{model}/{path.name}\0".encode())
            # One line per field, see `record_text`.
            lines = (line for line in path.read_bytes().splitlines() if not line.startswith(_NOT_SAID))
            total.update(b"\n".join(lines))
    archive = Path(reports, ARCHIVE)
    if archive.is_file():
        total.update(archive.read_bytes())
    return total.hexdigest()[:16]


def read_reports(reports: str | Path) -> list[Record]:
    """All records of a folder of reports, by model and then by claim; none where there is nothing.

    They are in records/ or in records.zip. Where both have a record of the same claim and model, the one in records/
    counts. Records of one name but of several weights do not share it: the last one measured in records/ decides
    which weights have the name, and the others get a name with the digest of theirs. Errors as of `read_records`.
    """
    archived, own = (read_records(Path(reports, name)) for name in (ARCHIVE, FOLDER))
    latest = _latest_weights(archived) | _latest_weights(own)
    by_key = {
        (record.model.name, record.claim.id): record
        for record in (_apart(each, latest) for each in [*archived, *own])
    }
    return [by_key[key] for key in sorted(by_key)]


def held_by(reports: str | Path, name: str) -> set[str]:
    """The weights whose records have this model's name in a folder of reports, in records/ or in records.zip.

    Reads one line of each record. Records that do not say of which weights they are, and damaged ones, are skipped.
    """
    folder, archive = Path(reports, FOLDER, name), Path(reports, ARCHIVE)
    found = {_weights_in(path) for path in (folder.glob("*.json") if folder.is_dir() else ())}
    if archive.is_file():
        with suppress(VsgError), _opened(archive) as opened:
            members = [member for member in opened.namelist() if member.partition("/")[0] == name]
            found |= {_weights(member, opened.read(member).decode("utf-8")) for member in members}
    return found - {""}


def model_names(reports: str | Path) -> set[str]:
    """The names of the models that have records in a folder of reports, in records/ or in records.zip."""
    folder, archive = Path(reports, FOLDER), Path(reports, ARCHIVE)
    names: set[str] = set()
    with suppress(OSError):
        names = {path.name for path in folder.iterdir()}
    if archive.is_file():
        with suppress(VsgError), _opened(archive) as opened:
            names |= {member.partition("/")[0] for member in filter(_is_member, opened.namelist())}
    return set(filter(is_name, names))


def recorded_target(reports: str | Path, name: str) -> str:
    """The target that `pytest --model` takes for a model with records, as the last of them says; empty for none."""
    folder = Path(reports, FOLDER, name)
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(VsgError):
            if model := _model_line(read_text(path)):
                return model.target
    return ""


def _latest_weights(records: Iterable[Record]) -> dict[str, str]:
    """The weights of the last record of each model's name, as far as it says of which weights it is."""
    by_age = sorted(records, key=lambda record: record.run.started)
    return {record.model.name: record.weights for record in by_age if record.weights}


def _apart(record: Record, latest: Mapping[str, str]) -> Record:
    other = record.weights and latest.get(record.model.name, record.weights) != record.weights
    return _set_apart(record) if other and not record.model.is_across else record


def _set_apart(record: Record) -> Record:
    """The record under a name with the digest of its weights."""
    return record.model_copy(update={"model": set_apart(record.model)})


def set_apart(model: ModelReference) -> ModelReference:
    """The model under a name with the digest of its weights."""
    return model.model_copy(update={"name": with_digest(model.name, model.weights)})


def _weights_in(path: Path) -> str:
    try:
        return _weights(path, read_text(path))
    except VsgError:
        return ""


def _weights(place: Path | str, text: str) -> str:
    """The weights of a record's text, from its line about the model; empty where it does not say or is damaged."""
    if model := _model_line(text):
        return model.weights
    try:
        return parse_record(place, text).weights
    except VsgError:
        return ""


def _model_line(text: str) -> ModelReference | None:
    """The model of a record's text, from its line; None where it has no such line, or it is damaged."""
    line = next((line for line in text.splitlines() if line.startswith('"model":')), "")
    try:
        return ModelReference.model_validate_json(line.removeprefix('"model":').removesuffix(","))
    except ValidationError:
        return None


def read_records(place: str | Path) -> list[Record]:
    """All records in a folder or an archive, by model and then by claim; none where there is nothing.

    Raises:
        VsgError: a record is damaged, or of a schema this version does not read; one line that names it.
    """
    place = Path(place)
    with no_collection():
        if place.is_file():
            return [parse_record(name, text) for name, text in archive_members(place)]
        paths = sorted(place.glob("*/*.json"))
        return [read_record(path) for path in paths if _is_member(f"{path.parent.name}/{path.name}")]


def read_record(path: Path) -> Record:
    """One record, of this schema or of schema 1. Errors as of `read_records`."""
    return parse_record(path, read_text(path))


def read_text(path: Path) -> str:
    """The text of a record's file. Errors as of `read_records`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; any damage met while it is read is one line that names it."""
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise VsgError(f"damaged archive {archive}: {error}; get it again") from error


def archive_members(archive: Path) -> Iterator[tuple[str, str]]:
    """Yield the place of each record of an archive, ARCHIVE/MODEL/CLAIM.json, and its text.

    Raises:
        VsgError: the archive is damaged.
    """
    with _opened(archive) as opened:
        for name in sorted(filter(_is_member, opened.namelist()), key=lambda name: name.split("/")):
            yield f"{archive}/{name}", opened.read(name).decode("utf-8")


def archived_texts(archive: Path, folder: str) -> dict[str, str]:
    """The text of every JSON file below a folder of an archive, by its name in the archive.

    Raises:
        VsgError: the archive is damaged.
    """
    with _opened(archive) as opened:
        names = [
            name for name in opened.namelist() if name.startswith(f"{folder}/") and name.endswith(".json")
        ]
        return {name: opened.read(name).decode("utf-8") for name in sorted(names)}


def parsed(
    model: type[Model],
    upgrade: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    place: Path | str,
    text: str,
) -> Model:
    """Parse the content of a file of schema 1 or 2.

    Args:
        upgrade: from the JSON values of schema 1 to those of schema 2.
        place: names the file in errors.

    Raises:
        VsgError: the file is damaged, or of a different schema; one line that names it.
    """
    try:
        # Nearly every file: validated straight from its text, which is three times as fast.
        if not _SCHEMA_2.match(text):
            values = json.loads(text, parse_constant=_refuse)
            version = values.get("schema") if isinstance(values, dict) else None
            if version == 1:
                text = json.dumps(upgrade(values), default=asdict)
            elif version != SCHEMA_VERSION:
                raise VsgError(f"schema {version!r}, and this version reads 1 and {SCHEMA_VERSION}")
        elif "NaN" in text or "Infinity" in text:
            # As names of numbers they are not JSON, but pydantic takes them inside `inputs`.
            json.loads(text, parse_constant=_refuse)
        return model.model_validate_json(text)
    except KeyError as error:
        raise _damaged(place, f"no {error}") from error
    except ValidationError as error:
        raise _damaged(place, first_fault(error)) from error
    except (AttributeError, TypeError, ValueError, RecursionError, VsgError) as error:
        raise _damaged(place, error) from error


def parse_record(place: Path | str, text: str) -> Record:
    """Parse the text of a record. Errors as of `read_records`; `place` names the file in them."""
    return parsed(Record, upgraded, place, text)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _damaged(place: Path | str, why: object) -> VsgError:
    reason = " ".join(str(why).split())
    return VsgError(f"damaged record {place}: {reason}; delete it and run that claim again")


def _lines(value: Any, name: str = "") -> str:
    if isinstance(value, Mapping) and name in ("", "evidence", "arms"):
        return "{\n" + ",\n".join(f"{_compact(key)}:{_lines(value[key], key)}" for key in value) + "\n}"
    if name in ("trials", "arms") and value:
        inner = "arms" if name == "arms" else "trial"
        return "[\n" + ",\n".join(_lines(each, inner) for each in value) + "\n]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json_text(value, separators=(",", ":"))


def json_text(value: Any, **options: Any) -> str:
    """JSON in plain ASCII; a lone surrogate, which no JSON reader takes, becomes its escape as text."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, **options)
    return json.dumps(plain(value), ensure_ascii=True, **options) if "\\ud" in text else text
