"""Freezes: what they fix, what they refuse, and what differs from them later."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.registered import (
    COMMITMENT,
    MODELS,
    claim_named,
    commit,
    explored,
    folders,
    freeze,
    make,
    proposal,
    write_project,
)
from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.llama_cpp import library
from vsg_core.judge.claims import load_claims
from vsg_core.judge.power import power
from vsg_core.judge.rules import difference
from vsg_core.projects import CLAIMS, RECORDED
from vsg_core.records import provenance
from vsg_core.records.record import NotRun
from vsg_core.records.recorded import write_recorded
from vsg_core.records.registered import Commitment, Registration, read_registration, write_freeze
from vsg_core.registration.checking import changed_sources, dealing_digest, different_run, refusal
from vsg_core.registration.freezing import DTYPE, clean_commit, make_freeze, placebos_on
from vsg_core.runs.keys import Project
from vsg_core.weights import loading


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project")


def test_it_is_read_as_it_was_written(root: Path) -> None:
    made = make(root, note="A test.")
    path = write_freeze(made, root / CLAIMS / "registered")
    found = read_registration(path.parent, "first")
    assert found.freeze == made
    assert found.content == path.read_bytes()


def test_it_fixes_all_that_a_verdict_rests_on(root: Path) -> None:
    made = make(root)
    assert made.commit == commit_of(root)
    assert [model.name for model in made.models] == list(MODELS)
    assert [model.weights for model in made.models] == [loading.describe(name).sha256 for name in MODELS]
    assert {"python", "torch", "transformers", "scipy"} <= made.versions.keys()
    assert len(made.explored) == len(load_claims(root / CLAIMS))
    mean, often, seen = made.claims
    assert (mean.id, mean.statement, mean.trials, mean.matters) == (
        "mean",
        "The mean is above zero",
        120,
        0.2,
    )
    assert {"claim", "fixture draw_words", "data words", "judge", "generator", "rule"} <= mean.parts.keys()
    assert not {"seed", "trials"} & mean.parts.keys()
    assert mean.controls == ("control 'noise': The same after noise; below 0.5",)
    assert mean.exclusions == (
        "words of a language; given to no other claim of the freeze; left out are listed items and the "
        "share of every claim of the project"
    )
    # Its rule names no smallest effect: 10 points.
    assert (seen.matters, seen.controls[0]) == (0.1, "positive control 'copies': above 50 %")
    assert [run.model for run in often.runs] == list(MODELS)


def commit_of(root: Path) -> str:
    return clean_commit(root)


def test_power_is_computed_from_the_exploratory_spread_of_each_model(root: Path) -> None:
    mean, often, seen = make(root).claims
    for claim in (mean, often, seen):
        assert [run.exploratory for run in claim.runs] == ["holds", "holds"]
    for run in mean.runs:
        # The trials of the records are drawn with a standard deviation of 0.5.
        assert run.spread == pytest.approx(0.5, abs=0.1)
        assert run.spread_of == run.model
        assert run.power == pytest.approx(power(difference(above=0, matters=0.2), 120, run.spread), abs=1e-4)
    # The rate after noise is 0.2.
    assert [run.spread for run in often.runs] == pytest.approx([0.2, 0.2], abs=0.1)
    assert [(run.spread, run.spread_of) for run in seen.runs] == [(None, ""), (None, "")]


def test_power_is_that_of_the_units_that_the_trials_give(root: Path) -> None:
    (mean,) = make(root, claims={"mean": 300}, units={"mean": 120}).claims
    assert (mean.trials, mean.units) == (300, 120)
    assert [run.power for run in mean.runs] == [run.power for run in make(root).claims[0].runs]
    with pytest.raises(VsgError, match="mean: 400 units of 300 trials"):
        make(root, claims={"mean": 300}, units={"mean": 400})


def test_a_model_without_a_record_takes_the_spread_that_leaves_the_least_power(root: Path) -> None:
    made = make(root, targets=[*MODELS, "qwen2.5-coder-1.5b-instruct"])
    known, other = made.claims[0].runs[:2], made.claims[0].runs[2]
    assert other.spread == max(run.spread for run in known if run.spread is not None)
    assert other.spread_of in MODELS
    assert other.exploratory is None


def test_it_takes_the_fewest_trials_that_have_the_power_where_none_are_chosen(root: Path) -> None:
    (mean,) = make(root, claims={"mean": None}).claims
    spread = max(run.spread for run in mean.runs if run.spread is not None)
    rule = difference(above=0, matters=0.2)
    assert power(rule, mean.trials, spread) >= 0.9 > power(rule, mean.trials - 2, spread)


def test_a_claim_is_registered_where_it_applies(root: Path) -> None:
    """Left out are models of another kind, and those on which it was found not to apply."""
    record = explored(claim_named(root, "mean"), MODELS[0])
    not_run = NotRun(cause="not applicable", reason="it cannot count")
    nothing = {"verdict": "not run", "not_run": not_run, "estimate": None, "interval": None, "n": None}
    found = record.model_copy(update={"evidence": record.evidence.model_copy(update=nothing)})
    write_recorded(root / CLAIMS / RECORDED, MODELS[0], [found])
    commit(root)
    made = make(root, targets=[*MODELS, "gemma-3-270m"])
    models = {claim.id: [run.model for run in claim.runs] for claim in made.claims}
    assert models["mean"] == [MODELS[1], "gemma-3-270m"]
    assert models["seen"] == list(MODELS)


def test_a_claim_can_be_registered_on_some_of_the_models(root: Path) -> None:
    made = make(root, only={"mean": [MODELS[1]]})
    assert [run.model for run in made.claims[0].runs] == [MODELS[1]]
    assert [run.model for run in made.claims[1].runs] == list(MODELS)
    # A model without claims is not one of the freeze.
    few = make(root, claims={"mean": 120}, only={"mean": [MODELS[1]]})
    assert [model.name for model in few.models] == [MODELS[1]]
    with pytest.raises(WrongUse, match=r"mean on gemma-3-270m: the freeze has .*: add --model or --engine"):
        make(root, only={"mean": ["gemma-3-270m"]})


def test_every_model_is_registered_on_every_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "version", lambda _: library.VERSION)
    made = make(root, engines=["transformers", "llama.cpp"])
    assert [(model.name, model.target, model.engine) for model in made.models] == [
        *((name, name, "transformers") for name in MODELS),
        *((f"{name}+llama.cpp", name, "llama.cpp") for name in MODELS),
    ]


def test_an_engine_that_is_not_installed_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "version", lambda _: "0.1")
    with pytest.raises(WrongUse, match=r"the engine llama.cpp needs llama-cpp-python .*, not 0.1"):
        make(root, engines=["llama.cpp"])


def test_claims_that_share_their_items_say_so(root: Path) -> None:
    path = root / CLAIMS / "test_it.py"
    path.write_text(path.read_text().replace("def test_often(lm, draw_words)", "def test_often(lm, worked)"))
    commit(root)
    mean, often, seen = make(root).claims
    assert "shared with seen;" in often.exclusions
    assert "shared with often;" in seen.exclusions
    assert "given to no other claim" in mean.exclusions


def test_the_expected_number_of_placebo_verdicts_is_alpha_of_twenty(root: Path) -> None:
    made = make(root)
    placebos = placebos_on(made, MODELS[0])
    assert len(placebos) == 20
    assert made.expected(placebos) == pytest.approx(1.0)


REFUSALS: dict[str, tuple[dict[str, object], str]] = {
    "an identity": ({"claims": {"identity": 100}}, "identity is an identity, which data cannot confirm"),
    "no control": ({"claims": {"uncontrolled": 100}}, "uncontrolled has no control: give it one"),
    "no pool": ({"claims": {"listed": 100}}, "listed draws its items from no pool, so none can be new"),
    "across": ({"claims": {"across": 100}}, "across is judged over the records of several models"),
    "no smallest effect": (
        {"claims": {"unbounded": 100}},
        "unbounded: its rule names no smallest effect that matters: give matters=",
    ),
    "no such claim": ({"claims": {"mena": 100}}, "there is no claim 'mena': did you mean mean?"),
    "no claims": ({"claims": {}}, "no claims: give their ids with --claims"),
    "no such model": ({"targets": ["smollm3"]}, "no model 'smollm3' in the registry"),
    "no models": ({"targets": []}, "no models: give them with --model"),
    "unpinned weights": (
        {"targets": ["someone/some-model"]},
        "the weights of someone--some-model are neither on this machine nor pinned: vsg models fetch",
    ),
    "of another kind": ({"claims": {"base": 100}}, "base applies to none of the models: leave it out"),
    "too few for the rule": ({"claims": {"mean": 30}}, "mean: 30 units, but its rule takes at least 40"),
    "more units than trials": (
        {"claims": {"mean": 100}, "units": {"mean": 120}}, "mean: 120 units of 100 trials, which cannot give more"
    ),
    "too little power": (
        {"claims": {"mean": 40}},
        r"mean on smollm2-135m-instruct: 40 units have a power of 0\.\d\d, with the spread 0\.\d+ of "
        r"smollm2-135m-instruct, below 0\.9: \d+ would do",
    ),
    "no sentence about the nonce": (
        {"commitment": COMMITMENT.model_copy(update={"by": " "})},
        "--by is empty: say who committed",
    ),
    "a wrong name": ({"name": "Primary 1"}, "the name 'Primary 1': give up to 40 lower-case letters"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_registered_is_refused(
    case: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    changes, line = REFUSALS[case]
    with pytest.raises(VsgError, match=line):
        make(root, **changes)


def test_all_that_is_wrong_with_the_claims_is_said_at_once(root: Path) -> None:
    with pytest.raises(VsgError) as raised:
        make(root, claims={"identity": 100, "listed": 100, "mean": 100})
    assert len(str(raised.value).splitlines()) == 2


def test_without_a_record_there_is_no_power(root: Path) -> None:
    with pytest.raises(VsgError, match=r"mean has no record in .* to compute its power from: run it"):
        make_freeze(proposal(), load_claims(root / CLAIMS), folders(root), root / "nothing", "0" * 40)


def test_a_bad_digest_is_refused() -> None:
    with pytest.raises(WrongUse, match="--commitment 'abc': give the sha256 of the nonce"):
        proposal(commitment=Commitment.model_construct(sha256="abc", by="me"))


def test_a_freeze_is_never_written_over(root: Path) -> None:
    freeze(root)
    with pytest.raises(
        WrongUse, match=r"first\.toml exists, and a freeze is never changed: choose another name"
    ):
        make(root)


def test_a_tree_with_changes_is_refused(root: Path) -> None:
    (root / "hypotheses" / "new.py").write_text("")
    with pytest.raises(
        VsgError, match=r"differs from commit \w{12}: hypotheses/new.py: commit or remove that"
    ):
        make(root)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    provenance.code.cache_clear()
    with pytest.raises(VsgError, match="is in no git repository with a commit"):
        clean_commit(tmp_path)


def changes_of(root: Path, registration: Registration) -> list[str]:
    entries = {model.name: loading.describe(model.target) for model in registration.freeze.models}
    project = Project(root, tuple(folders(root)))
    freeze = registration.freeze
    return [
        *changed_sources(freeze, project, load_claims(root / CLAIMS)), *different_run(freeze, entries, DTYPE),
    ]  # fmt: skip


EDITS: dict[str, tuple[str, Callable[[str], str], list[str]]] = {
    "a comment": ("fixtures/draws.py", lambda text: "# A comment.\n" + text, []),
    "a fixture": (
        "fixtures/draws.py",
        lambda text: text.replace("words.json", "other.json"),
        ["fixture draw_words changed: mean, often"],
    ),
    "a data file": ("fixtures/words.json", lambda _: "[]", ["data words changed: mean, often"]),
    "a claim": (
        "hypotheses/test_it.py",
        lambda text: text.replace("return worked", "return worked + 1"),
        ["claim changed: seen"],
    ),
    "a rule": (
        "hypotheses/test_it.py",
        lambda text: text.replace("matters=0.2)", "matters=0.3)", 1),
        ["rule changed: mean"],
    ),
    "a sentence": (
        "hypotheses/test_it.py",
        lambda text: text.replace("The mean is above zero", "The mean is above nothing"),
        ["statement changed: mean"],
    ),
    "a name": (
        "hypotheses/test_it.py",
        lambda text: text.replace("def test_mean", "def test_average"),
        ["is gone: mean"],
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_differs_from_a_freeze_is_named(case: str, root: Path) -> None:
    registration = freeze(root)
    assert changes_of(root, registration) == []
    name, edit, expected = EDITS[case]
    path = root / name
    later = path.stat().st_mtime + 2
    path.write_text(edit(path.read_text()))
    # Python takes its compiled file for a source of the same size and the same second.
    os.utime(path, (later, later))
    assert sorted(changes_of(root, registration)) == sorted(expected)


def test_other_code_that_deals_differs(root: Path) -> None:
    registration = freeze(root)
    assert registration.freeze.dealing == dealing_digest()
    other = registration.freeze.model_copy(update={"dealing": "0" * 16})
    (line,) = changes_of(root, registration._replace(freeze=other))
    assert line.startswith("the code that deals items changed: records/registered.py, ")
    older = registration.freeze.model_copy(update={"dealing": ""})
    assert changes_of(root, registration._replace(freeze=older)) == []


def test_other_versions_and_weights_differ(root: Path) -> None:
    registration = freeze(root)
    frozen = registration.freeze
    models = [model.model_copy(update={"weights": "ab" * 32}) for model in frozen.models]
    older = frozen.model_copy(
        update={"versions": frozen.versions | {"torch": "1.0"}, "models": tuple(models)}
    )
    registration = registration._replace(freeze=older)
    found = changes_of(root, registration)
    assert found[0].endswith("frozen with 1.0: install that")
    assert [line.partition(" are ")[0] for line in found[1:]] == [f"the weights of {name}" for name in MODELS]
    assert "git worktree" not in refusal(registration, [], found)


def test_a_freeze_and_its_ledger_change_no_key(root: Path) -> None:
    before = make(root).claims[0].parts
    registration = freeze(root)
    registration.ledger.write_text("{}\n")
    commit(root)
    assert make(root, name="second").claims[0].parts == before
