"""Gradients with respect to the vectors that a model reads, against those of transformers and autograd alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.architectures import as_input, every_architecture, tiny
from tests.support.decoding import CLOSE, ids
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import NotApplicable, WrongUse

PROMPTS = [ids(5), ids(3, seed=1)]


def surprise(targets: torch.Tensor) -> Any:
    """The loss: minus the logarithm of the probability of each input's target."""
    return lambda logits, rows: -logits.log_softmax(-1).gather(-1, targets[rows].unsqueeze(-1)).squeeze(-1)


def states(lm: LanguageModel) -> Any:
    """The states after the prompts, one by one, so that models without batches have them too."""
    return [next(iter(lm.prefill([prompt], room=3)))[1] for prompt in PROMPTS]


def reference_gradient(
    lm: LanguageModel, prompt: torch.Tensor, vectors: torch.Tensor, target: int
) -> torch.Tensor:
    """By transformers and autograd, of one sequence alone in one pass: no batch, no mask, no cache.

    Args:
        vectors: [positions, hidden] after the prompt; to the decoder for an encoder-decoder.
    """
    model, fed = engine_of(lm).model, vectors.clone().requires_grad_()
    if lm.engine.is_encoder_decoder:
        given = as_input(lm, list(prompt)) | as_input(lm, [torch.tensor(1), *fed], "decoder_")
    else:
        given = as_input(lm, [*prompt, *fed])
    logits = model(**given, use_cache=False).logits[0, -1].masked_fill(~lm.is_token, -torch.inf)
    (gradient,) = torch.autograd.grad(-logits.log_softmax(-1)[target], fed)
    return gradient


@every_architecture
@pytest.mark.parametrize("positions", [1, 2])
def test_gradients_are_those_of_a_single_pass(architecture, positions):
    """For two rows of one state, each with its own vectors and its own loss."""
    lm, targets = tiny(architecture), [7, 11]
    for prompt, state in zip(PROMPTS, states(lm), strict=True):
        vectors = lm.embed(ids(2, positions, seed=2)) + lm.noise(2, positions)
        _, gradients = lm.gradients_after(
            state, torch.tensor([0, 0]), vectors, surprise(torch.tensor(targets))
        )
        for own, given, target in zip(gradients, vectors, targets, strict=True):
            expected = reference_gradient(lm, prompt, given, target)
            assert expected.norm() > 1e-2, "nothing is tested"
            torch.testing.assert_close(own, expected, **CLOSE)


@every_architecture
def test_losses_are_those_of_the_logits_and_nothing_is_left_behind(architecture):
    """The logits are those after the same vector without gradients, before and afterwards; the weights have none."""
    lm, targets = tiny(architecture), torch.tensor([7, 11, 13])
    state, rows = states(lm)[0], torch.tensor([0, 0, 0])
    vectors = lm.embed(ids(3, seed=2))
    plain = lm.logits_after(state, rows, vectors)
    losses, _ = lm.gradients_after(state, rows, vectors.unsqueeze(1), surprise(targets))
    torch.testing.assert_close(losses, surprise(targets)(plain, torch.arange(3)), **CLOSE)
    again = lm.logits_after(state, rows, vectors)
    assert torch.equal(again, plain), "the state has changed"
    assert not again.requires_grad
    assert all(weight.grad is None and weight.requires_grad for weight in engine_of(lm).model.parameters())


def test_gradients_of_parts_are_those_of_the_whole(monkeypatch):
    """Rows that memory holds only one by one have the same losses and gradients."""
    lm, targets = tiny("llama"), torch.tensor([7, 11, 13])
    state, vectors = states(lm)[0], tiny("llama").embed(ids(3, 2, seed=2))
    arguments: Any = (state, torch.tensor([0, 0, 0]), vectors, surprise(targets))
    whole = lm.gradients_after(*arguments)
    monkeypatch.setattr("vsg_core.generator.engine.batching.MAX_BATCH", 1)
    for one, parts in zip(whole, lm.gradients_after(*arguments), strict=True):
        torch.testing.assert_close(parts, one, **CLOSE)


def test_gradients_where_none_are_wanted_otherwise():
    """Inside no_grad and inference_mode too; a pass afterwards keeps nothing."""
    lm, targets = tiny("gpt2"), torch.tensor([7])
    state, vectors = states(lm)[0], lm.embed(ids(1, 1, seed=2))
    arguments: Any = (state, torch.tensor([0]), vectors, surprise(targets))
    expected = lm.gradients_after(*arguments)[1]
    with torch.no_grad():
        torch.testing.assert_close(lm.gradients_after(*arguments)[1], expected)
    assert not lm.next_logits(PROMPTS).requires_grad


def test_weights_have_gradients_again_after_an_error():
    lm = tiny("llama")
    state, vectors = states(lm)[0], lm.embed(ids(1, 1, seed=2))

    def fails(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        raise KeyError

    with pytest.raises(KeyError):
        lm.gradients_after(state, torch.tensor([0]), vectors, fails)
    assert all(weight.requires_grad for weight in engine_of(lm).model.parameters())
    assert not engine_of(lm).differentiable


def test_a_model_without_gradients_is_not_applicable(monkeypatch):
    """One that overwrites what the gradient needs is refused with its name."""
    lm = tiny("llama")
    state, vectors = states(lm)[0], lm.embed(ids(1, 1, seed=2))

    def overwritten(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        likely = logits.softmax(-1)
        loss = likely.square().sum(-1)
        likely.zero_()
        return loss

    with pytest.raises(NotApplicable, match="LlamaForCausalLM gives no gradients"):
        lm.gradients_after(state, torch.tensor([0]), vectors, overwritten)


@pytest.mark.parametrize("shape", [(1, 32), (2, 1, 32), (1, 1, 31)])
def test_vectors_of_another_shape_are_refused(shape):
    lm = tiny("llama")
    with pytest.raises(WrongUse, match="give vectors"):
        lm.gradients_after(states(lm)[0], torch.tensor([0]), torch.zeros(shape), surprise(torch.tensor([7])))
