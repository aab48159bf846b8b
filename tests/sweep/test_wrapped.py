"""A model in whatever a caller puts around it, and in any dtype or mode, is right or refused in one line."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from accelerate import cpu_offload, disk_offload  # type: ignore[import-untyped]

from tests.support.architectures import tokenizer
from tests.sweep.building import build
from tests.sweep.judging import ROUNDING, Truth, sequences, worst
from vsg_core import LanguageModel

CPU = torch.device("cpu")


@cache
def plain() -> Any:
    return build("gpt2")


class Wrapper(torch.nn.Module):
    """A parallel wrapper: a module that holds the model as `module`."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.module = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


def checkpointed(model: Any) -> Any:
    model.gradient_checkpointing_enable()
    return model.train()


def off(brought: Any) -> float:
    """Return by how much a batch of what the caller brings differs from the model alone."""
    lm = LanguageModel(brought, tokenizer())
    truth, whole = Truth(copy.deepcopy(plain())), sequences(lm)
    return worst(zip(lm.next_logits(whole), map(truth.logits, whole), strict=True))


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.DataParallel,
        lambda model: torch.compile(Wrapper(model), backend="eager"),
        lambda model: Wrapper(torch.nn.DataParallel(model)),
        lambda model: model.train(),
        checkpointed,
    ],
    ids=["DataParallel", "compiled wrapper", "wrapped twice", "training", "checkpointing"],
)
def test_what_is_around_a_model_does_not_change_its_numbers(wrap: Callable[[Any], Any]) -> None:
    """A batch of several lengths, for which the wrapper's own signature would hide the position ids."""
    assert off(wrap(copy.deepcopy(plain()))) <= ROUNDING


@pytest.mark.parametrize(
    "offload", [cpu_offload, lambda model, **k: disk_offload(model, tempfile.mkdtemp(), **k)]
)
def test_an_offloaded_model_gives_the_same_numbers(offload: Callable[..., Any]) -> None:
    assert off(offload(copy.deepcopy(plain()), execution_device=CPU)) <= ROUNDING


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3_text"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_of_half_precision_takes_the_same_path(architecture: str, dtype: torch.dtype) -> None:
    """Its rounding is large; float64 decides that nothing else differs."""
    model = build(architecture)
    whole = LanguageModel(copy.deepcopy(model), tokenizer())
    half = LanguageModel(copy.deepcopy(model).to(dtype), tokenizer())
    assert half.engine.paths == whole.engine.paths
    assert half.dtype == dtype
