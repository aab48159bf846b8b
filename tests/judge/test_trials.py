"""Trials built from columns, and samples that are too small to judge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from vsg_core.errors import NotApplicable
from vsg_core.judge.trials import JudgingError, Trial, at_least, trials


@dataclass
class Reply:
    text: str


def test_one_trial_per_row() -> None:
    rows = trials(
        ["a", "b"],
        output=[Reply("x"), "y"],
        success=np.array([True, False]),
        value=np.array([0.5, 1.5], "f4"),
        mixture=[[("t", 1.0)], [("u", 0.5), ("v", 0.5)]],
        cluster=[0, 1],  # type: ignore[list-item]
        inputs={"layer": [1, 2], "seed": iter((7, 8))},
        outputs={"greedy": [Reply("g"), "h"]},
    )
    assert rows == [
        Trial("a", "x", True, 0.5, {"layer": 1, "seed": 7}, {"greedy": "g"}, "0", (("t", 1.0),)),
        Trial("b", "y", False, 1.5, {"layer": 2, "seed": 8}, {"greedy": "h"}, "1", (("u", 0.5), ("v", 0.5))),
    ]


def test_only_prompts_are_needed() -> None:
    assert trials(prompt for prompt in "ab") == [Trial("a"), Trial("b")]
    assert trials([]) == []


@pytest.mark.parametrize("column", ["output", "success", "value", "mixture", "cluster"])
def test_a_column_of_the_wrong_length_is_named(column: str) -> None:
    columns: dict[str, Any] = {column: [None]}
    with pytest.raises(
        JudgingError, match=f"column '{column}' has 1 rows for 2 prompts: give one per prompt"
    ):
        trials(["a", "b"], **columns)


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_a_named_column_of_the_wrong_length_is_named(name: str) -> None:
    columns: dict[str, Any] = {name: {"greedy": ["x"]}}
    with pytest.raises(JudgingError, match="column 'greedy' has 1 rows for 2 prompts"):
        trials(["a", "b"], **columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"value": [math.nan]}, "trial 'a': the value is nan"),
        ({"value": ["1"]}, "the value is '1'"),
        ({"value": [np.zeros(2)]}, "the value is array([0., 0.])"),
        ({"success": [np.array([True, False])]}, "success is array([ True, False]): give True or False"),
        ({"success": ["yes"]}, "success is 'yes'"),
        ({"output": [3]}, "3 is a int, not text"),
        ({"mixture": [[("t", math.nan)]]}, "give pairs of a token's text and a weight"),
        ({"mixture": [["token"]]}, "give pairs of a token's text and a weight"),
        ({"mixture": [[(5, 1.0)]]}, "give pairs of a token's text and a weight"),
        ({"mixture": [0.5]}, "give pairs of a token's text and a weight"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_line(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(JudgingError) as error:
        trials(["a"], **columns)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_at_least_returns_enough_items_and_refuses_too_few() -> None:
    kept = list(range(40))
    assert at_least(40, kept, "countries") is kept
    with pytest.raises(NotApplicable) as error:
        at_least(41, kept, "countries that it knows")
    assert str(error.value) == "40 countries that it knows, at least 41 are needed"
