"""The form of a model's weights (Q4_K_M, bfloat16, ...), and whether head and embedding table are tied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsg_core.generator.engine.headers import INDEX, tensors, weight_files
from vsg_core.vocabulary import form_bits, is_quantised
from vsg_core.weights.folders import config_of
from vsg_core.weights.quantised import bits_of, quantisation

# One name per type, the same for GGUF files and safetensors.
NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
# llama.cpp's name for a file whose writer stated no type.
GUESSED = "GUESSED"
HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True)
class WeightsForm:
    """The form of published weights, before anything is dequantised or converted.

    Args:
        form: Q4_K_M, Q4_1, bfloat16, float32, ...
        tied: whether output head and embedding table are one matrix.
        file: the GGUF, the safetensors, or the index of several safetensors.
    """

    form: str
    tied: bool
    file: str

    @property
    def quantised(self) -> bool:
        """True if a weight has fewer than 16 bits, or the form is a method that does not state its bits."""
        return is_quantised(self.form) or form_bits(self.form) is None


def folder_form(folder: Path) -> WeightsForm:
    """Read the form of a model folder from the headers of its safetensors and its configuration.

    Raises:
        VsgError: the folder is damaged.
    """
    config = config_of(folder)
    listed = list(tensors(folder))
    form = _declared(quantisation(config)) or most(
        (NAMES.get(tensor.dtype, tensor.dtype.lower()), tensor.elements) for tensor in listed
    )
    tied = config.get("tie_word_embeddings")
    if tied is None:
        tied = not any(tensor.name.endswith(HEADS) for tensor in listed)
    file = INDEX if (folder / INDEX).is_file() else weight_files(folder)[0].name
    return WeightsForm(form, bool(tied), file)


def gguf_form(file_type: str | None, tensor_types: Iterable[tuple[str, int]]) -> str:
    """Name the form of a GGUF file.

    Args:
        file_type: llama.cpp's name for the header's general.file_type, such as MOSTLY_Q4_K_M; None if absent.
        tensor_types: the type and the number of elements of every tensor.
    """
    name = (file_type or GUESSED).removeprefix("MOSTLY_").removeprefix("ALL_")
    if name == GUESSED:
        name = most(tensor_types)
    return NAMES.get(name, name)


def most(types: Iterable[tuple[str, int]]) -> str:
    """Return the type that most elements have."""
    counts: Counter[str] = Counter()
    for name, elements in types:
        counts[name] += elements
    return max(counts, key=counts.__getitem__)


def _declared(quantization: Mapping[str, Any]) -> str | None:
    """Return the form that config.json declares, such as "gptq 4-bit"; packed weights have an unrelated dtype."""
    if not quantization:
        return None
    method, bits = str(quantization.get("quant_method", "quantised")), bits_of(quantization)
    return f"{method} {bits}-bit" if bits else method
