"""A look at a model's concept tokens for the report, taken when the last claim on it has run."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from vsg_core.plugin.claim_run import BENCH, ClaimRun
from vsg_core.plugin.places import reports_folder
from vsg_core.plugin.resume import following
from vsg_core.plugin.selection import Selected
from vsg_core.records.microscope import Microscope, write_microscope


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Look while the model is still loaded. Errors become warnings, because no verdict depends on this."""
    selected = _model_of(item)
    bench = item.config.stash[BENCH]
    last = selected != _model_of(following(item, nextitem))
    if selected and bench.selected == selected and last and isinstance(item, pytest.Function):
        try:
            write_microscope(
                _look(ClaimRun(item, item.function.claim, selected)), reports_folder(item.config)
            )
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            item.warn(pytest.PytestWarning(f"no look at the concept tokens of {selected.name}: {text}"))
    yield


def _look(run: ClaimRun) -> Microscope:
    from vsg_core.generator.reading.microscope import microscope_record

    run.begin()
    return Microscope.of(microscope_record(run.loaded), run.model(), run.run(), run.dtype)


def _model_of(item: pytest.Item | None) -> Selected | None:
    """The model that a claim runs on; None for any other test."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    selected = item.callspec.params.get("lm")
    return selected if hasattr(item.function, "claim") and isinstance(selected, Selected) else None
