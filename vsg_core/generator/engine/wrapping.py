"""The transformers model inside what a caller brings: compiled, parallel, with an adapter, or bare."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from vsg_core.errors import WrongUse

# Where wrappers keep the module that they call: torch.compile, then DataParallel and its kin.
INNER = ("_orig_mod", "module")


def unwrapped(model: Any) -> PreTrainedModel:
    """Return the transformers model itself, whose signature, configuration and hooks the engine needs.

    Raises:
        WrongUse: there is none, part of it is not in memory, or its wrapper computes something else.
    """
    inner = model
    while not isinstance(inner, PreTrainedModel):
        following = next((found for name in INNER if (found := getattr(inner, name, None)) is not None), None)
        if following is None and hasattr(inner, "get_base_model"):
            following = _adapted(inner)
        if not isinstance(following, torch.nn.Module):
            raise WrongUse(
                f"{type(model).__name__} is not a language model of transformers: give one that "
                "AutoModelForCausalLM or AutoModelForSeq2SeqLM loads"
            )
        inner = following
    absent = next((name for name, weight in inner.named_parameters() if weight.is_meta), None)
    if absent is not None:
        raise WrongUse(
            f"{type(inner).__name__} is offloaded: {absent} is not in memory; load the model whole, without device_map"
        )
    return inner


def head_of(model: PreTrainedModel) -> torch.nn.Module:
    """Return the module that turns the last hidden state into logits.

    Raises:
        WrongUse: the model has none.
    """
    head: torch.nn.Module | None = model.get_output_embeddings()
    if head is None:
        raise WrongUse(
            f"{type(model).__name__} has no language-model head: load it with AutoModelForCausalLM, or "
            "AutoModelForSeq2SeqLM for an encoder-decoder"
        )
    return head


def _adapted(wrapper: Any) -> Any:
    """Return the base model of a PEFT wrapper, whose layers hold the adapter.

    Raises:
        WrongUse: the adapter is in the wrapper and not in the layers, such as virtual tokens of a prompt.
    """
    base = wrapper.get_base_model()
    ids = torch.arange(4, device=base.device).unsqueeze(0)  # [1, 4]
    training = wrapper.training
    wrapper.eval()
    with torch.no_grad():
        whole, inside = (model(input_ids=ids).logits.float() for model in (wrapper, base))
    wrapper.train(training)
    if whole.shape != inside.shape or not torch.allclose(whole, inside, rtol=1e-4, atol=1e-4):
        raise WrongUse(
            f"the adapter of {type(wrapper).__name__} is not in the layers of {type(base).__name__} (virtual tokens of "
            "a prompt?): only adapters that can be merged into the weights are measured"
        )
    return base
