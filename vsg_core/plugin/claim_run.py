"""One claim on one model: call, judge, compare with the recorded verdict, write the record.

Nothing that holds the model may outlive the claim, so an error of the body becomes text at once.
"""

from __future__ import annotations

import os
import shlex
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vsg_core.errors import (
    NotApplicable,
    NotEnoughMemory,
    RecordsUnavailable,
    Unavailable,
    VsgError,
    WorkerLost,
)
from vsg_core.judge.claims import Claim
from vsg_core.judge.judging import judge
from vsg_core.judge.trials import Evidence
from vsg_core.plugin.drawing import population_of, trials_of
from vsg_core.plugin.keyed import KEYS
from vsg_core.plugin.places import project_folder, recorded_folders, reports_folder, shown_reports
from vsg_core.plugin.selection import Selected
from vsg_core.projects import INSTALLED, option_words, run_command
from vsg_core.records import provenance
from vsg_core.records.files import FOLDER, has_record, record_member, write_record
from vsg_core.records.making import Thinking, make_record, not_run_for, not_run_record
from vsg_core.records.record import Key, ModelReference, NotRun, Record, Run
from vsg_core.records.recorded import Comparison, RecordedVerdict, compared, read_recorded
from vsg_core.runs import spinning
from vsg_core.vocabulary import FIRST_ENGINE
from vsg_core.weights import loading
from vsg_core.weights.names import is_commit

UNAVAILABLE = (NotApplicable, NotEnoughMemory, Unavailable)
# pytest's own outcomes are not subclasses of Exception.
PYTEST_OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception)
CHANGED = ("changed", "weakened")
# The engine and the device of a model behind an API.
HOSTED = "hosted"


@dataclass
class Bench:
    """The one loaded model, from which a claim takes its meter and its identity.

    Args:
        model: the LanguageModel or the HostedModel, None between two models.
        selected: what it was loaded for.
        since: when it was ready, on time.perf_counter.
    """

    model: Any = None
    selected: Selected | None = None
    since: float = 0.0


BENCH = pytest.StashKey[Bench]()
# The recorded verdicts by model, read once per run.
RECORDED = pytest.StashKey[dict[str, dict[str, RecordedVerdict]]]()
# At the item of a claim: its run, once that has ended.
ENDED = pytest.StashKey["ClaimRun"]()


def recorded_verdicts(config: pytest.Config, model: str) -> dict[str, RecordedVerdict]:
    """The accepted verdicts of a model by claim.

    Raises:
        VsgError: the file cannot be read.
    """
    verdicts = config.stash.setdefault(RECORDED, {})
    if model not in verdicts:
        verdicts[model] = {}
        for folder in recorded_folders(config):
            verdicts[model] |= read_recorded(folder, model)
    return verdicts[model]


