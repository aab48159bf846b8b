"""Matrix products by oneDNN, on processors of which MKL leaves half unused.

torch multiplies float32 matrices with MKL, which on processors that are not Intel's takes its AVX2 kernels even where
they have AVX-512. oneDNN, the other library in torch, takes what the processor has: products are two to three times as
fast there. Both sum in float32 and round differently, as two processors do, so records name it.

This module loads torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel

CPUINFO = Path("/proc/cpuinfo")
AVX512 = "AVX512"


class OneDnnLinear(nn.Linear):
    """A linear layer whose products in float32 without gradients are oneDNN's; all others are torch's own."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        weight = self.weight
        differentiable = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
        # The layer may have been converted or moved since it was chosen.
        if differentiable or not (_fits(weight) and _fits(input)) or not input.numel():
            return super().forward(input)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, self.bias, "none", [], "")
        return product


def use_faster_products(lm: LanguageModel) -> None:
    """Let the linear layers of a loaded model multiply with oneDNN where that is faster; weights stay as they are."""
    if not onednn_is_faster():
        return
    for layer in _modules(lm):
        # Subclasses have a product of their own; what does not fit would pass through here for nothing.
        if type(layer) is nn.Linear and _fits(layer.weight):
            layer.__class__ = OneDnnLinear


def device_name(lm: LanguageModel) -> str:
    """The model's devices as `lm.device_name`, with oneDNN where it multiplies: cpu (AVX512, oneDNN)."""
    if any(isinstance(layer, OneDnnLinear) for layer in _modules(lm)):
        return lm.device_name.replace(f"({AVX512})", f"({AVX512}, oneDNN)")
    return lm.device_name


def _fits(tensor: Tensor) -> bool:
    """Return whether a tensor is what MKL would multiply: float32, on the CPU."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _modules(lm: LanguageModel) -> Iterator[nn.Module]:
    """The modules of a model of transformers; other engines have none."""
    model = getattr(lm.engine, "model", None)
    return model.modules() if isinstance(model, nn.Module) else iter(())


@cache
def onednn_is_faster() -> bool:
    """Return whether the processor has AVX-512 that MKL does not use, and this build of torch both libraries."""
    return (
        torch.backends.cpu.get_cpu_capability() == AVX512
        and vendor() not in ("", "GenuineIntel")
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def vendor(cpuinfo: Path = CPUINFO) -> str:
    """The vendor of the processor, such as "AuthenticAMD"; empty where Linux does not say it."""
    if sys.platform != "linux" or not cpuinfo.is_file():
        return ""
    with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
