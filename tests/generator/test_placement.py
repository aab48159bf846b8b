"""Choose where a model goes: the first card that holds it, else all cards, else a refusal with the numbers."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from vsg_core.errors import NotEnoughMemory
from vsg_core.generator.engine import memory, placement
from vsg_core.generator.engine.packing import bytes_of
from vsg_core.generator.engine.placement import as_devices, chosen, device_map

GB = 10**9


@pytest.fixture(scope="module")
def sketch() -> LlamaForCausalLM:
    """A model of 8 layers and 1.9 billion parameters, without memory for them."""
    config = LlamaConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=8,
        num_attention_heads=32,
        num_key_value_heads=32,
        vocab_size=32000,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


@pytest.mark.parametrize(
    ("needed", "free", "cards"),
    [(10, [20, 20], [0]), (10, [5, 20], [1]), (10, [8, 8], [0, 1]), (10, [1, 2, 3], [0, 1, 2])],
)
def test_one_card_is_taken_where_one_suffices(needed: int, free: list[int], cards: list[int]) -> None:
    assert chosen(needed, free) == cards


def test_the_layers_are_shared_out_evenly(sketch: LlamaForCausalLM) -> None:
    places = device_map(sketch, torch.float32, [6 * GB, 6 * GB])
    layers = [places[f"model.layers.{number}"] for number in range(8)]
    assert layers == sorted(layers)
    assert 3 <= layers.count(0) <= 5
    assert places["lm_head"] == 1


def test_a_smaller_card_takes_a_smaller_part(sketch: LlamaForCausalLM) -> None:
    places = device_map(sketch, torch.float32, [8 * GB, 4 * GB])
    layers = [places[f"model.layers.{number}"] for number in range(8)]
    assert layers.count(0) > layers.count(1) > 0


def test_a_packed_model_is_counted_as_packed(sketch: LlamaForCausalLM) -> None:
    """The layers in 4 bits, table and head in 2 bytes."""
    table = 32000 * 4096
    assert bytes_of(sketch, torch.bfloat16) == 2 * sum(weight.numel() for weight in sketch.parameters())
    assert 2 * 2 * table < bytes_of(sketch, torch.bfloat16, "nf4") < 0.5 * bytes_of(sketch, torch.bfloat16)
    assert len(set(device_map(sketch, torch.bfloat16, [GB * 13 // 10] * 2, "nf4").values())) == 2


def test_layers_that_fit_on_no_card_are_refused_with_the_numbers(sketch: LlamaForCausalLM) -> None:
    with pytest.raises(NotEnoughMemory, match=r"cuda:0 has 1\.0 GB and cuda:1 has 2\.0 GB free"):
        device_map(sketch, torch.float32, [GB, 2 * GB])


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cards with 6 and 5 GB free, as far as the choice of devices asks for them."""
    monkeypatch.setattr(placement, "as_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    free = {"cuda:0": 6 * GB, "cuda:1": 5 * GB, "cuda": 6 * GB}
    for module in (placement, memory):
        monkeypatch.setattr(module, "available", free.__getitem__)


@pytest.mark.usefixtures("two_cards")
def test_the_sum_of_the_cards_counts() -> None:
    assert as_devices("auto", "small", 2 * GB) == [torch.device("cuda:0")]
    assert as_devices("auto", "large", 8 * GB) == [torch.device("cuda:0"), torch.device("cuda:1")]
    with pytest.raises(
        NotEnoughMemory,
        match=r"huge needs about 24\.6 GB .*cuda:0 has 6\.0 GB and cuda:1 has 5\.0 GB free, 11\.0 GB in all",
    ):
        as_devices("auto", "huge", 20 * GB)


@pytest.mark.usefixtures("two_cards")
def test_a_device_that_is_named_is_the_only_one() -> None:
    with pytest.raises(NotEnoughMemory, match=r"cuda has 6\.0 GB free: close"):
        as_devices("cuda", "large", 8 * GB)
