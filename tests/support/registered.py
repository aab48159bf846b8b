"""A small project in a git repository, whose claims are frozen and confirmed without a model."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from vsg_core.judge.claims import Claim, load_claims
from vsg_core.judge.judging import judge
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.projects import CLAIMS, RECORDED
from vsg_core.records import provenance
from vsg_core.records.files import write_record
from vsg_core.records.ledger import Line
from vsg_core.records.making import make_record
from vsg_core.records.record import ModelReference, Record, Run
from vsg_core.records.recorded import write_recorded
from vsg_core.records.registered import (
    Commitment,
    Freeze,
    FrozenModel,
    Registration,
    claim_seed,
    read_registration,
    write_freeze,
)
from vsg_core.registration.checking import parts_of, versions_for
from vsg_core.registration.confirmation import Confirmation
from vsg_core.registration.freezing import Proposal, clean_commit, make_freeze, registered_folder
from vsg_core.runs.keys import Project, judged_by, key_of
from vsg_core.vocabulary import EngineName
from vsg_core.weights import registry

NONCE = "what the beacon said"
COMMITMENT = Commitment(sha256=hashlib.sha256(NONCE.encode()).hexdigest(), by="A colleague, by mail.")
# Their weights are pinned, so that nothing has to be downloaded.
MODELS = ("smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct")
CLAIMS_TEXT = '''
"""Is it so?"""
from vsg_core import always, claim, control, difference, mostly, not_mostly, rate

ABOUT = dict(source="a paper", reported="seen in all cases")
CONTROL = {"noise": control(difference(below=0.5), "The same after noise.")}

@claim("The mean is above zero", rule=difference(above=0, matters=0.2), controls=CONTROL, **ABOUT)
def test_mean(lm, draw_words):
    return draw_words(50)

@claim("It is seen more often than after noise", rule=rate(above=0.1, over="noise", matters=0.2),
       controls={"noise": control(not_mostly(), "The same after noise.")}, **ABOUT)
def test_often(lm, draw_words):
    return draw_words(50)

@claim("It is seen in most cases", rule=mostly(), kinds=["instruct"], **ABOUT,
       positive_controls={"copies": mostly()}, controls={"noise": control(not_mostly(), "The same after noise.")})
def test_seen(lm, worked):
    return worked

@claim("It is about base models", rule=mostly(), kinds=["base"], controls={"noise": not_mostly()}, **ABOUT)
def test_base(lm, draw_words):
    return draw_words(50)

@claim("It is arithmetic", rule=mostly(), identity=True, controls={"noise": not_mostly()}, **ABOUT)
def test_identity(lm, draw_words):
    return draw_words(50)

@claim("It has no control", rule=mostly(), no_control="there is none", **ABOUT)
def test_uncontrolled(lm, draw_words):
    return draw_words(50)

@claim("Its items are listed", rule=mostly(), controls={"noise": not_mostly()}, **ABOUT)
def test_listed(lm):
    return 50

@claim("It is over all models", rule=mostly(), controls={"noise": not_mostly()}, **ABOUT)
def test_across(records):
    return records

@claim("Any mean counts", rule=difference(above=0), controls=CONTROL, **ABOUT)
def test_unbounded(lm, draw_words):
    return draw_words(50)
'''
FIXTURES_TEXT = '''
import json
from pathlib import Path
import pytest

@pytest.fixture
def draw_words(request, chosen_trials):
    """Draw words, each once."""
    return json.loads((Path(__file__).parent / "words.json").read_text())

@pytest.fixture(scope="session")
def worked(lm, chosen_trials):
    """Words that are worked out once for all claims."""
    return chosen_trials

@pytest.fixture
def records():
    return []
'''
FILES = {
    "conftest.py": 'pytest_plugins = ["vsg_core.plugin"]\n',
    "hypotheses/test_it.py": CLAIMS_TEXT,
    "fixtures/__init__.py": "",
    "fixtures/draws.py": FIXTURES_TEXT,
    "fixtures/words.json": '["a", "b"]\n',
    ".gitignore": "reports\n__pycache__\n",
}


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(root), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> str:
    """Commit everything; the process forgets what it knew of the tree."""
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    provenance.code.cache_clear()
    return git(root, "rev-parse", "HEAD")


def write_project(root: Path) -> Path:
    """Write the project, with a record of each claim that has a spread on each model, and commit it."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / CLAIMS / RECORDED).mkdir()
    for model in MODELS:
        records = [explored(claim_named(root, name), model) for name in ("mean", "often", "seen")]
        for record in records:
            write_record(record, root / "reports" / "records")
        write_recorded(root / CLAIMS / RECORDED, model, records)
    git(root, "init", "-q")
    commit(root)
    return root


