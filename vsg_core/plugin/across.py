"""Claims across models: collected once, run after all claims on one model, judged over the records there are."""

from __future__ import annotations

import pytest

from vsg_core.judge.claims import Claim
from vsg_core.plugin.claim_run import ClaimRun
from vsg_core.plugin.selection import model_markers
from vsg_core.projects import run_command
from vsg_core.records.across import Records, pairs_of
from vsg_core.records.record import ModelReference, Run
from vsg_core.vocabulary import ACROSS
from vsg_core.weights import loading, registry
from vsg_core.weights.registry import Entry

MARKER = "across"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: claims judged over the records of several models")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a claim that asks for `records` its place among the models, once.

    It is about no single family or kind: whichever of them -m names, it is judged when they are done.
    """
    if hasattr(metafunc.function, "claim") and "records" in metafunc.fixturenames:
        marks = [getattr(pytest.mark, name) for name in (MARKER, *model_markers())]
        metafunc.parametrize("records", [pytest.param(ACROSS, id=ACROSS, marks=marks)], indirect=True)


def is_across(item: pytest.Item) -> bool:
    """Return whether a claim is judged over several models."""
    return item.get_closest_marker(MARKER) is not None


def pair_command(difference: str) -> str:
    """The command that measures a pair with that difference.

    Prefers models already downloaded, then the smallest; empty where the registry has no such pair.
    """

    def effort(pair: tuple[Entry, Entry]) -> tuple[bool, int]:
        return not all(map(loading.weights_here, pair)), sum(entry.size or 0 for entry in pair)

    pairs = sorted(pairs_of(registry.entries(), difference), key=effort)
    named = " ".join(f"--model {entry.name}" for entry in pairs[0]) if pairs else ""
    return named and f"{run_command()} {named}"


class AcrossRun(ClaimRun):
    """A claim across models: its record names the records that it rests on, where others name a model."""

    def __init__(self, item: pytest.Function, claim: Claim) -> None:
        super().__init__(item, claim, None)

    @property
    def records(self) -> Records | None:
        """The records that the claim was given; None before its setup."""
        given = self.item.funcargs.get("records")
        return given if isinstance(given, Records) else None

    def model(self) -> ModelReference:
        records = self.records
        if records is None:
            return ModelReference(name=ACROSS)
        sources = [f"records of {', '.join(records.models)}"] if records.models else []
        sources += (
            [f"models of this project: {', '.join(sorted(records.own_models))}"] if records.own_models else []
        )
        return ModelReference(name=ACROSS, source="; ".join(sources) or None, sha256=records.weights)

    @property
    def dtype(self) -> str | None:
        return self.records.dtype if self.records else None

    def run(self) -> Run:
        used = self.records.used_records if self.records else ()
        return super().run().model_copy(update={"records": used})
