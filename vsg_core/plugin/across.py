"""Claims across models: collected once, run after all claims on one model, judged over the records there are."""

from __future__ import annotations

from typing import Any

import pytest

from vsg_core.judge.claims import Claim
from vsg_core.plugin.claim_run import ClaimRun
from vsg_core.plugin.selection import model_markers
from vsg_core.records.across import Records
from vsg_core.vocabulary import ACROSS

MARKER = "across"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}: claims judged over the records of several models")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a claim that asks for `records` its place among the models, once.

    It is about no one family or kind, so whichever of them -m names, it is judged when they are done.
    """
    if hasattr(metafunc.function, "claim") and "records" in metafunc.fixturenames:
        marks = [getattr(pytest.mark, name) for name in (MARKER, *model_markers())]
        metafunc.parametrize("records", [pytest.param(ACROSS, id=ACROSS, marks=marks)], indirect=True)


@pytest.hookimpl(trylast=True)  # after pytest has grouped the others by model
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them last: what this very run measures is to be among the records."""
    items.sort(key=is_across)


def is_across(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARKER) is not None


class AcrossRun(ClaimRun):
    """A claim across models: its record names the records that it rests on, where others name a model."""

    def __init__(self, item: pytest.Function, claim: Claim) -> None:
        super().__init__(item, claim, None)

    @property
    def records(self) -> Records | None:
        """What the claim was given; None before its setup."""
        given = self.item.funcargs.get("records")
        return given if isinstance(given, Records) else None

    def model(self) -> dict[str, Any]:
        models = self.records.models if self.records else []
        unknown = dict.fromkeys(("family", "kind", "parameters", "sha256", "revision"))
        return {"name": ACROSS, **unknown, "source": f"records of {', '.join(models)}" if models else None}

    def provenance(self) -> dict[str, Any]:
        return super().provenance() | (self.records.provenance if self.records else {})
