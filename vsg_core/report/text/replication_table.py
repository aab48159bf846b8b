"""Recorded verdicts on two engines as Markdown tables, one per model: which of them the second one replicates.

Recorded verdicts have no trials, so the paired difference is that of the records behind them, where these are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsg_core.judge.claims import Claim, load_claims
from vsg_core.judge.measures import DECIDED
from vsg_core.projects import RECORDED
from vsg_core.records.record import Record
from vsg_core.records.recorded import RecordedVerdict, read_recorded, recorded_verdict
from vsg_core.report.text.recorded_table import full_cell, markdown_table
from vsg_core.report.view.engines import JUDGED, RESULTS, EnginePair, Result
from vsg_core.vocabulary import ACROSS
from vsg_core.weights.engine_names import engine_of, model_of, on_second_engine
from vsg_core.wording import count_text

NONE_YET = "No verdict of a second engine has been recorded yet."
Records = Mapping[tuple[str, str], Record]


@dataclass(frozen=True)
class Line:
    """A claim with its recorded verdicts on both engines, of which one may be missing."""

    claim: Claim
    first: RecordedVerdict | None
    second: RecordedVerdict | None
    result: Result
    reason: str

    @property
    def cells(self) -> list[str]:
        shown = [full_cell(each, self.claim.rule) if each else "" for each in (self.first, self.second)]
        result = f"**{self.result}**" if self.result == "not replicated" else self.result
        # Why an engine was not asked is in its own cell.
        reason = self.reason if self.result in (*JUDGED, "not comparable") else ""
        return [self.claim.statement, *shown, result + (f": {_in_a_cell(reason)}" if reason else "")]


def replication_table(
    claims: Path, recorded: Path, records: Iterable[Record] = (), own: Sequence[Path] = ()
) -> str:
    """Return a table per model on a second engine: every finding with both recorded verdicts, and the result.

    Args:
        claims, recorded, own: as `recorded_table` takes them.
        records: those behind recorded verdicts; a pair of records counts if both verdicts are the recorded ones.
    """
    folders = [recorded, *(folder / RECORDED for folder in own)]
    found = {path.stem for folder in folders for path in folder.glob("*.toml")}
    names = sorted(name for name in found if on_second_engine(name) and model_of(name) in found)
    if not names:
        return NONE_YET
    loaded = load_claims(claims, *own)
    behind = {(record.model.name, record.claim.id): record for record in records}
    verdicts = {
        model: {claim: each for folder in folders for claim, each in read_recorded(folder, model).items()}
        for name in names
        for model in (model_of(name), name)
    }
    return "\n\n".join(part for name in names for part in _of_model(name, loaded, verdicts, behind))


def second_engines(records: Iterable[Record]) -> list[Record]:
    """Return the records of models that two engines have records of."""
    kept = [record for record in records if record.model.name != ACROSS]
    names = {record.model.name for record in kept}
    both = {name for name in names if on_second_engine(name) and model_of(name) in names}
    return [record for record in kept if record.model.name in both | {model_of(name) for name in both}]


def _of_model(
    name: str, claims: Sequence[Claim], verdicts: Mapping[str, Mapping[str, RecordedVerdict]], behind: Records
) -> Iterator[str]:
    model = model_of(name)
    lines = [
        _line(claim, name, verdicts[model].get(claim.id), verdicts[name].get(claim.id), behind)
        for claim in claims
        if claim.id in verdicts[model] or claim.id in verdicts[name]
    ]
    findings = [line for line in lines if line.claim.status != "identity"]
    identities = [line for line in lines if line.claim.status == "identity"]
    yield f"### {model} on {engine_of(name)}\n\n{_counts(findings, identities)}"
    head = ["claim", engine_of(model), engine_of(name), "result"]
    # Of identities only what a reader must know: those that differ, and those that only the second engine is asked.
    shown = [
        *findings,
        *(line for line in identities if line.result == "not replicated" or line.first is None),
    ]
    yield markdown_table(head, [line.cells for result in RESULTS for line in shown if line.result == result])


def _counts(findings: Sequence[Line], identities: Sequence[Line]) -> str:
    counts = {result: sum(line.result == result for line in findings) for result in RESULTS}
    asked = sum(counts[result] for result in JUDGED)
    text = (
        f"{counts['replicated']} of {count_text(asked, 'finding')} replicated, "
        f"{counts['not replicated']} not replicated, {counts['undecided']} undecided"
    )
    rest = len(findings) - asked
    judged = [line for line in identities if line.result in JUDGED]
    same = sum(line.result == "replicated" for line in judged)
    text += f"; {count_text(rest, 'more is', 'more are')} not compared" if rest else ""
    return text + (f". Identities: {same} of {len(judged)} replicated." if judged else ".")


def _line(
    claim: Claim, name: str, first: RecordedVerdict | None, second: RecordedVerdict | None, behind: Records
) -> Line:
    model = model_of(name)
    if first is None or second is None:
        has_verdict = any(each is not None and each.verdict != "not run" for each in (first, second))
        missing = engine_of(model if first is None else name)
        return Line(claim, first, second, "one engine" if has_verdict else "no verdict", f"none on {missing}")
    records = behind.get((model, claim.id)), behind.get((name, claim.id))
    if all(records) and [recorded_verdict(each) for each in records if each] == [first, second]:
        pair = EnginePair(name, *records)
        return Line(claim, first, second, pair.result, pair.reason)
    return Line(claim, first, second, *_without_trials(first, second))


def _without_trials(first: RecordedVerdict, second: RecordedVerdict) -> tuple[Result, str]:
    """The result as far as recorded verdicts alone allow: two that differ cannot be a replication."""
    verdicts = [first.verdict, second.verdict]
    if verdicts.count("not run"):
        return ("no verdict" if verdicts.count("not run") == 2 else "one engine"), ""
    if (first.weights, first.rules, first.dtype) != (second.weights, second.rules, second.dtype):
        return "not comparable", "different weights, a different rule or dtype"
    if first.verdict != second.verdict and set(verdicts) <= set(DECIDED):
        return "not replicated", "different verdicts"
    same = "the same verdict; " if first.verdict == second.verdict else ""
    return "undecided", f"{same}the trials of both are not at hand"


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
