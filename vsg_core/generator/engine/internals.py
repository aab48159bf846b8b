"""Model internals (hidden states, logit lens, position tables) and two baselines.

The baselines are an untrained twin and transformers' own `generate`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from vsg_core.errors import NotApplicable
from vsg_core.generator.engine.forward import PaddedEngine, keyword
from vsg_core.generator.engine.split import (
    detached,
    device_of,
    is_offloaded,
    offloaded_as_float64,
    placed_like,
)

# Runs one pass of a causal model over a batch, with the model's options as keywords, and returns its output.
Pass: TypeAlias = Callable[..., Any]
# Names that architectures give to the norm between their last layer and their head.
FINAL_NORMS = (
    "norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "final_norm", "ln_out", "embedding_norm",
)  # fmt: skip
# Names under which models keep the part that has that norm.
BODIES = ("decoder", "language_model", "text_model", "model", "transformer", "backbone")
# Names of settings that scale the logits; a self-check finds out whether a model has others.
SCALES: dict[str, Callable[[float], float]] = {
    "logit_scale": lambda scale: scale,
    "logits_scaling": lambda scale: 1 / scale,
    "lm_head_multiplier": lambda scale: scale,
}


def last_hidden_states(engine: PaddedEngine, run: Pass) -> Tensor:
    """Hidden states [batch, layers + 1, hidden] float32 at the last position of a pass over a batch.

    The embedding comes first; the last is as the head sees it, after the final norm.

    Raises:
        NotApplicable: an encoder-decoder, whose decoder does not read the sequence; or an architecture that gives
            none, or gives others than its head sees.
    """
    if engine.is_encoder_decoder:
        raise NotApplicable("an encoder-decoder has no decoder hidden states at its prompt")
    if not engine.paths.states:
        raise NotApplicable(
            f"{type(engine.model).__name__} does not give the hidden states that its head sees"
        )
    output = run(output_hidden_states=True)
    return torch.stack([layer[:, -1].to(engine.device) for layer in output.hidden_states], dim=1).float()


def final_states(engine: PaddedEngine, run: Pass) -> Tensor:
    """Hidden states [batch, hidden] float32 at the last position of a pass over a batch, before the final norm.

    Raises:
        NotApplicable: an encoder-decoder, whose decoder does not read the sequence; or an architecture whose final norm
            is not known, or whose logits it and the head do not give.
    """
    if engine.is_encoder_decoder:
        raise NotApplicable("an encoder-decoder has no decoder hidden states at its prompt")
    norm = final_norm(engine.model)
    if not engine.paths.lens:
        raise NotApplicable(f"final norm and head do not give the logits of {type(engine.model).__name__}")
    seen: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        run()
    finally:
        handle.remove()
    return seen[-1][:, -1].to(engine.device).float()


def lens(engine: PaddedEngine, hidden_states: Tensor) -> Tensor:
    """The logit lens (nostalgebraist, 2020): final norm, then head, with the model's own caps and scales of logits.

    Hidden states [..., hidden] of any layer but the last -> logits [..., vocab] float32.

    Raises:
        NotApplicable: the architecture's final norm is not known, or these steps do not give its logits.
    """
    model = engine.model
    norm = final_norm(model)
    if not engine.paths.lens:
        raise NotApplicable(f"final norm and head do not give the logits of {type(model).__name__}")
    with torch.no_grad():
        return head_logits(engine, norm(hidden_states.to(engine.device, model.dtype)))


def head_logits(engine: PaddedEngine, hidden: Tensor) -> Tensor:
    """The logits [..., vocab] float32 from what the head sees [..., hidden], scaled and capped as configured."""
    config = engine.model.config.get_text_config()
    logits: Tensor = engine.fitted(engine.model.get_output_embeddings()(hidden).float().to(engine.device))
    for name, scale in SCALES.items():
        factor = scale(getattr(config, name, None) or 1.0)
        # Most models have none of them, and a product with 1 copies the logits
        if factor != 1:
            logits = logits * factor
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * (logits / cap).tanh() if cap else logits


def final_norm(model: PreTrainedModel) -> torch.nn.Module:
    """Return the norm between the last layer and the head.

    Raises:
        NotApplicable: the architecture's name for it is not known.
    """
    bodies: list[torch.nn.Module] = [model.base_model]
    for body in bodies:
        modules = dict(body.named_children())
        norm = next((modules[name] for name in FINAL_NORMS if name in modules), None)
        if norm is not None:
            return norm
        bodies.extend(modules[name] for name in BODIES if name in modules)
    raise NotApplicable(f"{type(model).__name__} has none of the final norms {', '.join(FINAL_NORMS)}")


def head_table(model: PreTrainedModel) -> Tensor:
    """[vocab, hidden] the rows of the head, whose products with a last hidden state are the logits.

    Raises:
        NotApplicable: the model's head is not a table.
    """
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        raise NotApplicable(f"the head of {type(model).__name__} is not a table of rows")
    return detached(head, device_of(model.get_input_embeddings()))


def untrained(model: PreTrainedModel, seed: int, initial: Mapping[str, Any]) -> PreTrainedModel:
    """Build a model of the same configuration, updated with `initial`, with random weights drawn as it says."""
    config = copy.deepcopy(model.config)
    config.update(dict(initial))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(config)
    return placed_like(fresh, model)


@contextmanager
def float64(model: PreTrainedModel) -> Iterator[None]:
    """Convert weights and buffers to float64 inside the block, and restore them bit for bit afterwards.

    On a device without float64 (MPS) the model moves to the CPU. An architecture that computes a part in float32
    explicitly, as some do their norms, still does.
    """
    if is_offloaded(model):
        with offloaded_as_float64(model):
            yield
        return
    tensors = [each for each in chain(model.parameters(), model.buffers()) if each.is_floating_point()]
    before = [(each.device, each.dtype) for each in tensors]
    try:
        # One by one: both copies of all would take three times the memory of the weights.
        for each in tensors:
            each.data = each.data.to("cpu" if each.device.type == "mps" else each.device, torch.float64)
        yield
    finally:
        for each, (device, dtype) in zip(tensors, before, strict=True):
            each.data = each.data.to(device, dtype)


def library_scores(engine: PaddedEngine, inputs: Tensor, **options: Any) -> Tensor:
    """The scores [batch, vocab] float32 from which transformers' `generate` picks its first token.

    The model's own generation defaults are ignored: only `options` are set.

    Args:
        inputs: ids [batch, seq] or embeddings [batch, seq, hidden], not padded.
    """
    model, inputs = engine.model, inputs.to(engine.device)
    config = GenerationConfig(
        max_new_tokens=1,
        do_sample=False,
        pad_token_id=0,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    own, model.generation_config = model.generation_config, GenerationConfig()
    batch, length = inputs.shape[:2]
    try:
        with engine.metered(batch * (length + 1)):
            output: Any = model.generate(
                **{keyword(inputs): inputs},
                attention_mask=torch.ones(batch, length, dtype=torch.long, device=engine.device),
                generation_config=config,
            )
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise NotApplicable(
            f"transformers' generate does not run on {type(model).__name__} ({type(error).__name__}: {reason})"
        ) from error
    finally:
        model.generation_config = own
    return engine.fitted(output.scores[0].float())
