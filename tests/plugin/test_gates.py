"""Gates: claims that every other claim on their model takes for granted."""

from __future__ import annotations

import pytest

from tests.conftest import Suite
from vsg_core.plugin import selection

GATE = """
@claim("It rests on the gate", rule=rate(above=0.5), **ABOUT)
def test_other(lm):
    return trials(38)

@claim("The engine is right", gate=True, rule=rate(above=0.5), **ABOUT)
def test_gate(lm):
    return trials({passed})
"""


APART = """
@pytest.fixture(scope="session")
def lm():
    return None

@claim("It rests on a gate in another file", rule=rate(above=0.5), **ABOUT)
def test_apart(lm):
    return trials(38)
"""


def verdicts(suite: Suite) -> dict[str, str]:
    return {name: suite.record(name).verdict for name in ("gate", "other")}


def test_a_gate_runs_first_and_lets_the_others_run_if_it_holds(suite: Suite) -> None:
    suite.claims(GATE.format(passed=38))
    result = suite.run("-v")
    result.stdout.re_match_lines([".*::test_gate.*", ".*::test_other.*"])
    assert verdicts(suite) == {"gate": "holds", "other": "holds"}


def test_where_a_gate_is_refuted_no_other_claim_of_its_model_runs(suite: Suite) -> None:
    suite.claims(GATE.format(passed=2))
    suite.run().assert_outcomes(passed=1, skipped=1)
    assert verdicts(suite) == {"gate": "refuted", "other": "not run"}
    why = suite.record("other").not_run
    assert why is not None
    assert why.cause == "skipped"
    assert why.reason == "gate, which every claim on tiny-random takes for granted, is refuted"


def test_an_inconclusive_gate_closes_nothing(suite: Suite) -> None:
    suite.claims(GATE.format(passed=20))
    suite.run().assert_outcomes(passed=2)
    assert verdicts(suite) == {"gate": "inconclusive", "other": "holds"}


@pytest.mark.parametrize("arguments", [("-k", "other"), ("--resume",)])
def test_a_gate_that_is_left_out_or_kept_counts_as_it_was_measured(
    suite: Suite, arguments: tuple[str, ...]
) -> None:
    suite.claims(GATE.format(passed=2))
    suite.run("-k", "gate and not other")
    suite.run(*arguments)
    assert verdicts(suite)["other"] == "not run"


def test_a_worker_goes_by_a_gate_that_was_measured_before(suite: Suite) -> None:
    suite.claims(GATE.format(passed=2))
    suite.run("-k", "gate and not other")
    suite.run_apart("-k", "other", "--on", "local:1").assert_outcomes(skipped=1)
    assert verdicts(suite)["other"] == "not run"


def test_a_gate_that_was_only_recorded_counts_too(suite: Suite) -> None:
    suite.claims(GATE.format(passed=2))
    suite.run("-k", "gate and not other", "--record")
    for path in suite.reports.rglob("gate.json"):
        path.unlink()
    suite.run("-k", "other")
    assert suite.record("other").verdict == "not run"


@pytest.mark.parametrize(("passed", "verdict"), [(2, "not run"), (38, "holds")])
def test_a_gate_counts_for_a_run_that_does_not_collect_its_file(
    suite: Suite, passed: int, verdict: str
) -> None:
    suite.claims(GATE.format(passed=passed), "gates.py")
    suite.run("-k", "gate and not other")
    suite.claims(APART)
    suite.run("hypotheses/things.py")
    assert suite.record("apart").verdict == verdict


def test_on_a_second_engine_a_gate_must_have_been_measured(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claims, not the engine, are what this is about: they do without a model."""
    monkeypatch.setattr(selection, "check_library", lambda: None)
    suite.claims(APART + GATE.format(passed=38))
    on = ("--engine", "llama.cpp", "-p", "no:vsg_core.plugin.microscope")
    result = suite.run(*on, "-k", "apart", "-rs")
    result.stdout.fnmatch_lines(
        ["SKIPPED *gate, which every claim on * is not measured: pytest --model * --engine llama.cpp -k gate"]
    )
    suite.run(*on, "-k", "gate and not other").assert_outcomes(passed=1)
    suite.run(*on, "-k", "apart").assert_outcomes(passed=1)
