"""Gradients of what a model predicts with respect to the vectors that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vsg_core.errors import NotApplicable
from vsg_core.generator.engine.forward import PaddedEngine, PaddedState


def gradients_after(
    engine: PaddedEngine, state: PaddedState, inputs: Tensor, loss: Callable[[PaddedState], Tensor]
) -> tuple[Tensor, Tensor]:
    """Feed the next positions of each row; compute losses [batch] and their gradients [batch, n, hidden].

    Each row's gradient is that of its own loss. The weights get none.

    Args:
        state: changed by the step, and of no use afterwards.
        inputs: vectors [batch, n, hidden].
        loss: from the state after the step to the losses [batch].

    Raises:
        NotApplicable: the model changes in place what gradients are computed from.
    """
    inputs = inputs.detach().clone()
    with torch.inference_mode(False), torch.enable_grad(), _differentiable(engine):
        inputs.requires_grad_()
        losses = loss(engine.feed(state, inputs))
        try:
            (gradients,) = torch.autograd.grad(losses.sum(), inputs)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            reason = str(error).strip().splitlines()[0]
            raise NotApplicable(f"{type(engine.model).__name__} gives no gradients ({reason})") from error
    return losses.detach(), gradients


@contextmanager
def _differentiable(engine: PaddedEngine) -> Iterator[None]:
    """Let passes inside the block keep what gradients are computed from, while the weights are fixed."""
    weights = [weight for weight in engine.model.parameters() if weight.requires_grad]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        engine.differentiable = True
        yield
    finally:
        engine.differentiable = False
        for weight in weights:
            weight.requires_grad_()
