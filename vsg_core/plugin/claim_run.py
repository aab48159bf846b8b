"""One claim on one model: call, judge, compare with the recorded verdict, write the record.

Nothing that holds the model may outlive the claim, so an error of the body becomes text at once.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vsg_core.errors import NotApplicable, NotEnoughMemory, RecordsUnavailable, Unavailable, VsgError
from vsg_core.judge.claims import Claim
from vsg_core.judge.rules import NOT_APPLICABLE, judge
from vsg_core.judge.trials import Evidence
from vsg_core.plugin.selection import Selected
from vsg_core.records.files import build_record, not_run_record, write_record
from vsg_core.records.provenance import surroundings
from vsg_core.records.recorded import compare, read_recorded

UNAVAILABLE = (NotEnoughMemory, Unavailable)
OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception)  # no subclasses of Exception
CHANGED = ("changed", "weakened")


@dataclass
class Bench:
    """Where the one loaded model stands, so that a claim finds its meter and its identity.

    Args:
        model: the LanguageModel, None between two models.
        selected: what it was loaded for.
        since: when it stood ready, on time.perf_counter.
    """

    model: Any = None
    selected: Selected | None = None
    since: float = 0.0


BENCH = pytest.StashKey[Bench]()


def reports_folder(config: pytest.Config) -> Path:
    """Where this run writes its records and reports."""
    chosen = config.option.reports
    return config.invocation_params.dir / chosen if chosen else config.rootpath / "reports"


def recorded_folder(config: pytest.Config) -> Path:
    """Where the accepted verdicts are kept."""
    return config.rootpath / "hypotheses" / "recorded"


class ClaimRun:
    """One claim on one model, from the start of its setup to what pytest is to show.

    `fault` becomes a failure, `skipped` a skip, and neither of them a pass. `selected` is None for a claim across
    models, see `across`.
    """

    def __init__(self, item: pytest.Function, claim: Claim, selected: Selected | None) -> None:
        self.item = item
        self.claim = claim
        self.selected = selected
        self.bench = item.config.stash[BENCH]
        self.fault: str | None = None
        self.skipped: str | None = None
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        if self.loaded is not None:
            self.loaded.meter.reset()  # now, so that fixtures which compute for this claim count for it

    @property
    def loaded(self) -> Any:
        """The LanguageModel, None while it is not loaded."""
        return self.bench.model if self.bench.selected == self.selected else None

    def measure(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Gather the evidence and judge it. Never raises an Exception, but pytest.exit."""
        try:
            evidence = Evidence.of(function(**arguments))
            judgement = judge(self.claim, evidence)
            record = build_record(self.claim, self.model(), evidence, judgement, self.provenance())
        except pytest.exit.Exception:
            raise
        except (Exception, *OUTCOMES) as error:
            self.stop(error)
        else:
            self.conclude(record)

    def stop(self, error: BaseException) -> None:
        """End without a verdict: *not run* for a reason, or *broken*."""
        if isinstance(error, NotApplicable):
            self.conclude(self.not_run(f"{NOT_APPLICABLE}: {error}"))
        elif isinstance(error, UNAVAILABLE):
            # What was measured when the weights were here stays, with its date; what rests on records goes with them.
            keep = not isinstance(error, RecordsUnavailable)
            self.conclude(self.not_run(str(error)), keep_measured=keep)
        elif isinstance(error, pytest.skip.Exception):
            self.conclude(self.not_run(str(error)))
        else:
            told = str(error) if isinstance(error, VsgError) else f"{type(error).__name__}: {error}"
            details = "" if isinstance(error, VsgError) else _trace(error)
            self.conclude(self.not_run(f"error: {told}") | {"outcome": "broken"}, details)

    def not_run(self, reason: str) -> dict[str, Any]:
        return not_run_record(self.claim, self.model(), reason, self.provenance())

    def conclude(self, record: dict[str, Any], details: str = "", keep_measured: bool = False) -> None:
        """Compare with the recorded verdict, write the record, decide what pytest shows."""
        config, name = self.item.config, f"{self.claim.id} on {record['model']['name']}"
        try:
            recorded = read_recorded(recorded_folder(config), record["model"]["name"]).get(self.claim.id)
            outcome = compare(recorded, record)
            known = {
                key: getattr(recorded, key) for key in ("verdict", "estimate", "interval", "n") if recorded
            }
            record |= {"outcome": outcome.kind, "recorded": known or None}
            path = reports_folder(config) / "records" / record["model"]["name"] / f"{record['claim']}.json"
            if not (keep_measured and path.exists()):
                write_record(record, reports_folder(config) / "records")
        except VsgError as error:
            self.fault = f"broken, no verdict: {name}: {error}"
            self.tell(record | {"outcome": "broken"})
            return
        self.tell(record)
        if outcome.kind == "broken":
            self.fault = f"broken, no verdict: {name}: {record['reason']}\n\n{details}".rstrip()
        elif outcome.kind in CHANGED and not config.option.record:
            self.fault = (
                f"{name}: {outcome.text}\n\nclaim:    {self.claim.statement}\nrule:     {record['rule']}\n"
                f"evidence: {path}\nIf the new verdict is right, accept it: pytest --record"
            )
        elif outcome.kind == "new" and in_ci() and not config.option.record:
            self.fault = (
                f"{name}: new, not recorded yet: {outcome.text}; record and commit it: pytest --record"
            )
        elif record["verdict"] == "not run":
            self.skipped = record["reason"]
        elif outcome.kind == "not comparable":
            self.item.warn(pytest.PytestWarning(f"{name}: not comparable: {outcome.text}"))

    def tell(self, record: dict[str, Any]) -> None:
        """Give pytest's reports what they show of the record, as plain str, float and int."""
        told = {"claim": record["claim"], "model": record["model"]["name"]}
        measured = ("verdict", "outcome", "estimate", "n")
        told |= {key: record[key] for key in measured if record[key] is not None}
        if record["interval"] is not None:
            told |= dict(zip(("interval_low", "interval_high"), record["interval"], strict=True))
        self.item.user_properties.extend(told.items())

    def model(self) -> dict[str, Any]:
        """The record's account of the model."""
        assert self.selected is not None
        entry = self.selected.entry
        model = {
            "name": entry.name,
            "family": entry.family,
            "kind": entry.kind,
            "parameters": entry.parameters,
        }
        identity = {"sha256": entry.sha256, "revision": entry.revision, "source": None}
        return model | identity | (self.loaded.identity if self.loaded is not None else {})

    def provenance(self) -> dict[str, Any]:
        """The record's account of the run. `seconds` leaves out the loading of the model."""
        loaded = self.loaded
        meter = loaded.meter if loaded is not None else None
        return {
            **surroundings(self.item.config.rootpath),
            "model_sha256": self.model()["sha256"],
            "dtype": str(loaded.dtype).removeprefix("torch.") if loaded is not None else None,
            "device": loaded.device_name if loaded is not None else None,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": time.perf_counter() - max(self.clock, self.bench.since),
            "forward_seconds": meter.forward_seconds if meter else 0.0,
            "forward_passes": meter.passes if meter else 0,
            "tokens": meter.tokens if meter else 0,
        }


def _trace(error: BaseException) -> str:
    """The traceback of an error as text, without the frames of pytest and of this plugin."""
    trace = traceback.TracebackException.from_exception(error)
    trace.stack = traceback.StackSummary.from_list(
        [frame for frame in trace.stack if not _own(Path(frame.filename))]
    )
    return "".join(trace.format())


def _own(path: Path) -> bool:
    return path.parent == Path(__file__).parent or not {"_pytest", "pluggy"}.isdisjoint(path.parts)


def in_ci() -> bool:
    """Whether this is a continuous integration run, where a claim without a recorded verdict fails."""
    return os.environ.get("CI", "").lower() in ("true", "1")
