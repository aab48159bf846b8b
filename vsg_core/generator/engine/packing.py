"""Weights packed by bitsandbytes while they load: nf4 or int8 in the layers; tables, norms and head as they are."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from vsg_core.errors import WrongUse, first_line_of
from vsg_core.generator.engine.memory import PACKED_BYTES

Packing = Literal["nf4", "int8"]
INSTALL = "pip install bitsandbytes"


def packing_config(packing: Packing, dtype: torch.dtype) -> Any:
    """Return what from_pretrained needs to pack the weights.

    int8 rounds all inputs of a layer. Its usual exception for outliers (`llm_int8_threshold` 6) takes the columns from
    all positions of a pass, so that a later token would change earlier logits: the self-check refuses it.

    Raises:
        WrongUse: bitsandbytes is not installed, or does not run here.
    """
    try:
        with without_kernels():
            import bitsandbytes  # noqa: F401
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "bitsandbytes"
        why = "" if missing else f" ({type(error).__name__}: {first_line_of(error)})"
        raise WrongUse(
            f"{packing} weights need the library bitsandbytes, which is not available{why}: {INSTALL}"
        ) from None
    from transformers import BitsAndBytesConfig

    if packing == "nf4":
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)


def bytes_of(model: PreTrainedModel, dtype: torch.dtype, packing: Packing | None = None) -> int:
    """Bytes of the weights of a sketch once loaded; a tied one counts once."""
    tied, kinds = model.all_tied_weights_keys, packed_dtypes(model, packing)
    each = PACKED_BYTES[packing] if packing else 0.0
    return int(
        sum(
            weight.numel() * (each if name in kinds else dtype.itemsize)
            for name, weight in model.named_parameters()
            if name not in tied
        )
    )


def packed_dtypes(model: PreTrainedModel, packing: Packing | None) -> dict[str, Any]:
    """Return, for each weight that is packed, the type that accelerate counts it as."""
    from accelerate.utils import CustomDtype  # type: ignore[import-untyped]

    if packing is None:
        return {}
    kind = CustomDtype.INT4 if packing == "nf4" else torch.int8
    head = model.get_output_embeddings()
    return {
        f"{name}.weight": kind
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }


@contextmanager
def without_kernels() -> Iterator[None]:
    """Keep bitsandbytes from downloading code: with the package `kernels` installed, it fetches some from the hub.

    peft and transformers import it too.
    """
    logger = logging.getLogger("bitsandbytes")
    logger.setLevel(logging.ERROR)
    absent = "kernels" not in sys.modules
    if absent:
        sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["kernels"]
