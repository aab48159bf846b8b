"""Runs claims: the hooks around setup and call.

What pytest shows of a claim is raised by a wrapper around the call, after the body has returned: a failure
holds no frame of the body, which would keep its model alive while the next one loads.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Generator
from typing import Literal

import pytest

from vsg_core.errors import NotApplicable, VsgError
from vsg_core.markup.literal import visible
from vsg_core.plugin.across import AcrossRun, is_across
from vsg_core.plugin.claim_run import BENCH, ENDED, PYTEST_OUTCOMES, UNAVAILABLE, Bench, ClaimRun
from vsg_core.plugin.confirming import ConfirmingRun
from vsg_core.plugin.dry_run import DryRun
from vsg_core.plugin.gates import closed
from vsg_core.plugin.selection import claim_of, selected_of
from vsg_core.plugin.text_only import more_than_text
from vsg_core.vocabulary import ACROSS

RUN = pytest.StashKey[ClaimRun]()
Phase = Literal["setup", "call", "teardown"]
PHASES: tuple[Phase, ...] = ("setup", "call", "teardown")
# The process and the thread that pytest was started in.
HOME = pytest.StashKey[tuple[int, int]]()

ELSEWHERE = (
    "claims run in the process and thread that pytest was started in, where their model stays loaded: leave out "
    "what runs tests elsewhere (-n of pytest-xdist, --forked, --workers)"
)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BENCH] = Bench()
    config.stash[HOME] = _home()


def _home() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Turn an error that keeps a model from loading into a skip, or a failure of one line."""
    run = _claim_run(item)
    if run and (_home() != item.config.stash[HOME] or hasattr(item.config, "workerinput")):
        end(item, ELSEWHERE, None)
    if run and ENDED in item.stash:
        # Something retries it: it ends as before, and is not measured again.
        end(item, item.stash[ENDED].fault, item.stash[ENDED].skipped)
        return (yield)
    if run:
        run.begin()
    if run and run.selected and run.selected.entry.kind not in run.claim.kinds:
        kinds, kind = " and ".join(run.claim.kinds), run.selected.entry.kind
        run.stop(NotApplicable(f"a claim on {kinds} models, and {run.selected.name} is a {kind} model"))
        end(item, run.fault, run.skipped)
    if run and (why := closed(run)):
        run.stop(pytest.skip.Exception(why))
        end(item, run.fault, run.skipped)
    if run and run.selected and run.selected.entry.is_hosted and (why := more_than_text(item)):
        run.stop(NotApplicable(why))
        end(item, run.fault, run.skipped)
    try:
        yield
    except pytest.exit.Exception:
        raise
    except (Exception, *PYTEST_OUTCOMES) as error:
        if run:
            run.stop(error)
            fault, skipped = run.fault, run.skipped
        elif isinstance(error, VsgError):
            unavailable = isinstance(error, UNAVAILABLE)
            fault, skipped = (None, str(error)) if unavailable else (str(error), None)
        else:
            raise
    else:
        if run:
            item.stash[RUN] = run
        return
    end(item, fault, skipped)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the body of a claim; its outcome waits in the ClaimRun."""
    run = pyfuncitem.stash.get(RUN, None)
    if run is None:
        return True if ENDED in pyfuncitem.stash else None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    run.measure(pyfuncitem.obj, {name: pyfuncitem.funcargs[name] for name in wanted})
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Raise the outcome of a claim, now that its body has returned."""
    yield
    run = item.stash.get(RUN, None)
    if run is not None:
        del item.stash[RUN]
        end(item, run.fault, run.skipped)


def _claim_run(item: pytest.Item) -> ClaimRun | None:
    """A claim that runs on a model, or over several; None for any other test."""
    claim = claim_of(item)
    if claim is None or not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    selected = selected_of(item)
    if item.config.option.vsg_dry:
        return DryRun(item, claim, selected)
    if selected:
        kind = ClaimRun if item.config.option.vsg_confirm is None else ConfirmingRun
        return kind(item, claim, selected)
    return AcrossRun(item, claim) if item.callspec.params.get("records") == ACROSS else None


def phase_report(
    item: pytest.Item, when: Phase, function: Callable[[], None] | None = None, seconds: float | None = None
) -> pytest.TestReport:
    """Run a function as a phase of a test, and return pytest's report of it.

    Args:
        function: None for a phase in which nothing happens.
        seconds: the duration that the report gives; None for that of the function.
    """
    call = pytest.CallInfo.from_call(
        function or (lambda: None), when=when, reraise=(pytest.exit.Exception, KeyboardInterrupt)
    )
    if seconds is not None:
        call.duration = seconds
        call.start = call.stop - seconds
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report


def end(item: pytest.Item, fault: str | None, skipped: str | None) -> None:
    """Fail or skip with a text and no traceback.

    --require-models is about the models of the run; claims across models stay skipped.
    """
    if skipped is not None and item.config.option.vsg_require_models and not is_across(item):
        fault, skipped = f"{item.name} did not run: {skipped}", None
    if fault is not None:
        raise pytest.fail.Exception(visible(fault), pytrace=False) from None
    if skipped is not None:
        raise pytest.skip.Exception(visible(skipped)) from None
