"""Records of schema 1 lose nothing on the way to schema 2.

data/schema-1.zip holds eight records of a real run: every kind of rule, controls, positive controls, a rule over an
arm, doses, mixtures, clusters, a claim across models, and three ways of not having run.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vsg_core.errors import VsgError
from vsg_core.judge.rules import Rule, rules_digest
from vsg_core.records.files import read_record, read_records, record_text, write_archive, write_record
from vsg_core.records.record import Record, StoredTrial
from vsg_core.records.upgrade import upgraded

ARCHIVE = Path(__file__).parent / "data" / "schema-1.zip"


def old_records(archive: Path = ARCHIVE) -> dict[str, dict[str, Any]]:
    """Read the records of schema 1 as JSON values, by MODEL/CLAIM."""
    with zipfile.ZipFile(archive) as opened:
        return {name.removesuffix(".json"): json.loads(opened.read(name)) for name in opened.namelist()}


OLD = old_records()
NEW = {f"{record.model.name}/{record.claim.id}": record for record in read_records(ARCHIVE)}
each = pytest.mark.parametrize("name", OLD)


def old_text(rule: Rule) -> str:
    """Format a rule in the words of schema 1."""
    if rule.kind == "always":
        return (
            f"always: no counterexample, and at most {100 * rule.limit:g} % left open, alpha {rule.alpha:g}"
        )
    limit = f"{100 * rule.limit:g} %" if rule.kind == "rate" else f"{rule.limit:g}"
    over = f" more than {rule.over!r}" if rule.over else ""
    return f"{rule.kind} {rule.side} {limit}{over}, at least {rule.trials} trials, alpha {rule.alpha:g}"


def old_trial(trial: StoredTrial) -> dict[str, Any]:
    """Convert a trial to the form of schema 1."""
    mixture = {"mixture": [list(pair) for pair in trial.mixture]} if trial.mixture is not None else {}
    return {
        "prompt": trial.prompt,
        "inputs": {**mixture, **trial.inputs} or None,
        "outputs": {"output": trial.output, **trial.outputs},
        "value": trial.value,
        "success": trial.success,
        "cluster": trial.cluster,
    }


def without_empty(trial: dict[str, Any]) -> dict[str, Any]:
    return {**trial, "inputs": trial["inputs"] or None}


def assert_same_trials(new: tuple[StoredTrial, ...], old: list[dict[str, Any]]) -> None:
    assert [old_trial(trial) for trial in new] == [without_empty(trial) for trial in old]


def assert_nothing_is_lost(new: Record, old: dict[str, Any]) -> None:
    """Check that the record of schema 2 has every field of the record of schema 1."""
    claim, evidence, made = new.claim, new.evidence, old["provenance"]
    for key in ("question", "statement", "source", "link", "reported", "docstring", "seed"):
        assert getattr(claim, key) == old[key], key
    assert (claim.id, claim.headline, claim.rule_text) == (old["claim"], old["headline"], old["rule"])
    bound: dict[str, float] = {
        "open_rate" if claim.rule.side == "at most" else claim.rule.side: claim.rule.limit
    }
    assert {**bound, "over": claim.rule.over, "kind": claim.rule.kind} == old["bound"]
    controls = [arm for arm in evidence.arms if arm.rule is not None]
    if new.verdict != "not run":
        texts = [f"{arm.role} {arm.name!r}: {old_text(arm.rule)}" for arm in controls if arm.rule]
        assert "; ".join([old_text(claim.rule), *texts]) == old["rule"]
        rules = {role: {arm.name: arm.rule for arm in controls if arm.role == role and arm.rule}
                 for role in ("positive control", "control")}  # fmt: skip
        assert claim.rules_digest == rules_digest(claim.rule, rules["positive control"], rules["control"])
    assert old["rule"].startswith(old_text(claim.rule))

    for key in ("name", "family", "kind", "parameters", "revision", "source"):
        assert getattr(new.model, key) == old["model"].get(key), key
    assert new.model.sha256 == (old["model"].get("sha256") or made.get("model_sha256"))

    measured = (evidence.estimate, evidence.interval and list(evidence.interval), evidence.n)
    assert measured == (old["estimate"], old["interval"], old["n"])
    assert (new.verdict, new.outcome, new.reason) == (old["verdict"], old["outcome"], old["reason"])
    assert_same_trials(evidence.trials, old["trials"])
    for arm, old_arm in zip(evidence.arms, old["controls"], strict=True):
        assert (arm.name, arm.role, arm.verdict) == (old_arm["name"], old_arm["kind"], old_arm["verdict"])
        assert (arm.rule and old_text(arm.rule)) == old_arm["rule"]
        assert (arm.estimate, arm.interval and list(arm.interval), arm.n) == (
            old_arm["estimate"], old_arm["interval"], old_arm["n"],
        )  # fmt: skip
        assert_same_trials(arm.trials, old_arm["trials"])

    run = json.loads(new.run.model_dump_json())
    for key, value in made.items():
        if key == "records":
            for used, old_used in zip(new.run.records, value or [], strict=True):
                assert used.started.isoformat() == old_used.pop("started")
                assert used.model_dump(exclude={"started"}) == old_used
        elif key == "started":
            assert new.run.started.isoformat() == value
        elif key in ("dtype", "engine"):
            assert getattr(evidence, key) == (value or {"engine": "transformers"}.get(key)), key
        elif key != "model_sha256" and value is not None:
            assert run[key] == value, key
    recorded = new.recorded and json.loads(new.recorded.model_dump_json())
    assert recorded == (old["recorded"] and {key: old["recorded"].get(key) for key in recorded or {}})


@each
def test_nothing_is_lost(name: str) -> None:
    assert_nothing_is_lost(NEW[name], json.loads(json.dumps(OLD[name])))


@each
def test_an_upgraded_record_is_written_as_schema_2_and_read_back_equal(tmp_path: Path, name: str) -> None:
    path = write_record(NEW[name], tmp_path)
    assert path.read_text().startswith('{\n"schema":2,')
    again = read_record(path)
    assert again == NEW[name]
    assert again.evidence_bytes == NEW[name].evidence_bytes
    assert record_text(again) == record_text(NEW[name])


def test_an_archive_of_upgraded_records_is_read_back_equal(tmp_path: Path) -> None:
    assert read_records(write_archive(NEW.values(), tmp_path / "records.zip")) == list(NEW.values())


def test_the_causes_of_not_run_are_kept() -> None:
    not_run = {name: record.not_run for name, record in NEW.items() if record.not_run}
    assert {name: found.cause for name, found in not_run.items()} == {
        "across-models/quantised_weights_change_verdicts": "records",
        "gemma-3-270m/noise_in_the_chat_frame_still_generates": "not applicable",
        "smollm2-135m-instruct/says_that_it_does_not_understand_noise": "not applicable",
    }
    assert all("not applicable" not in found.reason for found in not_run.values())
    assert {name for name, record in NEW.items() if record.not_run and not record.is_finding} == {
        "across-models/quantised_weights_change_verdicts"
    }


@pytest.mark.parametrize(
    ("reason", "outcome", "cause", "plain", "command"),
    [
        ("error: NaN in the logits", "broken", "error", "NaN in the logits", ""),
        ("no network; to get them: vsg models fetch a", "not run", "weights", "no network", "vsg models fetch a"),
        ("a needs 9.1 GiB of memory (8 GiB here)", "not run", "memory", "a needs 9.1 GiB of memory (8 GiB here)", ""),
        ("needs records of b; to get them: pytest", "not run", "records", "needs records of b", "pytest"),
        ("not applicable: a base model", "not run", "not applicable", "a base model", ""),
    ],
)  # fmt: skip
def test_a_reason_is_split_into_cause_reason_and_command(
    reason: str, outcome: str, cause: str, plain: str, command: str
) -> None:
    old = OLD["across-models/quantised_weights_change_verdicts"] | {"reason": reason, "outcome": outcome}
    record = upgraded_record(old)
    assert record.not_run is not None
    assert record.not_run.model_dump() == {"cause": cause, "reason": plain, "command": command}
    assert record.reason == reason


def upgraded_record(old: dict[str, Any]) -> Record:
    return Record.model_validate(upgraded(old), strict=False)


def test_an_opposite_report_becomes_a_reported_verdict() -> None:
    assert NEW["gemma-3-270m/noise_in_the_chat_frame_still_generates"].claim.reported_verdict == "refuted"
    assert NEW["smollm2-135m-instruct/one_hot_mixture_is_the_token"].claim.reported_verdict == "holds"


def test_numbers_in_the_names_of_arms_become_doses() -> None:
    arms = NEW["smollm2-135m-instruct/tolerance_to_noise_falls_with_its_scale"].evidence.arms
    doses = [arm.dose for arm in arms if arm.dose]
    assert len(doses) == 5
    assert len({dose.curve for dose in doses}) == 1
    assert all(f"{arm.dose.value:g}" in arm.name for arm in arms if arm.dose)
    assert [dose.value for dose in doses] == sorted(dose.value for dose in doses)


@pytest.mark.parametrize(
    "key", ["claim", "rule", "bound", "trials", "controls", "provenance", "model", "verdict"]
)
def test_a_missing_part_is_one_line(tmp_path: Path, key: str) -> None:
    old = {k: v for k, v in OLD["across-models/quantised_weights_change_verdicts"].items() if k != key}
    if key == "bound":
        old["rule"] = "no rule that can be read"
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    with pytest.raises(VsgError) as error:
        read_record(path)
    assert str(error.value) == f"damaged record {path}: no {key!r}; delete it and run that claim again"
