"""`--confirm`: what was frozen runs once, on items dealt from the nonce, and each verdict goes to the ledger."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures.pools.openings import OPENINGS
from tests.conftest import ROOT, Suite
from vsg_core.judge.claims import Claim, load_claims
from vsg_core.projects import CLAIMS, REGISTERED
from vsg_core.records.ledger import Line, hold, kept_record, read_ledger
from vsg_core.records.registered import (
    Commitment,
    Freeze,
    FrozenClaim,
    FrozenModel,
    FrozenRun,
    Registration,
    claim_seed,
    read_registration,
    write_freeze,
)
from vsg_core.registration.checking import parts_of, versions_for
from vsg_core.registration.verifying import verify
from vsg_core.runs.keys import Project, weights_of
from vsg_core.weights import loading

CLAIMS_TEXT = """
from pathlib import Path
from vsg_core import control, torch

SOURCE = dict(source="a paper", reported="seen in all cases")

@claim("Openings have a text", rule=rate(above=0.5, trials=20), **SOURCE,
       controls={"no text": control(rate(below=0.5, trials=20), "what comes after the text")})
def test_texts(lm, draw_openings):
    openings = draw_openings(20)
    return Evidence([Trial(opening.text, success=True) for opening in openings],
                    {"no text": [Trial(opening.text, success=False) for opening in openings]})

@claim("Draws are above one", rule=difference(above=0, matters=0.5), **SOURCE, no_control="draws have none")
def test_draws(lm, draw_openings, generator):
    bound = float((Path(__file__).parent / "bound.txt").read_text())
    openings = draw_openings(30)
    values = torch.randn(len(openings), generator=generator) + bound
    return [Trial(o.text, value=value) for o, value in zip(openings, values.tolist())]

@claim("Nouns are tokens", rule=rate(above=0.5, trials=20), **SOURCE, no_control="nouns have none")
def test_nouns(lm, draw_noun_pairs):
    raise NotApplicable(f"{len(draw_noun_pairs(20))} nouns are no tokens")

@claim("It is not registered", rule=rate(above=0.5), **ABOUT)
def test_other(lm):
    return trials(38)
"""
GATE = """
@claim("The engine is right", gate=True, rule=rate(above=0.5), **ABOUT)
def test_gate(lm):
    return trials(2)
"""
NONCE = "a nonce"
TRIALS = {"texts": 40, "draws": 50, "nouns": 40}
IGNORED = ".cache\nrunpytest-*\nreports\n__pycache__\n.pytest_cache\n.hypothesis\nstdout\nstderr\n"
# Of the 20; the 6 of the claim that does not apply are left out.
PLACEBOS = {"texts": 7, "draws": 7}
WHOLE = len(TRIALS) + sum(PLACEBOS.values())


def git(suite: Suite, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(suite.pytester.path), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def frozen(project: Project, claim: Claim, models: list[FrozenModel]) -> FrozenClaim:
    return FrozenClaim(
        id=claim.id,
        statement=claim.statement,
        rule=claim.rule_text,
        rules=claim.rules_digest,
        matters=0.5,
        trials=TRIALS[claim.id],
        controls=(),
        exclusions="a pool, without what was drawn",
        parts=parts_of(project, claim),
        runs=tuple(
            FrozenRun(model=model.name, power=0.95, spread_of=model.name, exploratory="holds")
            for model in models
        ),
    )


def freeze(suite: Suite, *models: Path) -> Registration:
    """Freeze the three claims on these models, and commit everything."""
    root = suite.pytester.path
    project, claims = Project(root, (root / CLAIMS,)), load_claims(root / CLAIMS)
    entries = {str(path): loading.describe(path) for path in models}
    described = [
        FrozenModel(
            name=entry.name,
            target=target,
            engine="transformers",
            weights=weights_of(entry),
            form=entry.form,
            dtype="float32",
        )
        for target, entry in entries.items()
    ]
    folder = root / CLAIMS / REGISTERED
    folder.mkdir()
    git(suite, "init", "-q")
    git(suite, "add", "-A")
    git(suite, "commit", "-qm", "claims")
    write_freeze(
        Freeze(
            name="first",
            frozen=datetime.now(UTC),
            commit=git(suite, "rev-parse", "HEAD"),
            commitment=Commitment(sha256=hashlib.sha256(NONCE.encode()).hexdigest(), by="a colleague"),
            # As if models were registered on a second engine, too.
            versions={**versions_for(entries.values()), "llama-cpp-python": "0.0"},
            explored=tuple((claim.id, claim.seed) for claim in claims),
            models=tuple(described),
            claims=tuple(frozen(project, claim, described) for claim in claims if claim.id in TRIALS),
        ),
        folder,
    )
    git(suite, "add", "-A")
    git(suite, "commit", "-qm", "freeze")
    return read_registration(folder, "first")


@pytest.fixture
def project(suite: Suite) -> Suite:
    """Claims that draw from pools, with a file of data."""
    plugins = ["vsg_core.plugin", "fixtures.models", "fixtures.draws"]
    suite.pytester.makeconftest(f"pytest_plugins = {plugins}")
    (suite.pytester.path / ".gitignore").write_text(IGNORED)
    suite.claims(CLAIMS_TEXT)
    (suite.pytester.path / CLAIMS / "bound.txt").write_text("1\n")
    suite.model = None
    return suite


@pytest.fixture
def registration(project: Suite, tiny_llama: Path) -> Registration:
    return freeze(project, tiny_llama)


def confirm(suite: Suite, *arguments: str | Path, nonce: str = NONCE) -> pytest.RunResult:
    return suite.run("--confirm", "first", "--nonce", nonce, *arguments)


def refused(result: pytest.RunResult) -> str:
    """The message of a run that was refused."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str()
    return result.stderr.str()


