"""The origins of the cells of a model: cells measured from the same weights, code and machine are shown together."""

from __future__ import annotations

import shlex
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from vsg_core.projects import option_words, run_command
from vsg_core.records.files import FOLDER
from vsg_core.records.record import ModelReference, Record
from vsg_core.report.view.cells import Cell
from vsg_core.report.view.rows import Report
from vsg_core.vocabulary import AS_IS, ENGINES, FIRST_ENGINE, PACKINGS, form_text
from vsg_core.weights.engine_names import is_as_is
from vsg_core.wording import count_text


@dataclass(frozen=True)
class Origin:
    """Cells of one model that share their weights, code and machine."""

    cells: Sequence[Cell]

    @property
    def record(self) -> Record:
        """The first of their records."""
        return self.cells[0].record

    @property
    def facts(self) -> dict[str, str]:
        """The known facts to show about it, by name."""
        model, run = self.record.model, self.record.run
        facts = {
            "sha256": model.sha256,
            "Revision": model.revision,
            "Weights": _weights(self.record),
            "Weights from": model.source,
            "Parameters": model.parameters and f"{model.parameters / 1e6:,.0f} million",
            "Computed in": " on ".join(filter(None, (self.record.evidence.dtype, run.device))),
            "Computed by": run.paths,
            "Text": "; ".join(run.notes),
            "Machine": run.machine,
            "Versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
            "Code": run.commit and run.commit + (" with uncommitted changes" if run.dirty else ""),
            "Measured": self.spent,
            "Seeds": ", ".join(map(str, sorted({cell.record.claim.seed for cell in self.cells}))),
        }
        return {name: fact for name, fact in facts.items() if fact}

    @property
    def spent(self) -> str:
        """The number of claims, the time they took together, and the throughput."""
        runs = [cell.record.run for cell in self.cells]
        seconds = sum(run.seconds or 0 for run in runs)
        forward, tokens = sum(run.forward_seconds for run in runs), sum(run.tokens for run in runs)
        text = f"{count_text(len(self.cells), 'claim')} in {seconds:,.0f} s"
        if not forward:
            return text
        return f"{text}, {tokens:,} tokens at {tokens / forward:,.0f} per second of forward passes"


def origins(report: Report, model: str) -> list[Origin]:
    """Return the origins of a model's cells, in the order of the claims."""
    groups: dict[Hashable, list[Cell]] = {}
    for cell in report.cells:
        if cell.model == model:
            groups.setdefault(_shared(cell.record), []).append(cell)
    return [Origin(cells) for cells in groups.values()]


def rests_on(record: Record) -> list[str]:
    """Return the records that a claim across models was judged over, as "claim on model"."""
    return list(dict.fromkeys(f"{used.claim} on {used.model}" for used in record.run.records))


def command(record: Record) -> str:
    """Return the command that measures this cell again, and no other.

    The bracket before the model ends the name that -k looks for. A model outside the registry may get a different
    name in another folder of reports, and --model chooses it already.
    """
    claim, model = record.claim.id, record.model
    which = "" if model.is_across else f"[{model.name}]" if _target(model) == model.name else "["
    return _pytest(record, ["-k", f"test_{claim}{which}"])


def model_command(record: Record) -> str:
    """Return the command that measures all claims on the record's model again, in the same dtype."""
    return _pytest(record, [])


def removal_command(models: Iterable[ModelReference]) -> str:
    """Return the command that leaves models out of a report, to be run in its folder."""
    return shlex.join(["rm", "-r", *(f"{FOLDER}/{model.name}" for model in models)])


def _pytest(record: Record, which: Sequence[str]) -> str:
    model, dtype = record.model, record.evidence.dtype or "float32"
    on = option_words({"--model": None if model.is_across else _target(model)})
    how = option_words({"--dtype": dtype if dtype != "float32" else None, **_computed(record)})
    return shlex.join([*run_command().split(), *on, *which, *how])


def _computed(record: Record) -> dict[str, str | None]:
    """The options without which the model would be computed in a different way, and have a different name."""
    engine, form, name = record.evidence.engine, record.model.form or "", record.model.name
    packing = next((each for each in PACKINGS if form.startswith(each) and name.endswith(f"-{each}")), None)
    if engine not in ENGINES:
        # A server's is not for this machine to choose.
        return {}
    if engine == FIRST_ENGINE:
        return {"--weights": packing}
    return {"--engine": engine, "--weights": AS_IS if is_as_is(name) else None}


def _target(model: ModelReference) -> str:
    """Return what --model takes; of records that do not say, the path that their weights came from."""
    kind, _, place = (model.source or "").partition(" ")
    return model.target or (place if kind in ("folder", "file") else model.name)


def _weights(record: Record) -> str | None:
    form = record.model.form
    return f"{form} ({form_text(form)})" if form and form_text(form) != form else form


def _shared(record: Record) -> Hashable:
    """The properties that the cells of one origin have in common."""
    run = record.run
    return (
        record.weights, record.evidence.dtype, record.evidence.engine, run.device, tuple(run.versions.items()),
        run.commit, run.dirty, run.machine, run.paths, run.notes,
    )  # fmt: skip
