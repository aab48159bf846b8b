"""The product of a linear head with the hidden states of a step, on all cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import linear

# Blocks of the head's rows that are multiplied next to each other, each on one core.
PARTS = 8
# Up to this many positions MKL multiplies a whole table on one core or little more.
NARROW = 64


@contextmanager
def on_all_cores(head: torch.nn.Module) -> Iterator[None]:
    """Multiply a linear head's table in PARTS blocks of rows inside the block of code, on the CPU in float32.

    Every logit is the same bit for bit, because it is the same product of one row with one hidden state. A head that
    is not simply linear, or whose forward was replaced (by accelerate, by the caller), is left alone.
    """
    if not _is_divisible(head):
        yield
        return
    head.forward = lambda hidden: _in_blocks(head, hidden)
    try:
        yield
    finally:
        del head.forward


def _is_divisible(head: torch.nn.Module) -> bool:
    """Return whether the head is a linear layer of torch itself, without a bias, whose rows divide into PARTS."""
    if type(head) is not torch.nn.Linear or "forward" in vars(head) or head.bias is not None:
        return False
    weight = head.weight
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.is_contiguous()
    several = torch.backends.mkl.is_available() and torch.get_num_threads() > 1
    return on_cpu and several and len(weight) % PARTS == 0


def _in_blocks(head: torch.nn.Module, hidden: Tensor) -> Tensor:
    """Multiply hidden states [..., hidden] with the head's rows -> [..., vocab]."""
    weight = head.weight
    assert isinstance(weight, Tensor)
    rows = hidden.reshape(-1, hidden.shape[-1])
    if len(rows) > NARROW or hidden.dtype != weight.dtype:
        return linear(hidden, weight)
    # table [PARTS, hidden, vocab / PARTS], logits [PARTS, rows, vocab / PARTS]
    table = weight.view(PARTS, -1, weight.shape[-1]).transpose(1, 2)
    logits = torch.bmm(rows.expand(PARTS, *rows.shape), table)
    return logits.transpose(0, 1).reshape(*hidden.shape[:-1], -1)
