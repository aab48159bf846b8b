"""Weights rounded to few bits: by whole steps of their block, and not at all afterwards."""

from __future__ import annotations

import pytest
import torch

from tests.support.architectures import every_architecture, tiny
from tests.support.decoding import ids
from tests.support.engines import engine_of
from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.generator.engine import memory
from vsg_core.generator.engine.rounding import BLOCK, rounded

PROMPTS = [ids(5), ids(3, seed=1)]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("width", [32, 64, 40, 7])
def test_each_block_has_few_evenly_spaced_values(bits, width):
    """Whole multiples of one step, at most half a step from the weight; the largest weight stays."""
    weight = torch.randn(5, width, generator=torch.Generator().manual_seed(0))
    found = rounded(weight, bits)
    for row, own in zip(found, weight, strict=True):
        for new, old in zip(row.split(BLOCK), own.split(BLOCK), strict=True):
            most = 2 ** (bits - 1) - 1
            step = old.abs().max() / most
            multiples = new / step
            torch.testing.assert_close(multiples, multiples.round(), atol=1e-4, rtol=0)
            assert multiples.abs().max() <= most + 1e-4
            assert ((new - old).abs() <= step / 2 + 1e-6).all()
            largest = old.abs().argmax()
            torch.testing.assert_close(new[largest], old[largest])


def test_rounding_twice_is_rounding_once():
    """And a block of zeros stays as it is."""
    weight = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    weight[1, :32] = 0
    once = rounded(weight, 4)
    torch.testing.assert_close(rounded(once, 4), once)
    assert torch.equal(once[1, :32], torch.zeros(32))


@every_architecture
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_leaves_no_trace(architecture, dtype):
    """Inside, matrices are rounded and vectors are not, and logits differ; afterwards all is as before."""
    lm = tiny(architecture, dtype)
    model = engine_of(lm).model
    before = {name: each.clone() for name, each in model.named_parameters()}
    plain, table = lm.next_logits(PROMPTS), lm.embedding_table.clone()
    with lm.rounded(bits=3):
        for name, each in model.named_parameters():
            expected = rounded(before[name], 3) if each.dim() > 1 else before[name]
            assert torch.equal(each, expected), name
        assert not torch.allclose(lm.embedding_table, table)
        assert not torch.allclose(lm.next_logits(PROMPTS)[:, lm.is_token], plain[:, lm.is_token], atol=1e-2)
    for name, each in model.named_parameters():
        assert torch.equal(each, before[name]), name
    assert torch.equal(lm.embedding_table, table)
    assert torch.equal(lm.next_logits(PROMPTS), plain)


def test_more_bits_change_less():
    lm = tiny("llama")
    plain, changes = lm.next_logits(PROMPTS).log_softmax(-1), []
    for bits in (3, 5, 8):
        with lm.rounded(bits):
            found = lm.next_logits(PROMPTS).log_softmax(-1)
        changes.append((found - plain)[:, lm.is_token].abs().max().item())
    assert changes[0] > changes[1] > changes[2] > 0


def test_tied_weights_stay_tied():
    lm = tiny("llama tied")
    with lm.rounded(4):
        model = engine_of(lm).model
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_rounding_ends_after_an_error_too():
    lm = tiny("llama")
    table = lm.embedding_table.clone()
    with pytest.raises(KeyError), lm.rounded(4):
        raise KeyError
    assert torch.equal(lm.embedding_table, table)


@pytest.mark.parametrize("bits", [1, 0, 17])
def test_numbers_of_bits_that_make_no_sense_are_refused(bits):
    with pytest.raises(WrongUse, match=f"to {bits} bits"), tiny("llama").rounded(bits):
        pass


def test_weights_that_memory_does_not_hold_twice_are_not_rounded(monkeypatch):
    lm = tiny("llama")
    monkeypatch.setattr(memory, "available", lambda device: 0)
    with (
        pytest.raises(VsgError, match=r"LlamaForCausalLM rounded to 4 bits needs about .* free"),
        lm.rounded(4),
    ):
        pass


def test_packed_weights_are_not_rounded(monkeypatch):
    """As bitsandbytes keeps them: whole numbers of several weights each."""
    lm = tiny("llama").untrained()
    packed = torch.nn.Parameter(torch.zeros(4, 4, dtype=torch.uint8), requires_grad=False)
    engine_of(lm).model.register_parameter("packed", packed)
    with pytest.raises(NotApplicable, match="packed already"), lm.rounded(4):
        pass
