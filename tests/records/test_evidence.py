"""Evidence is compared as bytes, and rewording a message never changes a comparison."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import MODEL, RUN, declare, judged_record, successes, values
from vsg_core import wording
from vsg_core.errors import NotApplicable, WeightsUnavailable
from vsg_core.judge import judging, power
from vsg_core.judge import rules as rules_module
from vsg_core.judge.arms import control, doses
from vsg_core.judge.rules import Rule, difference, rarely, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records import recorded as recorded_module
from vsg_core.records.files import read_records, write_record
from vsg_core.records.making import not_run_record
from vsg_core.records.record import NotRun, Record, Run
from vsg_core.records.recorded import compare, read_recorded, write_recorded

OTHER_RUN = Run(
    started=datetime(2027, 1, 1, tzinfo=UTC), seconds=99.5, forward_seconds=90.0, forward_passes=7, tokens=12,
    device="cuda", machine="a different one", commit="c0ffee", dirty=True, versions={"torch": "3"},
)  # fmt: skip


def a_record(
    hits: int = 38, *, rule: Rule | None = None, noise: int = 1, words: str = "", run: Run = RUN, **more: Any
) -> Record:
    declared = declare(
        rule or rate(above=0.5),
        controls={
            "noise": control(rarely(trials=60), f"Noise.{words}", protects=more.pop("protects", "holds"))
        },
        positive_controls={"copies": rate(above=0.5)},
        comparisons=doses("at {:g}", (1, 2), f"std{words}"),
        seed=more.pop("seed", 0),
    )
    arms = {
        "noise": successes(noise, 60),
        "copies": successes(40),
        "at 1": successes(3),
        "at 2": successes(4),
    }
    return judged_record(declared, Evidence(more.pop("trials", successes(hits)), arms), run=run, **more)


def reworded(text: str) -> str:
    return f"in other words, {len(text)} characters"


FORMATTERS = [
    name
    for name, function in vars(wording).items()
    if name.endswith("_text") and inspect.isfunction(function)
]


@pytest.fixture
def other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every function that formats a sentence, in every module that imported it."""
    for name in FORMATTERS:
        function = getattr(wording, name)
        changed = lambda *arguments, function=function, **options: reworded(  # noqa: E731
            function(*arguments, **options)
        )
        for module in (wording, judging, power, rules_module, recorded_module):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, changed)
    for name in ("text", "needs"):
        monkeypatch.setattr(Rule, name, property(lambda self: reworded(self.kind)))
    monkeypatch.setattr(NotRun, "text", property(lambda self: "in other words"))


def test_every_formatter_is_reworded(other_words: None) -> None:
    assert len(FORMATTERS) >= 7
    assert wording.number_text(0.5, "percent").startswith("in other words")
    assert "in other words" in a_record().reason
    assert "in other words" in a_record().claim.rule_text


@pytest.mark.parametrize("hits", [40, 20, 0])
def test_rewording_changes_no_comparison(tmp_path: Path, hits: int, request: pytest.FixtureRequest) -> None:
    """Records judged and recorded in today's words and in others are comparable and have the same evidence."""
    before = a_record(hits)
    write_recorded(tmp_path, "tiny", [before])
    write_record(before, tmp_path / "records")
    request.getfixturevalue("other_words")
    after = a_record(hits, words=" in other words")
    assert after.reason != before.reason
    assert after.claim.rule_text != before.claim.rule_text
    recorded = read_recorded(tmp_path, "tiny")["example"]
    assert compare(recorded, after).outcome == "same"
    assert [record.evidence_bytes for record in read_records(tmp_path / "records")] == [after.evidence_bytes]
    write_recorded(tmp_path, "tiny", [after])
    assert compare(read_recorded(tmp_path, "tiny")["example"], before).outcome == "same"


@pytest.mark.parametrize(
    "error", [NotApplicable("a base model"), WeightsUnavailable("no network", "fetch it")]
)
def test_rewording_keeps_the_cause(
    tmp_path: Path, error: NotApplicable | WeightsUnavailable, request: pytest.FixtureRequest
) -> None:
    claim = declare(rate(above=0.5))
    before = not_run_record(claim, MODEL, error, RUN)
    write_recorded(tmp_path, "tiny", [before])
    request.getfixturevalue("other_words")
    after = not_run_record(claim, MODEL, type(error)("in other words", "in other words"), RUN)
    assert before.not_run is not None
    assert after.not_run is not None
    assert after.not_run.cause == before.not_run.cause == error.cause
    assert after.is_finding == before.is_finding == isinstance(error, NotApplicable)
    assert after.evidence_bytes == before.evidence_bytes
    known = read_recorded(tmp_path, "tiny").get("example")
    assert (known is not None) == isinstance(error, NotApplicable)
    assert compare(known, after).outcome == "not run"