def verdicts(lines: list[Line]) -> dict[tuple[str, str], str]:
    return {(line.claim, line.kind): line.verdict for line in lines if line.kind != "placebo"}


def placebos(lines: list[Line]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.claim] = counts.get(line.claim, 0) + (line.kind == "placebo")
    return {claim: count for claim, count in counts.items() if count}


def test_a_whole_run_is_in_the_ledger(project: Suite, registration: Registration) -> None:
    """With its records, each judged on as many fresh items as the freeze says, and with the seed of the claim."""
    result = confirm(project)
    result.assert_outcomes(passed=2, skipped=1, deselected=1)
    lines = read_ledger(registration.ledger)
    assert len(lines) == WHOLE
    assert placebos(lines) == PLACEBOS
    assert verdicts(lines) == {
        ("texts", "confirmation"): "holds",
        ("draws", "confirmation"): "holds",
        ("nouns", "confirmation"): "not run",
    }
    seed = registration.seed(NONCE)
    commit = git(project, "rev-parse", "HEAD")
    assert {(line.seed, line.commit, line.resumed) for line in lines} == {(seed, commit, False)}
    for line in lines:
        record = kept_record(registration, line)
        assert record.claim.seed == claim_seed(seed, line.claim)
        assert record.run.dirty is False
        assert (record.outcome, record.recorded) in (("new", None), ("not run", None))
        if line.n is not None and line.kind == "confirmation":
            assert line.n == len(record.evidence.trials) == TRIALS[line.claim]
            assert (line.estimate, line.interval) == (record.evidence.estimate, record.evidence.interval)
    assert not verify(registration, NONCE).faults
    names = tuple(TRIALS)
    texts = {
        line.claim: prompts(registration, line) for line in lines if line.n and line.kind == "confirmation"
    }
    for claim, drawn in texts.items():
        fresh = OPENINGS.fresh(claim, names, seed, registration.freeze.explored)
        assert drawn == [opening.text for opening, _ in zip(fresh, drawn, strict=False)]
        assert not {*drawn} & {opening.text for opening in OPENINGS.share(claim)}
    assert not {*texts["texts"]} & {*texts["draws"]}
    assert not (project.reports / "records").exists()
    result.stdout.fnmatch_lines(
        [
            "confirming first, seed *",
            "*= confirmation of first =*",
            "texts on tiny-random: holds (exploratory: holds)",
            "nouns on tiny-random: not run (exploratory: holds)",
            "placebos on tiny-random: * of 14 held or were refuted, expected 0.7",
            "3 of 3 verdicts are in *first.ledger.jsonl: commit it with its records",
        ]
    )


def prompts(registration: Registration, line: Line) -> list[str]:
    return [trial.prompt for trial in kept_record(registration, line).evidence.trials]


