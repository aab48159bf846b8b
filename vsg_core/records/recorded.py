"""Recorded verdicts: those accepted, in one reviewed TOML file a model, and how a new record compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.rules import NOT_APPLICABLE
from vsg_core.records.files import write_atomically
from vsg_core.wording import measured_text


@dataclass(frozen=True)
class Recorded:
    """The accepted verdict of one claim on one model.

    Args:
        verdict: "holds", "refuted", "inconclusive" or "not run".
        estimate, interval, n: rounded, for review; None where not run.
        rule: the rule in words, as `Claim.rule_text` gave it.
        weights: sha256 of the weights, or their revision.
        reason: why it was not run.
        dtype: what it was computed in.
    """

    verdict: str
    estimate: float | None
    interval: tuple[float, float] | None
    n: int | None
    rule: str
    weights: str
    reason: str = ""
    dtype: str = "float32"  # of entries that do not say


@dataclass(frozen=True)
class Outcome:
    """How a record compares with the recorded verdict: one of `evidence.OUTCOMES`, and a line to read."""

    kind: str
    text: str


def weights_of(record: Mapping[str, Any]) -> str:
    """What tells the model's bytes apart: its sha256, else its revision, else nothing.

    Of a claim across models: those of every model it rests on, by name.
    """
    model, rests_on = record["model"], record["provenance"].get("records")
    if rests_on:
        return ", ".join(sorted({f"{each['model']} {each['weights']}" for each in rests_on}))
    return str(model.get("sha256") or record["provenance"].get("model_sha256") or model.get("revision") or "")


def compare(recorded: Recorded | None, record: Mapping[str, Any]) -> Outcome:
    """Compare a record with the recorded verdict of its claim and model.

    Only verdicts are compared, and only where the weights, the rule and the dtype are the ones recorded. A
    claim that could not run for want of weights gives no verdict to compare; one that is not applicable does.
    """
    verdict = record["verdict"]
    found = _text(record, record)
    if record["outcome"] == "broken":
        return Outcome("broken", record["reason"])
    if verdict == "not run" and not record["reason"].startswith(NOT_APPLICABLE):
        return Outcome("not run", found)
    if recorded is None:
        return Outcome("not run" if verdict == "not run" else "new", found)
    before = _text(vars(recorded), record)
    if recorded.weights != weights_of(record) or not recorded.weights:
        return Outcome("not comparable", f"other weights than recorded; now {found}; recorded {before}")
    if recorded.rule != record["rule"]:
        return Outcome(
            "not comparable", f"another rule than recorded; now {found}; recorded {recorded.verdict}"
        )
    dtype = record["provenance"].get("dtype") or recorded.dtype  # none where no model had to be loaded
    if dtype != recorded.dtype:
        return Outcome(
            "not comparable", f"in {dtype}, recorded in {recorded.dtype}; now {found}; recorded {before}"
        )
    if verdict == recorded.verdict:
        return Outcome("not run" if verdict == "not run" else "same", f"{found}, as recorded")
    kind = "weakened" if verdict == "inconclusive" and recorded.verdict != "not run" else "changed"
    return Outcome(kind, f"{kind}: was {before}; now {found}")


def _text(entry: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    if entry["estimate"] is None or entry["interval"] is None:
        return f"{entry['verdict']} ({entry['reason']})"
    measured = measured_text(record["bound"], entry["estimate"], entry["interval"], entry["n"])
    return f"{entry['verdict']}, {measured}"


def read_recorded(folder: str | Path, model_name: str) -> dict[str, Recorded]:
    """The recorded verdicts of a model by claim, from `folder`/MODEL.toml; none where that file is missing.

    Raises:
        VsgError: the file cannot be read as recorded verdicts; one line that names it.
    """
    path = Path(folder, f"{model_name}.toml")
    return {name: _entry(path, name, entry) for name, entry in _read(path).unwrap().items()}


def write_recorded(folder: str | Path, model_name: str, records: Sequence[Mapping[str, Any]]) -> Path:
    """Accept the verdicts of `records` into `folder`/MODEL.toml, and return its path.

    Other entries and all comments stay. Records that did not run for want of weights are passed over.

    Raises:
        WrongUse: a record is broken, or of another model.
    """
    path = Path(folder, f"{model_name}.toml")
    document = _read(path)
    for record in sorted(records, key=lambda record: record["claim"]):
        if record["model"]["name"] != model_name:
            raise WrongUse(f"a record of {record['model']['name']} cannot go into {path}")
        if record["outcome"] == "broken":
            raise WrongUse(
                f"{record['claim']} on {model_name} is broken and cannot be recorded: {record['reason']}"
            )
        if record["verdict"] == "not run" and not record["reason"].startswith(NOT_APPLICABLE):
            continue
        table = document.setdefault(record["claim"], tomlkit.table())
        for key, value in _to_review(record).items():
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
    return write_atomically(path, tomlkit.dumps(document))


def _to_review(record: Mapping[str, Any]) -> dict[str, Any]:
    ran = record["verdict"] != "not run"
    return {
        "verdict": record["verdict"],
        "reason": None if ran else record["reason"],
        "estimate": _rounded(record["estimate"]) if ran else None,
        "interval": [_rounded(end) for end in record["interval"]] if ran else None,
        "n": record["n"] if ran else None,
        "rule": record["rule"],
        "weights": weights_of(record),
        "dtype": record["provenance"].get("dtype"),
    }


def _rounded(number: float) -> float:
    """Four significant digits: enough to review, few enough that noise in the last bits changes no file."""
    return float(f"{number:.4g}")


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return tomlkit.document()
    except (OSError, TOMLKitError, UnicodeDecodeError) as error:
        raise VsgError(f"cannot read recorded verdicts {path}: {error}") from error


def _entry(path: Path, name: str, entry: Any) -> Recorded:
    try:
        return Recorded(
            verdict=entry["verdict"],
            estimate=entry.get("estimate"),
            interval=_pair(entry["interval"]) if "interval" in entry else None,
            n=entry.get("n"),
            rule=entry["rule"],
            weights=entry["weights"],
            reason=entry.get("reason", ""),
            dtype=entry.get("dtype", Recorded.dtype),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VsgError(f"{path}: entry {name} is damaged ({error!r}): mend or delete it") from error


def _pair(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = numbers
    return float(low), float(high)
