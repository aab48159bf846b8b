"""A look at a model's concept tokens for the report, taken when the last claim on it has run.

It is kept until the weights or the code change, and left out where claims were picked one by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator

import pytest

from vsg_core.plugin.claim_run import BENCH, ClaimRun
from vsg_core.plugin.places import picks_claims, reports_folder
from vsg_core.plugin.resume import following
from vsg_core.plugin.selection import Selected, selected_of
from vsg_core.records.microscope import Microscope, read_microscope, write_microscope
from vsg_core.records.record import ModelReference, Run
from vsg_core.runs.rooms import room_digests

# The models of which a claim was measured.
MEASURED = pytest.StashKey[set[Selected]]()
# What the numbers of a look may depend on.
LIBRARIES = ("python", "torch", "transformers", "tokenizers", "numpy")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Look while the model is still loaded. Errors become warnings, because no verdict depends on this."""
    selected = selected_of(item)
    bench = item.config.stash[BENCH]
    measured = item.config.stash.setdefault(MEASURED, set())
    if selected and dict(item.user_properties).get("verdict", "not run") != "not run":
        measured.add(selected)
    last = bench.selected == selected != selected_of(following(item, nextitem))
    looks = selected in measured and last and not picks_claims(item.config)
    # A hosted model writes no concept tokens.
    if isinstance(item, pytest.Function) and looks and selected and not selected.entry.is_hosted:
        try:
            _look(ClaimRun(item, item.function.claim, selected))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            item.warn(pytest.PytestWarning(f"no look at the concept tokens of {selected.name}: {text}"))
    yield


def _look(run: ClaimRun) -> None:
    """Take the look and write it, unless one that rests on the same is there."""
    from vsg_core.generator.reading.microscope import STEPS, microscope_record

    config, model, reports = run.item.config, run.model(), reports_folder(run.item.config)
    before, rests_on = read_microscope(reports, model.name), _rests_on(model, run.run(), run.dtype)
    if rests_on and before and before.rests_on == rests_on:
        return
    meter = run.loaded.meter
    # A pass over the prompts, and one per step of each of the two paths.
    by_claims = meter.forward_seconds / meter.passes * (2 * STEPS - 1) if meter.passes else None
    _announce(config, model.name, (before and before.run.seconds) or by_claims)
    run.begin()
    seen = Microscope.of(microscope_record(run.loaded), model, run.run(), run.dtype, rests_on)
    write_microscope(seen, reports)


def _rests_on(model: ModelReference, run: Run, dtype: str | None) -> str:
    """A digest of all that the numbers of a look rest on; empty where nothing identifies the weights."""
    if not model.weights:
        return ""
    libraries = {name: run.versions.get(name) for name in LIBRARIES}
    basis = [
        model.weights,
        model.form,
        dtype,
        run.device,
        run.paths,
        libraries,
        room_digests(())["generator"],
    ]
    return hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:16]


def _announce(config: pytest.Config, model: str, seconds: float | None) -> None:
    """Say on a line of its own what takes time now, and how long; pytest puts its percentage behind it."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if isinstance(reporter, pytest.TerminalReporter):
        writer = config.get_terminal_writer()
        reporter.ensure_newline()
        # With -q the reporter does not know that it is inside a line.
        if writer.width_of_current_line:
            writer.line()
        about = "" if seconds is None else f"about {max(1, round(seconds))} s more: "
        text = f"{about}a look at the concept tokens of {model}"
        reporter.write(text[: max(20, writer.fullwidth - 9)], flush=True)
