"""Evidence on disk: one JSON record a claim and model, complete enough that a report needs nothing else."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.judge.rules import Judgement
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.vocabulary import OUTCOMES, VERDICTS

SCHEMA_VERSION = 1

_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": ["string", "null"]}
_INTERVAL = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_VERDICT = {"enum": list(VERDICTS)}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TRIALS = {
    "type": "array",
    "items": _object(
        prompt={"type": "string"},
        inputs={"type": ["object", "null"]},
        outputs={"type": "object", "required": ["output"], "additionalProperties": {"type": "string"}},
        value=_NUMBER,
        success={"type": ["boolean", "null"]},
        cluster=_TEXT,
    ),
}
_MEASURED = {"estimate": _NUMBER, "interval": _INTERVAL, "n": {"type": ["integer", "null"]}}

RECORD_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        schema={"const": SCHEMA_VERSION},
        claim={"type": "string"},
        question={"type": "string"},
        statement={"type": "string"},
        source={"type": "string"},
        link=_TEXT,
        reported={"type": "string"},
        rule={"type": "string"},
        bound={**_object(kind={"type": "string"}, over=_TEXT), "minProperties": 3},
        power={"type": "string"},
        docstring={"type": "string"},
        seed={"type": "integer"},
        model=_object(name={"type": "string"}),
        verdict=_VERDICT,
        reason={"type": "string"},
        **_MEASURED,
        trials=_TRIALS,
        controls={
            "type": "array",
            "items": _object(
                name={"type": "string"},
                kind={"enum": ["control", "positive control", "comparison"]},
                rule=_TEXT,
                verdict={"enum": [*_VERDICT["enum"], None]},
                trials=_TRIALS,
                **_MEASURED,
            ),
        },
        recorded={"anyOf": [{"type": "null"}, _object(verdict=_VERDICT, **_MEASURED)]},
        outcome={"enum": list(OUTCOMES)},
        provenance={"type": "object"},
    ),
}
RECORD_SCHEMA["properties"]["headline"] = {"type": "boolean"}  # not required: the first records lack it


def build_record(
    claim: Claim,
    model: Mapping[str, Any],
    evidence: Evidence | Sequence[Trial] | None,
    judgement: Judgement,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The full record of one claim on one model, as plain JSON values.

    Numbers that JSON lacks (NaN, infinity) become strings; none can be among the judged ones. Those of a trial's
    inputs, which are shown and not judged, keep six digits. The outcome is
    "new" or "not run", and `recorded` is None, until the verdict is compared with the recorded one.

    Args:
        model: name, family, kind, sha256, revision, source, parameters; at least the name.
        evidence: None where the claim did not run.
        provenance: dtype, device, engine, versions and so on.
    """
    record = {
        "schema": SCHEMA_VERSION,
        "claim": claim.id,
        "question": claim.question,
        "statement": claim.statement,
        "source": claim.source,
        "link": claim.link,
        "reported": claim.reported,
        "rule": claim.rule_text,
        "bound": claim.rule.bound,
        "power": claim.power,
        "docstring": claim.docstring,
        "seed": claim.seed,
        "headline": claim.headline,
        "model": dict(model),
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "estimate": judgement.estimate,
        "interval": judgement.interval,
        "n": judgement.n,
        "trials": [] if evidence is None else [_trial(trial) for trial in Evidence.of(evidence).trials],
        "controls": [
            {**row, "trials": [_trial(trial) for trial in row["trials"]]} for row in judgement.controls
        ],
        "recorded": None,
        "outcome": "not run" if judgement.verdict == "not run" else "new",
        "provenance": dict(provenance),
    }
    return {key: _plain(value) for key, value in record.items()}


def not_run_record(
    claim: Claim, model: Mapping[str, Any], reason: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a claim that gave no evidence on a model, with the reason."""
    return build_record(claim, model, None, Judgement("not run", None, None, None, reason), provenance)


def record_text(record: Mapping[str, Any]) -> str:
    """A record as JSON text, in plain ASCII: control characters and lone surrogates survive any file.

    A line for each field, arm and trial: indented to the depth of a mixture it would be half as large again.
    """
    return _lines(record)


def _lines(value: Any, name: str = "") -> str:
    if isinstance(value, Mapping) and "trials" in value:
        return "{\n" + ",\n".join(f"{_compact(key)}:{_lines(value[key], key)}" for key in value) + "\n}"
    if name in ("trials", "controls") and value:
        return "[\n" + ",\n".join(map(_lines, value)) + "\n]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def write_record(record: Mapping[str, Any], folder: str | Path) -> Path:
    """Write a record to `folder`/MODEL/CLAIM.json, whole or not at all; returns the path.

    Raises:
        WrongUse: the model's or claim's name cannot name a file.
        VsgError: the file cannot be written.
    """
    for name in (record["model"]["name"], record["claim"]):
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise WrongUse(f"{name!r} cannot name a file: use letters, digits, '.', '-', '_' and '+'")
    path = Path(folder, record["model"]["name"], f"{record['claim']}.json")
    return write_atomically(path, record_text(record) + "\n")


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
        temporary.chmod(0o644)  # a temporary file is its owner's alone
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise VsgError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def read_records(folder: str | Path) -> list[dict[str, Any]]:
    """All records under `folder`, by model and then by claim; none where the folder is missing.

    Raises:
        VsgError: a file is damaged, or of another schema; one line that names it.
    """
    return [read_record(path) for path in sorted(Path(folder).glob("*/*.json"))]


def read_record(path: Path) -> dict[str, Any]:
    """One record. Errors as of `read_records`."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise VsgError(f"damaged record {path}: {error}; delete it and run that claim again") from error
    version = record.get("schema") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        raise VsgError(f"record {path} has schema {version!r}, not {SCHEMA_VERSION}; delete it and run again")
    missing = [key for key in RECORD_SCHEMA["required"] if key not in record]
    if missing:
        raise VsgError(f"damaged record {path}: no {', '.join(missing)}; delete it and run that claim again")
    return record


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "prompt": trial.prompt,
        "inputs": _plain(trial.inputs, digits=6),
        "outputs": {"output": trial.output, **(trial.outputs or {})},
        "value": trial.value,
        "success": trial.success,
        "cluster": trial.cluster,
    }


def _plain(value: Any, digits: int = 17) -> Any:
    """Plain JSON values: numpy and torch ones by their own `tolist`, paths and the like as text.

    Args:
        digits: significant ones of a float; 17 are all of them.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, digits) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry, digits) for entry in value]
    return str(value)