def test_a_second_run_is_a_repeat_and_replaces_nothing(project: Suite, registration: Registration) -> None:
    """It draws the same items; the placebos, which would be the same, are not judged again."""
    confirm(project)
    first = registration.ledger.read_text()
    result = confirm(project)
    result.stdout.fnmatch_lines(
        ["texts on *: holds (exploratory: holds; a repeat, the first verdict counts: holds)"]
    )
    assert registration.ledger.read_text().startswith(first)
    lines = read_ledger(registration.ledger)
    assert [line.kind for line in lines[WHOLE:]] == ["repeat"] * 3
    assert prompts(registration, lines[0]) == prompts(registration, lines[WHOLE])
    assert "is complete; without --resume it is repeated" in refused(confirm(project, "--resume"))


def test_the_rest_of_a_narrowed_run_is_done_with_resume(project: Suite, registration: Registration) -> None:
    assert confirm(project, "-k", "texts").ret == 0
    assert verdicts(read_ledger(registration.ledger)) == {("texts", "confirmation"): "holds"}
    assert "was interrupted: 1 of 3 verdicts are there; continue with --resume" in refused(confirm(project))
    assert "the chosen claims of first have their verdicts; 1 of 3" in refused(
        confirm(project, "-k", "texts", "--resume")
    )
    assert confirm(project, "--resume").ret == 0
    lines = read_ledger(registration.ledger)
    assert len(lines) == len({line.cell for line in lines}) == WHOLE
    assert [line.resumed for line in lines] == [False] * 8 + [True] * (WHOLE - 8)


def goes_on(suite: Suite, registration: Registration, lines: list[Line]) -> None:
    """Check that a run goes on behind these lines with --resume alone, and that the whole is as if it had not ended."""
    there = sum(line.kind == "confirmation" for line in lines)
    assert f"{there} of 3 verdicts are there; continue with --resume" in refused(confirm(suite))
    assert read_ledger(registration.ledger) == lines
    assert confirm(suite, "--resume").ret == 0
    whole = read_ledger(registration.ledger)
    assert whole[: len(lines)] == lines
    assert len(whole) == len({line.cell for line in whole}) == WHOLE
    assert placebos(whole) == PLACEBOS
    assert [line.resumed for line in whole] == [False] * len(lines) + [True] * (WHOLE - len(lines))
    assert not verify(registration, NONCE).faults


