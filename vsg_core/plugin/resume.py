"""`--resume`: claims whose record has their present key are shown from it; the others run.

pytest's own code makes the reports of a kept claim, from the same comparison as after its own run. No fixture is set
up for it, and no model loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vsg_core.errors import VsgError
from vsg_core.plugin.across import is_across
from vsg_core.plugin.claim_run import ClaimRun
from vsg_core.plugin.keyed import KEYS, is_claim
from vsg_core.plugin.places import reports_folder, written_folders
from vsg_core.plugin.running import PHASES, end, phase_report
from vsg_core.plugin.selection import selected_of
from vsg_core.records.files import record_member_of
from vsg_core.records.making import reworded
from vsg_core.records.record import Key, Record
from vsg_core.runs.resuming import adopt, clean, record_or_reasons, summary
from vsg_core.vocabulary import ACROSS

# Marks that decide again each time whether, or how, a claim runs.
DECIDING = ("skip", "skipif", "xfail")
FOLLOWS = "follows the claims on single models"


@dataclass
class Plan:
    """The claims of a run that are kept, and the others.

    Attributes:
        kept: their records, by node id.
        stale: why the others are to be run, by node id.
    """

    config: pytest.Config
    kept: dict[str, Record] = field(default_factory=dict)
    stale: dict[str, list[str]] = field(default_factory=dict)

    def decide(self, item: pytest.Function) -> None:
        """Keep the record of a claim, or note why it is to be run."""
        self.kept.pop(item.nodeid, None)
        self.stale.pop(item.nodeid, None)
        marks = [name for name in DECIDING if item.get_closest_marker(name)]
        record, why = record_or_reasons(reports_folder(self.config), _member(item), self.key(item))
        if record is None or marks:
            self.stale[item.nodeid] = why or [f"marked {marks[0]}"]
        else:
            self.kept[item.nodeid] = record

    def key(self, item: pytest.Function) -> Key | None:
        return self.config.stash[KEYS].key(item, item.function.claim, selected_of(item))

    def line(self, item: pytest.Item) -> str:
        """One claim with its place in the plan."""
        why = self.stale.get(item.nodeid)
        return f"{item.nodeid}: " + ("kept" if why is None else f"to run: {', '.join(why)}")


RESUME = pytest.StashKey[Plan]()


class KeptRun(ClaimRun):
    """A claim shown from its record: in its present words, compared with the present recorded verdict."""

    def __init__(self, item: pytest.Function, record: Record) -> None:
        super().__init__(item, item.function.claim, selected_of(item))
        self.before = record

    def show(self) -> None:
        """Compare, report and end as after the claim's own run."""
        self.conclude(reworded(self.before, self.claim))
        end(self.item, self.fault, self.skipped)

    def key(self, record: Record) -> Key | None:
        return record.key

    def write(self, record: Record, folder: Path) -> None:
        """Write the record if it says anything new."""
        if record != self.before:
            super().write(record, folder)


# Before the terminal shows what was collected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    claims = [item for item in session.items if is_claim(item) and isinstance(item, pytest.Function)]
    if not config.option.vsg_resume or hasattr(config, "workerinput"):
        return
    if config.stash[KEYS].device is None:
        raise pytest.UsageError(f"--device {config.option.vsg_device} cannot be used here: give auto or cpu")
    plan = config.stash[RESUME] = Plan(config)
    if not config.option.collectonly:
        _tidy(config, plan, claims)
    for item in claims:
        plan.decide(item)
    if any(not is_across(item) for item in claims if item.nodeid in plan.stale):
        for item in filter(is_across, claims):
            if plan.kept.pop(item.nodeid, None):
                plan.stale[item.nodeid] = [FOLLOWS]


def _tidy(config: pytest.Config, plan: Plan, claims: list[pytest.Function]) -> None:
    """Take over what a killed run left."""
    reports = reports_folder(config)
    clean(reports, written_folders(config))
    named = {(_name(item), item.function.claim.id): plan.key(item) for item in claims}
    try:
        adopt(reports, {place: key for place, key in named.items() if key is not None})
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    plan = config.stash.get(RESUME, None)
    if plan is None:
        return []
    lines = [plan.line(item) for item in items if is_claim(item)] if config.option.collectonly else []
    return [f"resume: {summary(len(plan.kept), plan.stale.values())}", *lines]


# Before what runs a test, and before what runs it several times.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Show a kept claim as pytest shows a test that it runs."""
    plan = item.config.stash.get(RESUME, None)
    if plan is None or not isinstance(item, pytest.Function) or not is_claim(item):
        return None
    if is_across(item):
        # What it rests on may have been measured since.
        plan.decide(item)
    if item.nodeid not in plan.kept:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _replayed(KeptRun(item, plan.kept[item.nodeid]), nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def is_kept(config: pytest.Config, nodeid: str) -> bool:
    """Return whether a claim is shown from its record."""
    plan = config.stash.get(RESUME, None)
    return plan is not None and nodeid in plan.kept


def following(item: pytest.Item, nextitem: pytest.Item | None) -> pytest.Item | None:
    """The test that runs next, claims that are kept left out."""
    if nextitem is None or not is_kept(item.config, nextitem.nodeid):
        return nextitem
    later = item.session.items[item.session.items.index(nextitem) :]
    return next((each for each in later if not is_kept(item.config, each.nodeid)), None)


def _replayed(run: KeptRun, nextitem: pytest.Item | None) -> Iterator[pytest.TestReport]:
    """The reports of a kept claim, each made when the one before has been shown."""
    run_in = "setup" if run.before.run.in_setup else "call"

    def tear_down() -> None:
        # What an earlier test set up for this file or folder, where the next one is elsewhere.
        run.item.session._setupstate.teardown_exact(nextitem)

    work = {"teardown": tear_down, run_in: run.show}
    for when in PHASES:
        # What ends in its setup is not called.
        if when != "call" or run_in == "call":
            # The phase that shows the claim took as long as the claim did.
            seconds = (run.before.run.seconds or 0.0) if when == run_in else None
            yield phase_report(run.item, when, work.get(when), seconds)


def _name(item: pytest.Function) -> str:
    selected = selected_of(item)
    return selected.name if selected else ACROSS


def _member(item: pytest.Function) -> str:
    return record_member_of(_name(item), item.function.claim.id)