def folders(root: Path) -> list[Path]:
    return [root / CLAIMS]


def claim_named(root: Path, name: str) -> Claim:
    return next(claim for claim in load_claims(root / CLAIMS) if claim.id == name)


def measured(claim: Claim, n: int, seed: int) -> Evidence:
    """Trials by which a claim holds."""
    draws = np.random.default_rng(seed)
    own = [
        Trial(f"{claim.id} {i} of {seed}", "text", bool(draws.random() < 0.9), draws.normal(0.4, 0.5))
        for i in range(n)
    ]
    noise = [replace(each, success=bool(draws.random() < 0.2), value=draws.normal(0, 0.5)) for each in own]
    arms = {"noise": noise, "copies": own}
    return Evidence(own, {arm.name: arms[arm.name] for arm in claim.arms})


def record(
    claim: Claim, model: str, evidence: Evidence, run: Run, engine: EngineName = "transformers"
) -> Record:
    entry = registry.entry(model)
    reference = ModelReference(name=model, kind=entry.kind, sha256=entry.sha256, target=model)
    return make_record(claim, reference, evidence, judge(claim, evidence), run, "float32", engine=engine)


def explored(claim: Claim, model: str) -> Record:
    """An exploratory record of a claim."""
    run = Run(started=datetime(2026, 3, 14, 9, 26, tzinfo=UTC))
    made = record(claim, model, measured(claim, 100, seed=len(model)), run)
    about = made.claim.model_copy(update={"population": "words of a language"})
    return made.model_copy(update={"claim": about})


def proposal(**changes: object) -> Proposal:
    given = {
        "name": "first", "claims": {"mean": 120, "often": 200, "seen": 300}, "targets": MODELS,
        "engines": ["transformers"], "commitment": COMMITMENT,
    }  # fmt: skip
    return Proposal(**given | changes)  # type: ignore[arg-type]


def make(root: Path, **changes: object) -> Freeze:
    """Freeze the project's claims as they are."""
    return make_freeze(
        proposal(**changes), load_claims(root / CLAIMS), folders(root), root / "reports", clean_commit(root)
    )


def freeze(root: Path, **changes: object) -> Registration:
    """Freeze the project's claims, write the freeze and commit it."""
    made = make(root, **changes)
    write_freeze(made, registered_folder(folders(root)))
    commit(root)
    return read_registration(registered_folder(folders(root)), made.name)


def confirming_record(
    root: Path, registration: Registration, name: str, model: FrozenModel, n: int
) -> Record:
    """The record of a claim as a run with --confirm makes it."""
    frozen, seed = registration.freeze.claim(name), registration.seed(NONCE)
    assert frozen is not None
    claim = replace(claim_named(root, name), seed=claim_seed(seed, name))
    head = git(root, "rev-parse", "HEAD")
    run = Run(started=datetime(2026, 12, 1, 9, 26, tzinfo=UTC), commit=head, dirty=False)
    made = record(claim, model.target, measured(claim, n, seed=n), run)
    own = parts_of(Project(root, tuple(folders(root))), claim)
    key = key_of(own, judged_by(claim), versions_for([registry.entry(model.target)]))
    evidence = made.evidence.model_copy(update={"chosen_trials": frozen.trials})
    return made.model_copy(update={"evidence": evidence, "key": key})


def confirm(
    root: Path, registration: Registration, names: Sequence[str] = ("mean", "often", "seen")
) -> list[Line]:
    """Confirm claims on all models, and return the lines of the ledger."""
    claims = {claim.id: claim for claim in load_claims(root / CLAIMS)}
    head = git(root, "rev-parse", "HEAD")
    confirmation = Confirmation(registration, registration.seed(NONCE), head, claims, [])
    for model in registration.freeze.models:
        for name in names:
            frozen = registration.freeze.claim(name)
            assert frozen is not None
            confirmation.add(confirming_record(root, registration, name, model, frozen.trials))
    return confirmation.lines