def test_a_killed_run_goes_on_with_resume(
    project: Suite, registration: Registration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed among the placebos of the first claim."""
    (tmp_path / "killer.py").write_text(
        "import os, signal\n"
        "from vsg_core.registration import confirmation\n"
        "append, numbers = confirmation.append, iter(range(1, 100))\n"
        "def killing(registration, line):\n"
        "    if next(numbers) == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    append(registration, line)\n"
        "confirmation.append = killing\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    killed = project.run_apart("--confirm", "first", "--nonce", NONCE, "-p", "killer")
    assert killed.ret == -signal.SIGKILL
    lines = read_ledger(registration.ledger)
    assert len(lines) == 4
    goes_on(project, registration, lines)


def test_a_run_goes_on_behind_any_line(project: Suite, registration: Registration) -> None:
    """Behind a verdict without placebos, behind a whole claim, and where only placebos are missing."""
    assert confirm(project, "-k", "not draws").ret == 0
    assert confirm(project, "--resume").ret == 0
    text = registration.ledger.read_text().splitlines(keepends=True)
    whole = read_ledger(registration.ledger)
    assert [line.claim for line in whole if line.kind == "confirmation"] == ["texts", "nouns", "draws"]
    before = len(PLACEBOS) * 4 + 1
    assert whole[before].claim == "draws"
    for number in (1, before, before + 1, WHOLE - 2):
        registration.ledger.write_text("".join(text[:number]))
        assert confirm(project, "--resume").ret == 0
        again = read_ledger(registration.ledger)
        assert again[:number] == whole[:number]
        results = [{(line.cell, line.verdict, line.estimate) for line in lines} for lines in (again, whole)]
        assert results[0] == results[1]


def test_a_run_does_not_go_on_behind_a_line_without_its_record(
    project: Suite, registration: Registration
) -> None:
    confirm(project)
    kept = registration.ledger.read_text().splitlines(keepends=True)[:3]
    registration.ledger.write_text("".join(kept))
    (registration.records / read_ledger(registration.ledger)[0].record).unlink()
    result = confirm(project, "--resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "cannot read its record" in result.stdout.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert registration.ledger.read_text() == "".join(kept)


def test_a_ledger_that_is_gone_is_not_begun_anew(project: Suite, registration: Registration) -> None:
    """Its verdicts would be confirmations again, not repeats."""
    confirm(project)
    registration.ledger.unlink()
    assert "has records, and" in refused(confirm(project))
    assert not registration.ledger.exists()


def test_one_process_confirms_at_a_time(project: Suite, registration: Registration) -> None:
    with hold(registration):
        assert "another process confirms first: wait until it has ended" in refused(confirm(project))
    assert confirm(project).ret == 0


def test_other_weights_than_the_frozen_ones_are_not_added(
    project: Suite, registration: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a model that had to be fetched first are known only then."""
    path = f"hypotheses/{REGISTERED}/first.toml"
    (weights,) = {model.weights for model in registration.freeze.models}
    edit(project, path, weights, "f" * len(weights))
    monkeypatch.setattr("vsg_core.registration.checking.weights_of", lambda entry: "")
    result = confirm(project)
    assert result.ret != 0
    assert "nothing was added to the ledger; get the frozen ones" in result.stdout.str()
    assert not registration.ledger.exists()
    assert not registration.records.exists()


def test_a_line_that_was_cut_off_is_refused(project: Suite, registration: Registration) -> None:
    confirm(project)
    text = registration.ledger.read_text()
    registration.ledger.write_text(text[:-20])
    assert "its last line is cut off: remove that line" in refused(confirm(project, "--resume"))
    kept = text.splitlines(keepends=True)
    registration.ledger.write_text("".join([*kept[:3], *kept[4:]]))
    assert "line 4: the chain is broken" in refused(confirm(project))


def edit(suite: Suite, file: str, before: str, after: str, commit: bool = True) -> None:
    path = suite.pytester.path / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    if commit:
        git(suite, "commit", "-qam", "changed")


def change_version(suite: Suite) -> None:
    """As if the freeze had been made with another numpy."""
    path = f"hypotheses/{REGISTERED}/first.toml"
    text = (suite.pytester.path / path).read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("numpy")]
    edit(suite, path, line, 'numpy = "1.0"')


CHANGES: dict[str, Callable[[Suite], None]] = {
    "claim changed: draws": lambda suite: edit(suite, "hypotheses/things.py", "+ bound", "- bound"),
    "rule changed: texts, nouns": lambda suite: edit(
        suite, "hypotheses/things.py", "above=0.5, t", "above=0.6, t"
    ),
    "statement changed: texts": lambda suite: edit(suite, "hypotheses/things.py", "have a text", "have text"),
    "data bound changed: draws": lambda suite: edit(suite, "hypotheses/bound.txt", "1", "2"),
    "frozen with 1.0": change_version,
}


def test_what_differs_from_the_freeze_is_named(project: Suite, registration: Registration) -> None:
    start = git(project, "rev-parse", "HEAD")
    messages: list[str] = []
    for line, change in CHANGES.items():
        change(project)
        messages.append(refused(confirm(project)))
        assert line in messages[-1]
        git(project, "reset", "-q", "--hard", start)
    assert not registration.ledger.exists()
    assert "git worktree" not in messages[-1], "other libraries are not a matter of the sources"
    (command,) = re.findall(r"git worktree add .*", messages[0])
    subprocess.run(command, shell=True, check=True, cwd=project.pytester.path, capture_output=True)
    checked_out = project.pytester.path.parent / "first"
    path = registration.path.relative_to(project.pytester.path)
    assert (checked_out / path).read_bytes() == registration.content


def test_a_changed_tree_is_refused(project: Suite, registration: Registration) -> None:
    """A new file too; what the confirmation itself writes does not count."""
    new = project.pytester.path / "notes.txt"
    new.write_text("")
    assert re.search(
        r"the tree differs from commit [0-9a-f]{12}: notes.txt: commit or remove that",
        refused(confirm(project)),
    )
    new.unlink()
    edit(project, "hypotheses/things.py", "40", "41", commit=False)
    assert ": hypotheses/things.py: commit" in refused(confirm(project))


