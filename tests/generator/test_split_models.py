"""A model whose layers are placed apart by accelerate's hooks gives the numbers of the model in one place, bit for bit.

Two devices need two cards; offloading to disk and to memory runs the same hooks on the CPU.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model  # type: ignore[import-untyped]
from torch import Tensor

from tests.support.architectures import tokenizer
from tests.sweep.building import build
from vsg_core import LanguageModel, nearest_tokens
from vsg_core.errors import NotApplicable, VsgError

CPU = torch.device("cpu")
SEQUENCES = [[5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 5], [5, 6]]
LAYER = re.compile(r"(layers|h|block)\.(\d+)$")
# Modules outside the layers that are offloaded too: tables, norms and the head.
OUTER = re.compile(r"embed|wte|wpe|norm|ln_f|lm_head")


@cache
def plain(architecture: str) -> Any:
    torch.manual_seed(0)
    return build(architecture)


def map_of(model: Any, outer: bool) -> dict[str, str]:
    """Place every second layer on disk, and the modules outside the layers if `outer`."""
    layers = {name: int(found[2]) for name, _ in model.named_modules() if (found := LAYER.search(name))}
    places = {name: "cpu" if number % 2 else "disk" for name, number in layers.items()}
    names = (name for name, _ in (*model.named_parameters(remove_duplicate=False), *model.named_buffers()))
    for module in (name.rpartition(".")[0] for name in names):
        if not any(f"{module}.".startswith(f"{layer}.") for layer in layers):
            places[module] = "disk" if outer and OUTER.search(module) else "cpu"
    return places


def dispatched(outer: bool) -> Callable[[Any, Path], Any]:
    def place(model: Any, folder: Path) -> Any:
        keys = model._skip_keys_device_placement
        places = map_of(model, outer)
        return dispatch_model(
            model, places, offload_dir=folder, main_device="cpu", skip_keys=keys, force_hooks=True
        )

    return place


PLACED: dict[str, Callable[[Any, Path], Any]] = {
    "layers on disk": dispatched(False),
    "layers, tables and head on disk": dispatched(True),
    "all in memory": lambda model, folder: cpu_offload(model, execution_device=CPU),
    "all on disk": lambda model, folder: disk_offload(model, folder, execution_device=CPU),
}


def numbers(lm: LanguageModel) -> Iterator[tuple[str, Tensor]]:
    """Everything that a claim may ask of a model."""
    logits = lm.next_logits(SEQUENCES)
    yield "logits", logits
    vectors = [lm.embed(torch.tensor(ids)) for ids in SEQUENCES]
    yield "logits from vectors", lm.next_logits(vectors)
    mixed = lm.mix(logits.softmax(-1))
    yield "mixtures", mixed
    yield "nearest", nearest_tokens(lm, mixed)[1]
    (_, state), *_ = lm.prefill([ids[:2] for ids in SEQUENCES], room=3)
    yield "cached step of ids", lm.step(state, torch.tensor([5, 6, 7])).logits
    branch = lm.select(state, torch.tensor([2, 0, 0]))
    yield "cached step of vectors", lm.step(branch, mixed).logits
    yield "head's input", branch.hidden
    yield "generate", torch.tensor([each.ids for each in lm.generate(SEQUENCES, 4)])
    yield "table", lm.embedding_table
    yield "head", lm.head_table
    if lm.position_table is not None:
        yield "positions", lm.position_table
    yield "library", lm.library_scores(SEQUENCES)
    if not lm.engine.is_encoder_decoder:
        states = lm.hidden_states(SEQUENCES)
        yield "hidden states", states
        yield "lens", lm.lens(states[:, 1])
    with lm.untrained() as twin:
        yield "untrained", twin.next_logits(SEQUENCES)
    with lm.in_float64():
        yield "float64", lm.next_logits(SEQUENCES)
    yield "after float64", lm.next_logits(SEQUENCES)


@cache
def expected(architecture: str) -> tuple[Any, dict[str, Tensor]]:
    lm = LanguageModel(copy.deepcopy(plain(architecture)), tokenizer())
    return lm.engine.paths, dict(numbers(lm))


@pytest.mark.parametrize("placed", PLACED.values(), ids=PLACED.keys())
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text", "qwen2", "llama tied", "t5"])
def test_a_split_model_gives_the_same_bits(
    architecture: str, placed: Callable[[Any, Path], Any], tmp_path: Path
) -> None:
    """The self-check finds the same paths, and every measurement is equal, in float64 and after it too."""
    lm = LanguageModel(placed(copy.deepcopy(plain(architecture)), tmp_path), tokenizer())
    paths, wanted = expected(architecture)
    assert lm.engine.paths == paths
    assert lm.device_name.endswith("offloaded")
    found = dict(numbers(lm))
    assert [name for name, value in wanted.items() if not found[name].equal(value)] == []
    assert found.keys() == wanted.keys()


def test_nan_in_a_layer_on_disk_is_found(tmp_path: Path) -> None:
    model = copy.deepcopy(plain("llama"))
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(VsgError, match=r"contain NaN or infinity \(model\.layers\.0\.mlp\.up_proj\.weight\)"):
        LanguageModel(dispatched(False)(model, tmp_path), tokenizer())


def test_a_weight_that_nothing_loads_is_refused() -> None:
    model = copy.deepcopy(plain("llama"))
    model.model.layers[1].mlp.to("meta")
    with pytest.raises(VsgError, match=r"model\.layers\.1\.mlp\.\w+\.weight is on the meta device"):
        LanguageModel(model, tokenizer())


def test_what_does_not_apply_to_a_whole_model_does_not_apply_to_a_split_one(tmp_path: Path) -> None:
    lm = LanguageModel(dispatched(True)(copy.deepcopy(plain("t5")), tmp_path), tokenizer())
    with pytest.raises(NotApplicable, match="encoder-decoder"):
        lm.hidden_states(SEQUENCES)
