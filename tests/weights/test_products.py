"""Products by oneDNN: the same numbers up to rounding, chosen by the processor, and named in records."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.engines import engine_of
from vsg_core import load_model
from vsg_core.weights import products
from vsg_core.weights.products import OneDnnLinear, device_name, use_faster_products, vendor

AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\n"

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of torch has no oneDNN"
)


def layers(width: int, height: int, bias: bool) -> tuple[nn.Linear, nn.Linear]:
    """The same linear layer twice: torch's own, and one that multiplies with oneDNN."""
    own = nn.Linear(width, height, bias=bias)
    generator = torch.Generator().manual_seed(width * height)
    for weight in own.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    other = copy.deepcopy(own)
    other.__class__ = OneDnnLinear
    return own, other


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(64,), (1, 64), (3, 64), (2, 5, 64), (300, 64), (0, 64), (2, 0, 64)])
def test_products_are_those_of_float64_up_to_rounding(shape: tuple[int, ...], bias: bool) -> None:
    own, other = layers(64, 33, bias)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = copy.deepcopy(own).double()(inputs.double())
        found = other(inputs)
    assert found.shape == exact.shape
    assert found.dtype == torch.float32
    # 64 products of order 1, each off by at most an ulp of the sum.
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=64 * 2**-23 * 16)


def test_parts_of_other_tensors_are_multiplied() -> None:
    own, other = layers(64, 33, bias=True)
    whole = torch.randn(7, 9, 128, generator=torch.Generator().manual_seed(2))
    for inputs in (whole[:, ::2, 64:], whole[..., ::2], whole[:, :, :64].transpose(0, 1)):
        with torch.inference_mode():
            torch.testing.assert_close(other(inputs), own(inputs), rtol=0, atol=2e-4)


def test_gradients_are_torchs_own() -> None:
    own, other = layers(64, 33, bias=True)
    found = []
    for layer in (own, other):
        inputs = torch.ones(4, 64, requires_grad=True)
        layer(inputs).square().sum().backward()
        assert inputs.grad is not None
        found.append(inputs.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_torchs_own(dtype: torch.dtype) -> None:
    own, other = layers(64, 33, bias=True)
    inputs = torch.ones(4, 64, dtype=dtype)
    with torch.inference_mode():
        assert torch.equal(other.to(dtype)(inputs), own.to(dtype)(inputs))


def test_a_model_predicts_the_same_and_keeps_its_weights(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "onednn_is_faster", lambda: False)
    own = load_model(tiny_llama)
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    other = load_model(tiny_llama)
    sequences = [torch.arange(length) % 40 for length in (3, 17, 8)]
    predicted = [
        torch.cat([logits for _, state in lm.engine.start(sequences) for logits in state.logits])
        for lm in (own, other)
    ]
    torch.testing.assert_close(*predicted, rtol=0, atol=1e-5)
    kept = [engine_of(lm).model.state_dict() for lm in (own, other)]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(weight, kept[1][name]) for name, weight in kept[0].items())
    assert ", oneDNN" not in device_name(own)
    assert device_name(other) == own.device_name.replace("(AVX512)", "(AVX512, oneDNN)")


def test_layers_with_a_product_of_their_own_keep_it(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    lm = load_model(tiny_llama)
    linear = [layer for layer in engine_of(lm).model.modules() if isinstance(layer, nn.Linear)]
    assert linear
    assert all(type(layer) is OneDnnLinear for layer in linear)
    linear[0].__class__ = Doubled
    use_faster_products(lm)
    assert type(linear[0]) is Doubled


def test_a_model_in_another_dtype_is_left_alone(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    lm = load_model(tiny_llama, dtype="bfloat16")
    assert not any(isinstance(layer, OneDnnLinear) for layer in engine_of(lm).model.modules())
    assert device_name(lm) == lm.device_name


def test_the_vendor_is_the_processors(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert vendor(file) == ""
    file.write_text(AMD)
    assert vendor(file) == "AuthenticAMD"
    file.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert vendor(file) == ""


@pytest.mark.parametrize(
    ("capability", "made_by", "expected"),
    [
        ("AVX512", "AuthenticAMD", True),
        ("AVX512", "GenuineIntel", False),
        ("AVX2", "AuthenticAMD", False),
        ("AVX512", "", False),
    ],
)
def test_onednn_is_for_wide_processors_of_others(
    monkeypatch: pytest.MonkeyPatch, capability: str, made_by: str, expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(products, "vendor", lambda: made_by)
    assert products.onednn_is_faster.__wrapped__() is expected
