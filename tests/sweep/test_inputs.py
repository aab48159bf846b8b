"""Ids and vectors in any form are taken as what they are, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.architectures import tokenizer
from tests.sweep.building import build
from vsg_core import LanguageModel
from vsg_core.errors import VsgError


@cache
def lm() -> LanguageModel:
    return LanguageModel(build("llama"), tokenizer())


@pytest.mark.parametrize(
    "sequence",
    [
        [4, 5, 6],
        (4, 5, 6),
        range(4, 7),
        np.array([4, 5, 6]),
        torch.tensor([4, 5, 6], dtype=torch.int32),
        torch.tensor([4, 5, 6], dtype=torch.uint8),
    ],
    ids=lambda sequence: type(sequence).__name__,
)
def test_ids_in_any_form_are_the_same_ids(sequence: Any) -> None:
    assert torch.equal(lm().next_logits([sequence]), lm().next_logits([torch.tensor([4, 5, 6])]))
    generated: Any = (each for each in [sequence])
    assert torch.equal(lm().next_logits(generated), lm().next_logits([sequence]))


WRONG: dict[str, Any] = {
    "ids too large": [[99]],
    "ids negative": [[-1]],
    "ids above 64 bits": [[2**70]],
    "ids [1, seq]": [torch.tensor([[4, 5]])],
    "numbers": [[1.5, 2.5]],
    "vectors of another width": [torch.zeros(3, 31)],
    "vectors with NaN": [torch.full((3, 32), torch.nan)],
    "an empty sequence": [[]],
    "no sequence": [],
    "truth values": [torch.tensor([True])],
    "a text for a list": "w5",
    "nothing": [None],
    "a number for a sequence": [5],
    "ragged": [[[1], [2, 3]]],
    "longer than the context": [[4] * 65],
    "a number for a list": 5,
    "the mapping that a tokenizer gives": {"input_ids": [[4, 5]]},
    "on the meta device": [torch.zeros(3, dtype=torch.long, device="meta")],
    "sparse": [torch.eye(3, 32).to_sparse()],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_sequences_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(VsgError) as raised:
        lm().next_logits(WRONG[name])
    assert "\n" not in str(raised.value)


def state() -> Any:
    """A state of one sequence with room for one more position."""
    return next(iter(lm().prefill([torch.tensor([4, 5])], room=1)))[1]


def full() -> Any:
    """A state of one sequence that fills the context."""
    return next(iter(lm().prefill([[4] * 64])))[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: lm().step(state(), torch.tensor([99])),
        lambda: lm().step(state(), torch.tensor([[4]])),
        lambda: lm().step(state(), torch.tensor([4, 5])),
        lambda: lm().step(state(), torch.zeros(1, 31)),
        lambda: lm().select(state(), torch.tensor([3])),
        lambda: lm().mix(torch.ones(1, 5)),
        lambda: lm().lens(torch.ones(2, 5)),
        lambda: lm().step(full(), torch.tensor([4])),
    ],
    ids=[
        "step: id too large",
        "step: shape",
        "step: batch",
        "step: width",
        "select: row",
        "mix: width",
        "lens: width",
        "step: beyond the context",
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(call: Callable[[], Any]) -> None:
    with pytest.raises(VsgError) as raised:
        call()
    assert "\n" not in str(raised.value)
