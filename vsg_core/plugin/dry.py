"""Dry runs, `pytest --dry`: each selected claim on tiny random models, for its shape and its arms alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from vsg_core.judge.trials import waived_thresholds
from vsg_core.plugin.across import is_across
from vsg_core.plugin.dry_run import FAMILY, TRIED, RandomModel, Tried, random_models
from vsg_core.plugin.selection import SELECTED, claim_of, selected_of
from vsg_core.weights import registry

SAYS = "dry run: shapes only, no verdicts"
# Options without a meaning in a dry run, some of them of other modules, with the reason.
REFUSED = {
    "models": ("model", "a dry run has tiny random models of its own"),
    "record": ("record", "a dry run makes no verdict that could be recorded"),
    "resume": ("resume", "a dry run leaves no records to continue from"),
    "on": ("on", "a dry run takes seconds and runs in this process"),
    "weights": ("weights", "a dry run has tiny random models of its own"),
    "require_models": ("require-models", "a dry run needs no weights"),
}
MICROSCOPE = "vsg_core.plugin.microscope"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not config.option.vsg_dry:
        return
    for destination, (option, why) in REFUSED.items():
        if getattr(config.option, f"vsg_{destination}", None):
            raise pytest.UsageError(f"--dry with --{option}: {why}: leave out one of them")
    config.addinivalue_line("markers", f"{FAMILY}: claims on the random models of a dry run")
    config.stash[TRIED] = Tried()
    config.stash[SELECTED] = random_models()
    if config.pluginmanager.has_plugin(MICROSCOPE):
        config.pluginmanager.unregister(name=MICROSCOPE)
    config.pluginmanager.register(DrySession(config), "vsg-dry")


class DrySession:
    """The hooks of a dry run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tried = config.stash[TRIED]
        self.model: RandomModel | None = None

    def pytest_report_header(self) -> str:
        return f"{SAYS}; tiny random models, nothing is recorded"

    # Before -m deselects any.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep each claim on the kinds that it is about, whichever family -m names; other tests are deselected."""
        others = [item for item in items if not _is_claim(item)]
        if others and len(others) == len(items):
            raise pytest.UsageError(
                f"--dry tries claims, and {others[0].nodeid} is not a claim: write @claim(...) above it"
            )
        self.config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _is_claim(item) and _is_about(item)]
        for item in items:
            if _model(item) is not None:
                for family in registry.families():
                    item.add_marker(family)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.model = _model(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Let `at_least` pass in fixtures too, and remember for which: their claims may have few trials."""
        with waived_thresholds() as let_pass:
            try:
                return (yield)
            finally:
                if let_pass:
                    self.tried.let_pass[fixturedef.argname, self.model] = let_pass

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        if report.when == "call" and report.passed:
            return "ok", ".", "ok, no verdict"
        if report.skipped:
            return "not tried", "-", "not tried"
        return None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.tried.outcomes or self.tried.wrong:
            terminalreporter.section(SAYS)
            for line in self.lines():
                terminalreporter.write_line(line)

    def lines(self) -> Iterator[str]:
        """The counts of claims, then what is wrong and what was not tried on any model, each line once."""
        tried, wrong = self.tried.outcomes, {claim for claim, _ in self.tried.wrong}
        fine = {claim for (claim, _), reason in tried.items() if not reason} - wrong
        left = {claim for claim, _ in tried} - wrong - fine
        counted = {
            claim
            for claim, model in tried
            if not tried[claim, model] and (claim, model) not in self.tried.few
        }
        yield f"{len(fine)} claim{'s'[: len(fine) != 1]} ok, {len(wrong)} to correct, {len(left)} not tried"
        yield from _grouped("to correct", self.tried.wrong)
        few = {key: reasons for key, reasons in self.tried.few.items() if key[0] in fine - counted}
        yield from _grouped("ok, but its number of trials was not looked at", few)
        yield from _grouped(
            "not tried", {key: [reason] for key, reason in tried.items() if key[0] in left and reason}
        )
        if left:
            yield "A random model cannot do more: run what was not tried on a real model."


def _grouped(title: str, lines: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """Each line of each claim, once for all models that gave it."""
    models: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (claim, model), found in lines.items():
        for line in found:
            plain = line.replace(model, "the model") if model else line
            models[claim, " ".join(plain.split())].append(model)
    for (claim, line), names in models.items():
        where = f" on {' and '.join(dict.fromkeys(names))}" if any(names) else ""
        yield f"{title}: {claim}{where}: {line}"


def _model(item: pytest.Item) -> RandomModel | None:
    """The random model that a test runs on; None for other tests."""
    model = selected_of(item)
    return model if isinstance(model, RandomModel) else None


def _is_claim(item: pytest.Item) -> bool:
    """Return whether an item is a claim, on a random model or across models."""
    return claim_of(item) is not None and (_model(item) is not None or is_across(item))


def _is_about(item: Any) -> bool:
    """Return whether a claim is about the kind of its model."""
    model = _model(item)
    return model is None or model.entry.kind in item.function.claim.kinds
