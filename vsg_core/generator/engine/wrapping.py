"""The transformers model inside what a caller brings: compiled, parallel, with an adapter, or bare."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from vsg_core.errors import WrongUse
from vsg_core.generator.engine.split import absent_weight, device_of


def unwrapped(model: Any) -> PreTrainedModel:
    """Return the transformers model itself, whose signature, configuration and hooks the engine needs.

    Raises:
        WrongUse: there is none, part of it is not in memory, or a wrapper computes something else.
    """
    inner, wrappers = model, []
    while not isinstance(inner, PreTrainedModel):
        # torch.compile's wrapper runs the same module.
        compiled = getattr(inner, "_orig_mod", None)
        if compiled is None:
            wrappers.append(inner)
        inner = _inside(inner) if compiled is None else compiled
        if not isinstance(inner, torch.nn.Module):
            raise WrongUse(
                f"{type(model).__name__} is not a language model of transformers: give one that "
                "AutoModelForCausalLM or AutoModelForSeq2SeqLM loads"
            )
    absent = absent_weight(inner)
    if absent is not None:
        raise WrongUse(
            f"{type(inner).__name__} is not whole: {absent} is on the meta device, and no hook of accelerate loads it; "
            "load the model with from_pretrained"
        )
    for wrapper in wrappers:
        _check_same(wrapper, inner)
    return inner


def _inside(wrapper: Any) -> Any:
    """The module that a wrapper calls: that of DataParallel and its kin, or of PEFT; None if it has none."""
    module = getattr(wrapper, "module", None)
    return wrapper.get_base_model() if module is None and hasattr(wrapper, "get_base_model") else module


def _check_same(wrapper: torch.nn.Module, inner: PreTrainedModel) -> None:
    """Check that a wrapper gives the logits of the model inside it, whose layers then hold any adapter.

    Raises:
        WrongUse: it does not: it changes them, or feeds more than it is given, such as virtual tokens of a prompt.
    """
    ids = torch.arange(4, device=device_of(inner.get_input_embeddings())).unsqueeze(0)  # [1, 4]
    given = {"input_ids": ids, **({"decoder_input_ids": ids} if inner.config.is_encoder_decoder else {})}
    training = wrapper.training
    wrapper.eval()
    try:
        with torch.no_grad():
            whole, inside = (model(**given).logits.float() for model in (wrapper, inner))
        same = whole.shape == inside.shape and torch.allclose(whole, inside, rtol=1e-3, atol=1e-3)
    # A wrapper is the caller's code, and may fail in any way.
    except Exception:
        same = False
    finally:
        wrapper.train(training)
    if not same:
        raise WrongUse(
            f"{type(wrapper).__name__} computes something else than the {type(inner).__name__} inside it (other "
            "logits, virtual tokens of a prompt, ...): only what is merged into the model's layers is measured"
        )


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