def test_a_failed_positive_control_is_not_applicable_in_any_words(other_words: None) -> None:
    claim = declare(rate(above=0.5), positive_controls={"copies": rate(above=0.5)})
    record = judged_record(claim, Evidence(successes(40), {"copies": successes(0)}))
    assert record.not_run is not None
    assert (record.not_run.cause, record.outcome, record.is_finding) == ("not applicable", "not run", True)


def test_the_run_is_not_part_of_the_evidence() -> None:
    one, other = a_record(), a_record(run=OTHER_RUN, words=" in other words")
    assert one.run != other.run
    assert one.evidence_bytes == other.evidence_bytes
    compared = one.model_copy(update={"outcome": "changed"})
    assert compared.evidence_bytes == one.evidence_bytes


def changed_trials(index: int, **change: Any) -> list[Trial]:
    rows = successes(38)
    given = {"prompt": rows[index].prompt, "output": "text", "success": rows[index].success} | change
    return [*rows[:index], Trial(**given), *rows[index + 1 :]]


DIFFERENT: dict[str, dict[str, Any]] = {
    "one success": {"hits": 37},
    "which trial succeeds": {"trials": [*successes(37)[:39], Trial("prompt 39", "text", success=True)]},
    "a prompt": {"trials": changed_trials(0, prompt="other")},
    "an output": {"trials": changed_trials(39, output="other")},
    "an input": {"trials": changed_trials(3, inputs={"x": 1})},
    "the type of an input": {"trials": changed_trials(3, inputs={"x": 1.0})},
    "a further output": {"trials": changed_trials(3, outputs={"x": ""})},
    "a mixture": {"trials": changed_trials(3, mixture=[("a", 1.0)])},
    "a weight of a mixture": {"trials": changed_trials(3, mixture=[("a", 0.5)])},
    "a cluster": {"trials": changed_trials(3, cluster="c")},
    "the order": {"trials": successes(38)[::-1]},
    "a trial of a control": {"noise": 0},
    "the rule": {"rule": rate(above=0.51)},
    "the number of trials that the rule needs": {"rule": rate(above=0.5, trials=39)},
    "what a control protects": {"protects": "both"},
    "alpha": {"rule": rate(above=0.5, alpha=0.04)},
    "the seed": {"seed": 1},
    "the dtype": {"dtype": "bfloat16"},
    "the weights": {"model": MODEL.model_copy(update={"sha256": "cd34"})},
    "the model": {"model": MODEL.model_copy(update={"name": "small"})},
}  # fmt: skip


def test_any_change_of_a_measurement_is_different_evidence() -> None:
    found = {name: a_record(**change).evidence_bytes for name, change in DIFFERENT.items()}
    assert len({a_record().evidence_bytes, *found.values()}) == len(DIFFERENT) + 1


def test_what_older_records_lack_is_no_evidence() -> None:
    """p_value, share and protects follow from trials and rules; a record from before has none of them."""
    record = judged_record(declare(difference(above=0), controls={"noise": rarely(trials=60)}),
                           Evidence(values([i / 7 - 1 for i in range(40)]), {"noise": successes(1, 60)}))  # fmt: skip
    evidence = record.evidence
    assert evidence.p_value is not None
    assert 0 < evidence.p_value < 0.05
    assert evidence.share == 0.8
    assert evidence.arms[0].protects == "holds"
    arms = (evidence.arms[0].model_copy(update={"protects": None}),)
    older = evidence.model_copy(update={"p_value": None, "share": None, "arms": arms})
    assert record.model_copy(update={"evidence": older}).evidence_bytes == record.evidence_bytes


def test_the_last_bit_of_a_value_is_evidence() -> None:
    numbers = [i / 7 for i in range(40)]
    one = judged_record(declare(difference(above=0)), values(numbers))
    other = judged_record(declare(difference(above=0)), values([*numbers[:-1], numbers[-1] + 1e-15]))
    assert one.evidence_bytes != other.evidence_bytes
