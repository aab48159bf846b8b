"""Each mistake in what a claim returns is one line that says what to do."""

from __future__ import annotations

import pytest

from tests.support.judging import declare, successes, values
from vsg_core.judge.rules import always, cannot, equivalence, more, mostly, rarely
from vsg_core.judge.shapes import mistakes
from vsg_core.judge.trials import Evidence, Trial

ARMS = {"controls": {"shuffled words": rarely()}, "comparisons": ["greedy"]}
WHOLE = {"shuffled words": successes(1), "greedy": successes(20)}


def test_whole_evidence_has_no_mistakes():
    assert mistakes(declare(mostly(), **ARMS), Evidence(successes(30), WHOLE)) == []
    assert mistakes(declare(more()), values(range(40))) == []
    assert mistakes(declare(equivalence(within=1)), values(range(40))) == []


@pytest.mark.parametrize(
    ("returned", "line"),
    [
        (
            None,
            "it returned nothing: end it with `return trials(...)` or `return Evidence(trials(...), {...})`",
        ),
        (True, "it returned True: return the trials, each with its success; the rule gives the verdict"),
        (0.7, "the claim gave float: give a list of Trial"),
        ([True] * 40, "the claim gave list: give a list of Trial"),
    ],
)
def test_what_is_not_trials(returned, line):
    assert mistakes(declare(mostly()), returned) == [line]


def test_every_arm_that_is_missing_undeclared_or_misspelt_is_named_once():
    claim = declare(mostly(), **ARMS, positive_controls={"copies a word": mostly()})
    given = {"shufled words": successes(1), "something else": successes(1), "greedy": successes(1)}
    assert mistakes(claim, Evidence(successes(30), given)) == [
        "arm 'shufled words' is not declared: did you mean 'shuffled words'?",
        "arm 'something else' is not declared: add it to the claim's controls or comparisons, or leave it out",
        "no trials of positive control 'copies a word': return Evidence(trials, {'copies a word': [...]})",
    ]


def test_success_under_a_rule_on_values_is_refused():
    """A run would count a success as 1.0, and compare the rate of successes with the bound of a difference."""
    (line,) = mistakes(declare(more(than=0.1)), successes(30))
    assert line == (
        "the claim's own trials: all 40 have success= and no value=, which the rule (difference above 0.1) looks at: "
        "give value=, or state the rule as rate() or a word for it, such as mostly()"
    )


@pytest.mark.parametrize("rule", [mostly(), always()])
def test_a_value_under_a_rule_on_successes_is_refused(rule):
    (line,) = mistakes(declare(rule), [*values(range(10)), *successes(390, of=390)])
    assert line.startswith("the claim's own trials: 10 of 400 have value= and no success=, which the rule (")
    assert line.endswith("looks at: give success=, or state the rule as more(), less() or equivalence()")


def test_a_comparison_of_values_may_have_successes_and_one_of_successes_may_not_have_values():
    by_value = declare(more(), comparisons=["read"])
    assert mistakes(by_value, Evidence(values(range(40)), {"read": successes(4)})) == []
    by_success = declare(mostly(), comparisons=["read"])
    (line,) = mistakes(by_success, Evidence(successes(40), {"read": values(range(40))}))
    assert line.startswith("comparison 'read': all 40 have value= and no success=")


def test_too_few_independent_trials_of_any_judged_arm():
    lines = mistakes(
        declare(mostly(), **ARMS), Evidence(successes(3, of=39), WHOLE | {"greedy": successes(1, of=1)})
    )
    assert [line.partition(": give")[0] for line in lines] == [
        "the claim's own trials: 39 trials and the rule needs 40"
    ]
    clustered = [Trial(f"prompt {i}", success=True, cluster=str(i % 8)) for i in range(80)]
    lines = mistakes(declare(mostly(), **ARMS), Evidence(successes(9), WHOLE | {"shuffled words": clustered}))
    assert [line.partition(": give")[0] for line in lines] == [
        "control 'shuffled words': 80 trials, in 8 clusters, and the rule needs 40"
    ]
    assert mistakes(declare(mostly()), successes(1, of=4), counted=False) == []


def test_always_needs_enough_trials_to_hold_unless_one_refutes():
    (line,) = mistakes(declare(always()), successes(298, of=298))
    assert "298 trials and the rule can hold only from 299" in line
    assert mistakes(declare(always()), successes(0, of=1)) == []


def test_trials_of_what_the_model_can_do_are_not_counted_where_it_can_do_nothing():
    """The judge looks at nothing else where a positive control does not hold."""
    claim = declare(rarely(), positive_controls={"copies a word": mostly()})
    assert mistakes(claim, Evidence([], {"copies a word": successes(0)})) == []
    (line,) = mistakes(claim, Evidence([], {"copies a word": successes(40)}))
    assert line.startswith("the claim's own trials: 0 trials")
    (line,) = mistakes(claim, Evidence([], {"copies a word": successes(9, of=9)}))
    assert line.startswith("positive control 'copies a word': 9 trials")


def test_the_arm_that_a_rate_is_compared_with_is_counted():
    claim = declare(cannot(over="chance"), controls={"chance": rarely()})
    lines = mistakes(claim, Evidence(successes(1, of=100), {"chance": successes(0, of=40)}))
    assert [line.partition(": give")[0] for line in lines] == [
        "control 'chance', with which a rule compares: 40 trials and the rule needs 100"
    ]
