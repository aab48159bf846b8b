"""`--confirm NAME`: the claims of a freeze on its models, once, on items that follow from the nonce.

Each verdict is appended to the ledger of the freeze as soon as it is judged. Nothing is written into the folder of
reports, and no recorded verdict is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any

import pytest

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.claims import Claim
from vsg_core.plugin.claim_run import ENDED, ClaimRun
from vsg_core.plugin.drawing import DEALING, Dealing
from vsg_core.plugin.keyed import KEYS
from vsg_core.plugin.places import claims_folders
from vsg_core.plugin.selection import Selected, claim_of, selected, selected_of
from vsg_core.projects import REGISTERED
from vsg_core.records import provenance
from vsg_core.records.ledger import Line, hold, read_ledger
from vsg_core.records.record import Record, Run
from vsg_core.records.registered import Registration, claim_seed, read_registration
from vsg_core.registration.checking import changed_sources, different_run, refusal
from vsg_core.registration.confirmation import Cell, Confirmation
from vsg_core.registration.freezing import DTYPE, clean_commit
from vsg_core.runs.keys import Project
from vsg_core.vocabulary import FIRST_ENGINE
from vsg_core.wording import number_text

# Options without a place in a confirming run, with the reason.
REFUSED = {
    "record": "verdicts go to the ledger of the freeze",
    "trials": "the freeze has the number of trials",
    "weights": "the freeze names the weights",
    "thinking": "the freeze leaves thinking to its claims",
    "on": "one process appends to the ledger",
    "dry": "a dry run makes no verdict that could confirm anything",
}
# What freezes are computed on.
DEVICE = "cpu"
MICROSCOPE = "vsg_core.plugin.microscope"
# The fixture that every claim asks for which draws from a pool, itself or through another fixture.
DRAWS = "dealing"
CONFIRMATION = pytest.StashKey[Confirmation]()


# Before the models of the run are described.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if hasattr(config, "workerinput") or option.vsg_confirm is None:
        if option.vsg_nonce is not None:
            raise pytest.UsageError("--nonce is the nonce of a freeze: add --confirm NAME")
        return
    for name, why in REFUSED.items():
        if getattr(option, f"vsg_{name}") not in (None, False):
            raise pytest.UsageError(f"--confirm with --{name}: {why}: leave --{name} out")
    try:
        registration, seed = _registered(config)
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None
    engine = option.vsg_engine or FIRST_ENGINE
    option.vsg_models = option.vsg_models or [
        model.target for model in registration.freeze.models if model.engine == engine
    ]
    if not option.vsg_models:
        raise pytest.UsageError(
            f"{registration.freeze.name} has no models on {engine}: give another --engine"
        )
    session = ConfirmingSession(registration, seed, resumes=option.vsg_resume)
    # It is about the ledger here, and not about records.
    option.vsg_resume = False
    if config.pluginmanager.has_plugin(MICROSCOPE):
        config.pluginmanager.unregister(name=MICROSCOPE)
    config.pluginmanager.register(session, "vsg-confirming")


def _registered(config: pytest.Config) -> tuple[Registration, str]:
    """The freeze, and the seed that follows from its nonce.

    Raises:
        VsgError: there is no such freeze, the nonce is another one, or the tree has changes.
    """
    option, folder = config.option, claims_folders(config)[-1]
    if option.vsg_nonce is None:
        raise WrongUse("--confirm needs the nonce that the freeze commits to: add --nonce TEXT")
    registration = read_registration(folder / REGISTERED, option.vsg_confirm)
    seed = registration.seed(option.vsg_nonce)
    clean_commit(folder, [path.relative_to(folder) for path in (registration.ledger, registration.records)])
    return registration, seed


class ConfirmingSession:
    """The hooks of a confirming run.

    Args:
        seed: of the run.
        resumes: whether --resume was given.

    Attributes:
        collected: the freeze's claims on all models of the run, whatever -k and -m leave of them.
        confirmation: None until the run has its claims.
    """

    def __init__(self, registration: Registration, seed: str, *, resumes: bool) -> None:
        self.registration, self.seed, self.resumes = registration, seed, resumes
        self.collected: list[pytest.Function] = []
        self.confirmation: Confirmation | None = None
        self._held: IO[bytes] | None = None

    def pytest_report_header(self) -> str:
        return f"confirming {self.registration.freeze.name}, seed {self.seed[:12]}"

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        claim = claim_of(item)
        if isinstance(item, pytest.Function) and claim and self.registration.freeze.claim(claim.id):
            self.collected.append(item)

    # After -k and -m.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the claims that are due on the models that they are registered for."""
        try:
            _check_device(config)
            confirmation = self._confirmation(config)
            config.stash[DEALING] = self._dealing()
            chosen = {_cell(item) for item in items}
            due = confirmation.due([cell for cell in confirmation.cells if cell in chosen], self.resumes)
        except VsgError as error:
            raise pytest.UsageError(str(error)) from None
        config.hook.pytest_deselected(items=[item for item in items if _cell(item) not in due])
        items[:] = [item for item in items if _cell(item) in due]
        config.stash[CONFIRMATION] = self.confirmation = confirmation

    def _confirmation(self, config: pytest.Config) -> Confirmation:
        """Begin, or go on, if nothing differs from the freeze.

        Raises:
            WrongUse: something does; one line for each part.
            VsgError: the ledger is damaged.
        """
        freeze, folders = self.registration.freeze, claims_folders(config)
        claims = {item.function.claim.id: item.function.claim for item in self.collected}
        if missing := [claim.id for claim in freeze.claims if claim.id not in claims]:
            raise WrongUse(
                f"not among the collected claims: {', '.join(missing)}: leave paths out, and choose with -k or -m"
            )
        models = {model.name: model.entry for model in selected(config)}
        sources = Project(folders[0].parent, tuple(folders))
        changed = changed_sources(freeze, sources, claims.values())
        different = different_run(freeze, models, config.option.vsg_dtype or DTYPE)
        if changed or different:
            raise WrongUse(refusal(self.registration, changed, different))
        if not config.option.collectonly:
            self._held = hold(self.registration)
        commit = provenance.code(folders[-1]).commit or ""
        return Confirmation(
            self.registration, self.seed, commit, claims, read_ledger(self.registration.ledger)
        )

    def _dealing(self) -> Dealing:
        """Return what the claims draw.

        Raises:
            WrongUse: one of them draws from no pool, or was dealt items that the freeze does not leave out.
        """
        freeze = self.registration.freeze
        explored = dict(freeze.explored)
        shared: dict[str, int] = {}
        trials = {claim.id: claim.trials for claim in freeze.claims}
        for item in self.collected:
            claim = item.function.claim
            if DRAWS not in item.fixturenames:
                raise WrongUse(f"{claim.id} draws from no pool, so that there are no fresh items for it")
            if claim.id not in explored:
                raise WrongUse(f"{freeze.name} does not leave out what {claim.id} has drawn: freeze it anew")
            for name in item.fixturenames:
                shared[name] = max(shared.get(name, 0), trials[claim.id])
        return Dealing(self.seed, tuple(trials), freeze.explored, trials, shared)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Append the placebos that an earlier run did not come to."""
        if self.confirmation is not None and not session.config.option.collectonly:
            try:
                self.confirmation.complete()
            except VsgError as error:
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)

    def pytest_unconfigure(self) -> None:
        if self._held is not None:
            self._held.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # No claim was due, only placebos.
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.confirmation and self.confirmation.own:
            session.exitstatus = pytest.ExitCode.OK

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        verdict = str(dict(report.user_properties).get("verdict", ""))
        return (
            ("passed", verdict[0], verdict) if verdict and report.when == "call" and report.passed else None
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.confirmation is not None and not terminalreporter.config.option.collectonly:
            terminalreporter.section(f"confirmation of {self.confirmation.name}")
            for line in _summary(self.confirmation):
                terminalreporter.write_line(line)


class ConfirmingRun(ClaimRun):
    """A claim that is confirmed: drawn anew, judged as always, and written into the ledger alone."""

    def __init__(self, item: pytest.Function, claim: Claim, selected: Selected) -> None:
        self.confirmation = item.config.stash[CONFIRMATION]
        own = replace(claim, seed=claim_seed(self.confirmation.seed, claim.id))
        super().__init__(item, own, selected)

    def run(self) -> Run:
        """The record's account of the run: of the tree that was checked, of which the ledger is not a part."""
        return super().run().model_copy(update={"commit": self.confirmation.commit, "dirty": False})

    def conclude(self, record: Record, details: str = "", keep_measured: bool = False) -> None:
        """Add a verdict, or that the claim does not apply, to the ledger; what broke or lacked something leaves none.

        Args:
            keep_measured: the claim lacked something, say the weights.
        """
        self.item.stash[ENDED] = self
        self.record = record = self.completed(record)
        name = f"{self.claim.id} on {record.model.name}"
        if record.outcome == "broken":
            self.fault = f"broken, no verdict: {name}: {record.reason}\n\n{details}".rstrip()
        elif not record.is_finding:
            self.skipped = record.reason
            self.item.warn(pytest.PytestWarning(f"{name}: nothing in the ledger: {record.reason}"))
        else:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add the record to the ledger; if that cannot be written, this claim is the last of the run."""
        try:
            self.confirmation.add(record)
        except VsgError as error:
            self.item.session.shouldfail = f"stopping: {error}"
            self.fault = str(error)
            return
        shown = {"claim": record.claim.id, "model": record.model.name, "verdict": record.verdict}
        self.item.user_properties.extend(shown.items())
        if record.not_run is not None:
            self.skipped = record.reason


def _cell(item: pytest.Item) -> Cell | None:
    """The claim and the model of a test, None for what is neither."""
    claim, model = claim_of(item), selected_of(item)
    return (claim.id, model.name) if claim and model else None


def _check_device(config: pytest.Config) -> None:
    """Check that the run computes where freezes do.

    Raises:
        WrongUse: it does not.
    """
    if (device := config.stash[KEYS].device) != DEVICE:
        raise WrongUse(
            f"a confirmation computes on {DEVICE}, and this run on {device}: add --device {DEVICE}"
        )


def _summary(confirmation: Confirmation) -> Iterator[str]:
    """The verdicts of the run next to the exploratory ones, then the placebos of each model, then what to do."""
    for line in confirmation.own:
        if line.kind != "placebo":
            yield _verdict_text(line, confirmation)
    freeze = confirmation.registration.freeze
    placebos: dict[str, list[Line]] = {}
    for line in confirmation.lines:
        if line.kind == "placebo" and line.verdict != "not run":
            placebos.setdefault(line.model, []).append(line)
    for model, lines in placebos.items():
        false = sum(line.verdict in ("holds", "refuted") for line in lines)
        expected = number_text(freeze.expected(line.claim for line in lines), "number")
        yield f"placebos on {model}: {false} of {len(lines)} held or were refuted, expected {expected}"
    yield f"{confirmation.there} verdicts are in {confirmation.registration.ledger}: commit it with its records"


def _verdict_text(line: Line, confirmation: Confirmation) -> str:
    """A verdict next to the exploratory one, and the first one of a repeat."""
    run = confirmation.registration.freeze.run(line.claim, line.model)
    further = [f"exploratory: {(run and run.exploratory) or 'none'}"]
    if line.kind == "repeat":
        first = next(each for each in confirmation.lines if each.cell == line.cell)
        further.append(f"a repeat, the first verdict counts: {first.verdict}")
    return f"{line.claim} on {line.model}: {line.verdict} ({'; '.join(further)})"