class ClaimRun:
    """One claim on one model, from the start of its setup to what pytest shows.

    Attributes:
        fault: becomes a failure of the test.
        skipped: becomes a skip; with neither the test passes.
        record: as it is written, None until then, and where it could not be.
        called: the claim's function was called.
        selected: None for a claim across models, see `across`.
    """

    def __init__(self, item: pytest.Function, claim: Claim, selected: Selected | None) -> None:
        self.item = item
        self.claim = claim
        self.selected = selected
        self.bench = item.config.stash[BENCH]
        self.fault: str | None = None
        self.skipped: str | None = None
        self.record: Record | None = None
        self.started = datetime.now(UTC)
        self.called = False
        self.clock = time.perf_counter()

    def begin(self) -> None:
        """Start counting forward passes, so that those of fixtures which compute for this claim count for it."""
        if self.loaded is not None:
            self.loaded.meter.reset()

    @property
    def loaded(self) -> Any:
        """The LanguageModel or the HostedModel, None while it is not loaded."""
        return self.bench.model if self.bench.selected == self.selected else None

    @property
    def is_hosted(self) -> bool:
        """Return whether the model is behind an API."""
        return self.selected is not None and self.selected.entry.is_hosted

    def measure(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Gather the evidence and judge it. Raises nothing but pytest.exit."""
        self.called = True
        try:
            evidence = Evidence.of(function(**arguments))
            judgement = judge(self.claim, evidence)
            record = make_record(
                self.claim,
                self.model(),
                evidence,
                judgement,
                self.run(),
                self.dtype,
                self.thinking,
                self.engine,
            )
        except pytest.exit.Exception:
            raise
        except (Exception, *PYTEST_OUTCOMES) as error:
            self.stop(error)
        else:
            self.conclude(record)

    def stop(self, error: BaseException) -> None:
        """End without a verdict: *not run* for a reason, or *broken*."""
        details = ""
        if isinstance(error, pytest.skip.Exception):
            not_run = NotRun(cause="skipped", reason=str(error))
        elif isinstance(error, VsgError):
            not_run = not_run_for(error)
        elif isinstance(error, pytest.FixtureLookupError):
            missing = f"no fixture {error.argname!r}: `pytest --fixtures hypotheses` lists those there are"
            not_run = NotRun(cause="error", reason=missing)
        else:
            not_run = NotRun(cause="error", reason=f"{type(error).__name__}: {error}")
            details = trace(error)
        record = not_run_record(
            self.claim, self.model(), not_run, self.run(), self.dtype, self.thinking, self.engine
        )
        # Keep the last measured record when weights are missing. A claim across models has no result
        # without its inputs.
        keep = isinstance(error, (*UNAVAILABLE, WorkerLost)) and not isinstance(
            error, (NotApplicable, RecordsUnavailable)
        )
        self.conclude(record, details, keep_measured=keep)

    def conclude(self, record: Record, details: str = "", keep_measured: bool = False) -> None:
        """Compare with the recorded verdict, write the record, decide what pytest shows."""
        self.item.stash[ENDED] = self
        record = self.completed(record)
        name = f"{self.claim.id} on {record.model.name}"
        folder = reports_folder(self.item.config) / FOLDER
        try:
            recorded = recorded_verdicts(self.item.config, record.model.name).get(self.claim.id)
            record, comparison = compared(record, recorded)
            path = shown_reports(self.item.config) / FOLDER / record_member(record)
            if not (keep_measured and has_record(folder.parent, record_member(record))):
                self.write(record, folder)
        except VsgError as error:
            self.fault = f"broken, no verdict: {name}: {error}"
            self.report(record.model_copy(update={"outcome": "broken"}))
            return
        self.record = record
        self.report(record)
        self.decide(name, record, comparison, path, details)

    def completed(self, record: Record) -> Record:
        """The record with what the plugin knows: its key, what its items are drawn from, the run's choice of trials."""
        evidence = record.evidence.model_copy(update={"chosen_trials": trials_of(self.item)})
        # A record that --resume keeps has its own; nothing was set up for it.
        population = population_of(self.item) or record.claim.population
        claim = record.claim.model_copy(update={"population": population})
        return record.model_copy(update={"claim": claim, "evidence": evidence, "key": self.key(record)})

    def key(self, record: Record) -> Key | None:
        """The key of the record, None where something of it is not known."""
        return self.item.config.stash[KEYS].key(self.item, self.claim, self.selected, record.model.weights)

    def write(self, record: Record, folder: Path) -> None:
        """Write the record; if the disk refuses it, this claim is the last of the run.

        Raises:
            VsgError: it cannot be written.
        """
        try:
            write_record(record, folder)
        except VsgError as error:
            # Hours of measuring would be lost claim by claim. A name that cannot name a file has no such cause.
            if isinstance(error.__cause__, OSError):
                self.item.session.shouldfail = f"stopping: {error}"
            raise

    def decide(self, name: str, record: Record, comparison: Comparison, path: Path, details: str) -> None:
        """Set `fault` or `skipped`, or warn, by the outcome of the comparison."""
        accepts = self.item.config.option.vsg_record
        if comparison.outcome == "broken":
            self.fault = f"broken, no verdict: {name}: {record.reason}\n\n{details}".rstrip()
        elif comparison.outcome in CHANGED and not accepts:
            self.fault = (
                f"{name}: {comparison.text}\n\nclaim:    {self.claim.statement}\nrule:     {record.claim.rule_text}\n"
                f"evidence: {path}\nIf the new verdict is right, accept it: {record_command(self.item, self.selected)}"
            )
        elif comparison.outcome == "new" and in_ci() and not accepts:
            self.fault = (
                f"{name}: new, not recorded yet: {comparison.text}; record and commit it:\n"
                f"{record_command(self.item, self.selected)}"
            )
        elif record.not_run is not None:
            self.skipped = record.reason
        elif comparison.outcome == "not comparable":
            self.item.warn(pytest.PytestWarning(f"{name}: not comparable: {comparison.text}"))

    def report(self, record: Record) -> None:
        """Add to pytest's reports the fields of the record that they show, as plain str, float and int."""
        evidence = record.evidence
        shown: dict[str, str | float | int | None] = {
            "claim": record.claim.id,
            "model": record.model.name,
            "verdict": record.verdict,
            "outcome": record.outcome,
            "estimate": evidence.estimate,
            "n": evidence.n,
        }
        if evidence.interval is not None:
            shown |= dict(zip(("interval_low", "interval_high"), evidence.interval, strict=True))
        self.item.user_properties.extend((key, value) for key, value in shown.items() if value is not None)

    def model(self) -> ModelReference:
        """The record's account of the model; what was loaded says more of its weights than the registry."""
        if self.selected is None:
            raise VsgError(f"claim {self.claim.id} runs on no model: this is a fault of the plugin")
        entry = self.selected.entry
        known = {
            "sha256": entry.sha256,
            # A branch or a tag identifies no weights.
            "revision": entry.revision if is_commit(entry.revision or "") else None,
            "form": entry.form,
            "quantised": entry.quantised,
        }
        if entry.is_hosted:
            # What its server says, also where the claim needs no answer of it.
            known["revision"] = loading.weights_id(entry) or None
        loaded = self.loaded.identity if self.loaded is not None else {}
        about = {key: value for key, value in loaded.items() if key in ModelReference.model_fields}
        return ModelReference(
            name=self.selected.name,
            family=entry.family,
            kind=entry.kind,
            parameters=entry.parameters,
            series=entry.series,
            target=self.selected.target,
            **(known | about),
        )

    @property
    def dtype(self) -> str | None:
        """The dtype that the model is computed in; None while it is not loaded, and for a hosted one."""
        if self.loaded is None or self.is_hosted:
            return None
        return str(self.loaded.dtype).removeprefix("torch.")

    @property
    def engine(self) -> str:
        """The name of what computes the model's outputs; a server's is not known."""
        if self.is_hosted:
            return HOSTED
        if self.loaded is not None:
            name: str = self.loaded.engine.identity.name
            return name
        # What would have computed, had it been loaded.
        return self.selected.entry.engine if self.selected is not None else FIRST_ENGINE

    @property
    def thinking(self) -> Thinking:
        """The run's choice for chat formats that can reason; a claim across models makes none.

        Nor does one on a hosted model, which is asked not to reason and may do it all the same.
        """
        if self.selected is None or self.is_hosted:
            return None
        chosen: Thinking = self.item.config.option.vsg_thinking
        return chosen

    def run(self) -> Run:
        """The record's account of the run. `seconds` leaves out the loading of the model."""
        loaded = self.loaded
        project = project_folder(self.item.config)
        # What git says of an installed project is about the repository that it is installed in.
        code = provenance.Code(None, None) if project == INSTALLED else provenance.code(project)
        spent: dict[str, Any] = {}
        versions = provenance.versions()
        if loaded is not None:
            meter = loaded.meter
            if self.is_hosted:
                about = {"device": HOSTED, "paths": loaded.can.text, "notes": loaded.notes}
            else:
                from vsg_core.weights.products import device_name

                identity = loaded.engine.identity
                versions = versions | {identity.name: identity.version}
                about = {
                    "device": device_name(loaded),
                    "paths": str(loaded.engine.paths),
                    "notes": loaded.text_notes,
                    "engine": {name: str(value) for name, value in asdict(identity).items()},
                }
            spent = {
                **about,
                "forward_seconds": meter.forward_seconds,
                "forward_passes": meter.passes,
                "tokens": meter.tokens,
            }
        return Run(
            started=self.started.replace(microsecond=0),
            seconds=time.perf_counter() - max(self.clock, self.bench.since),
            machine=provenance.machine(),
            environment=provenance.environment() | spinning.chosen(),
            commit=code.commit,
            dirty=code.dirty,
            in_setup=not self.called,
            code=provenance.code_digest(project_folder(self.item.config)),
            versions=versions,
            **spent,
        )


def record_command(item: pytest.Item, selected: Selected | None) -> str:
    """The command, quoted for a shell, that records the verdict of this claim on this model and no other."""
    config = item.config
    start = config.invocation_params.dir
    path = item.path.relative_to(start) if item.path.is_relative_to(start) else item.path
    words = [*run_command().split(), f"{path}::{item.nodeid.partition('::')[2]}"]
    option = config.option
    given = {
        "--model": selected and selected.target,
        "--dtype": option.vsg_dtype,
        "--device": option.vsg_device if option.vsg_device != "auto" else None,
        "--engine": option.vsg_engine,
        "--weights": option.vsg_weights,
        "--thinking": option.vsg_thinking,
        "--reports": option.vsg_reports,
    }
    return shlex.join([*words, *option_words(given), "--record"])


def trace(error: BaseException) -> str:
    """The traceback of an error as text, without the frames of pytest and of this plugin."""
    trace = traceback.TracebackException.from_exception(error)
    trace.stack = traceback.StackSummary.from_list(
        [frame for frame in trace.stack if not _own(Path(frame.filename))]
    )
    return "".join(trace.format())


def _own(path: Path) -> bool:
    return path.parent == Path(__file__).parent or not {"_pytest", "pluggy"}.isdisjoint(path.parts)


def in_ci() -> bool:
    """Return whether this is a continuous integration run, where a claim without a recorded verdict fails."""
    return os.environ.get("CI", "").lower() in ("true", "1")
