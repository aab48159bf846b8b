"""A PEFT adapter on a model: merged where that is exact, else computed next to the layers that it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.engine.foreign import foreign_errors
from vsg_core.generator.engine.packing import without_kernels
from vsg_core.generator.engine.split import device_of

WEIGHTS = "adapter_model.safetensors"
INSTALL = "pip install peft"
# Largest difference of two logits that is rounding, in standard deviations of the logits.
ROUNDING = 1e-3


def with_adapter(model: PreTrainedModel, folder: Path) -> Any:
    """Put the adapter of a folder on a model.

    It is merged into float32 weights. Others would round the sum, so there it stays apart.

    Raises:
        WrongUse: peft is not installed.
        VsgError: the adapter does not belong to this model, or is one that adds virtual tokens to the prompt.
    """
    try:
        with without_kernels():
            from peft import PeftConfig, PeftModel
    except ModuleNotFoundError as error:
        raise WrongUse(
            f"an adapter needs the library peft, which is not available ({error}): {INSTALL}"
        ) from None
    what = f"the adapter {folder} cannot be loaded"
    with foreign_errors(what):
        config = PeftConfig.from_pretrained(str(folder))
        if config.is_prompt_learning:
            raise VsgError(
                f"{folder} is an adapter ({config.peft_type.value}) that adds virtual tokens to the prompt: only what "
                "changes the model's layers is measured"
            )
        adapted = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
        adapted.eval()
        _check_taken(folder, adapted, load_file(folder / WEIGHTS))
    if model.dtype != torch.float32 or getattr(model, "hf_quantizer", None) or _changes_tied(model, adapted):
        return adapted
    before = _logits(adapted)
    with foreign_errors(f"the adapter {folder} cannot be merged"):
        merged = adapted.merge_and_unload()
    _check_same(folder, before, _logits(merged))
    return merged


def _check_taken(folder: Path, adapted: Any, file: dict[str, Tensor]) -> None:
    """Check that the adapter in the model is the one of the file: peft only warns of what it does not find.

    Raises:
        VsgError: a tensor of the file is not in the model, or one of the model is not in the file.
    """
    from peft import get_peft_model_state_dict

    needed = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    # A file may have the tables of the base too, where the adapter changes or enlarges them.
    own = get_peft_model_state_dict(adapted, save_embedding_layers=True)
    odd = sorted((needed.keys() - file.keys()) | (file.keys() - own.keys())) or sorted(
        name
        for name, value in file.items()
        if value.shape != own[name].shape or not value.to(own[name]).equal(own[name])
    )
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise VsgError(
            f"the adapter {folder} does not belong to {type(adapted.get_base_model()).__name__}: {odd[0]}{more} of one "
            "is not in the other; give the base model that it was trained on"
        )


def _changes_tied(model: PreTrainedModel, adapted: Any) -> bool:
    """Return whether the adapter changes a matrix that is both table and head: merging would change both."""
    tied = model.all_tied_weights_keys
    ends = {name.rpartition(".")[0].rpartition(".")[2] for pair in tied.items() for name in pair}
    changed = {name.rpartition(".")[2] for name in adapted.targeted_module_names}
    return bool(ends & changed)


def _logits(model: Any) -> Tensor:
    """Logits [4, vocab] of a short sequence."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    ids = torch.arange(4, device=device_of(inner.get_input_embeddings())).unsqueeze(0)
    given = {"input_ids": ids, **({"decoder_input_ids": ids} if inner.config.is_encoder_decoder else {})}
    inner.eval()
    with torch.no_grad():
        logits: Tensor = inner(**given).logits[0].float()
    return logits


def _check_same(folder: Path, before: Tensor, after: Tensor) -> None:
    off = ((after - before).abs().max() / before.std()).item()
    # NaN compares False.
    if not off <= ROUNDING:
        raise VsgError(
            f"merging the adapter {folder} changes the logits by {off:.2g} standard deviations: save the merged model "
            "to a folder and give that"
        )