NO_SENSE = {
    "--record": "--confirm with --record: verdicts go to the ledger of the freeze: leave --record out",
    "--trials 9": "the freeze has the number of trials",
    "--on local:2": "one process appends to the ledger",
    "--dry": "--confirm with --dry",
    "--thinking off": "--confirm with --thinking",
    "--weights nf4": "the freeze names the weights",
    "--dtype bfloat16": "tiny-random is computed in bfloat16, frozen in float32",
    "--engine llama.cpp": "first has no models on llama.cpp",
    "--model smollm2-135m-instruct": "smollm2-135m-instruct is not a model of the freeze",
    "hypotheses/things.py::test_texts": "not among the collected claims: draws, nouns: leave paths out",
}


def test_what_makes_no_sense_is_refused(project: Suite, registration: Registration) -> None:
    for arguments, line in NO_SENSE.items():
        assert line in refused(confirm(project, *arguments.split()))
    assert not registration.ledger.exists()


def test_the_nonce_is_that_of_the_freeze(project: Suite, registration: Registration) -> None:
    assert "commits to" in refused(confirm(project, nonce="another nonce"))
    assert "add --nonce TEXT" in refused(project.run("--confirm", "first"))
    assert "add --confirm NAME" in refused(project.run("--nonce", NONCE))
    assert "there is no freeze 'second'" in refused(project.run("--confirm", "second", "--nonce", NONCE))


def test_another_freeze_of_the_same_nonce_does_not_go_on_with_the_ledger(
    project: Suite, registration: Registration
) -> None:
    confirm(project, "-k", "texts")
    edit(project, f"hypotheses/{REGISTERED}/first.toml", "a colleague", "a friend")
    assert "was begun with another freeze or nonce" in refused(confirm(project, "--resume"))


def test_ci_and_recorded_verdicts_change_nothing(
    project: Suite, registration: Registration, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New verdicts do not fail in CI, and exploratory records stay as they are."""
    monkeypatch.setenv("CI", "true")
    project.run("--model", tiny_llama)
    before = {path: path.read_bytes() for path in project.reports.rglob("*") if path.is_file()}
    assert confirm(project).ret == 0
    assert {path: path.read_bytes() for path in project.reports.rglob("*") if path.is_file()} == before


def test_a_broken_claim_leaves_no_line(project: Suite, tiny_llama: Path) -> None:
    """It fails; the others are there, and the run counts as interrupted."""
    edit(
        project, "hypotheses/things.py", "Trial(opening.text, success=True)", "Trial(opening.nothing)", False
    )
    registration = freeze(project, tiny_llama)
    confirm(project).assert_outcomes(passed=1, failed=1, skipped=1, deselected=1)
    assert {line.claim for line in read_ledger(registration.ledger)} == {"draws", "nouns"}
    assert "was interrupted: 2 of 3" in refused(confirm(project))


def test_two_models_are_narrowed_and_one_without_weights_leaves_no_line(
    project: Suite, tiny_llama: Path, other_llama: Path
) -> None:
    registration = freeze(project, tiny_llama, other_llama)
    assert confirm(project, "--model", other_llama).ret == 0
    assert {line.model for line in read_ledger(registration.ledger)} == {"other-random"}
    result = confirm(project, "--resume")
    lines = read_ledger(registration.ledger)
    assert [line.model for line in lines] == ["other-random"] * WHOLE + ["tiny-random"] * WHOLE
    result.stdout.fnmatch_lines(["placebos on other-random: * of 14 *", "placebos on tiny-random: * of 14 *"])
    # The same items, and coins of their own.
    assert prompts(registration, lines[0]) == prompts(registration, lines[WHOLE])
    estimates = [
        [line.estimate for line in lines if line.placebo and line.model == name]
        for name in ("tiny-random", "other-random")
    ]
    assert estimates[0] != estimates[1]


def test_a_refuted_gate_keeps_the_claims_from_running(project: Suite, tiny_llama: Path) -> None:
    project.claims(CLAIMS_TEXT + GATE)
    registration = freeze(project, tiny_llama)
    project.run("--model", tiny_llama, "-k", "gate", "--record")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "gate")
    result = confirm(project)
    result.assert_outcomes(skipped=3, deselected=2, warnings=3)
    assert not registration.ledger.exists()
