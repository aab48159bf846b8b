"""Weights that bitsandbytes packs while loading: a model of its own name, form and numbers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.engines import engine_of
from vsg_core import load_model
from vsg_core.errors import VsgError, WrongUse
from vsg_core.vocabulary import is_quantised
from vsg_core.weights import loading, sources
from vsg_core.weights.products import OneDnnLinear

SEQUENCES = [[3, 4, 5], [6, 7, 8, 9, 10]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def wide_llama(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """Build a random Llama as wide as bitsandbytes needs on a processor."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = shutil.copytree(tiny_llama, tmp_path_factory.mktemp("models") / "wide-random")
    config = AutoConfig.from_pretrained(tiny_llama, hidden_size=64, intermediate_size=128, head_dim=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("packing", "layer"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_packed_weights_are_a_model_of_their_own(wide_llama: Path, packing: Any, layer: str) -> None:
    """Its layers are packed and its head and table are not; the self-check passes; the numbers differ a little."""
    pytest.importorskip("bitsandbytes", reason="the extra bitsandbytes is not installed")
    packed, whole = load_model(wide_llama, weights=packing), load_model(wide_llama)
    model = engine_of(packed).model
    kinds = {type(module).__name__ for module in model.model.layers.modules()}
    assert layer in kinds
    assert not kinds & {"Linear", "OneDnnLinear"}
    assert type(model.lm_head) in (torch.nn.Linear, OneDnnLinear)
    assert packed.name == f"wide-random-{packing}"
    assert (packed.identity["form"], packed.identity["quantised"]) == (packing, True)
    assert packed.engine.paths == whole.engine.paths
    difference = (packed.next_logits(SEQUENCES) - whole.next_logits(SEQUENCES)).abs().max()
    assert 0 < difference < 0.5
    vectors = [packed.embed(torch.tensor(ids)) for ids in SEQUENCES]
    assert torch.allclose(packed.next_logits(vectors), packed.next_logits(SEQUENCES), atol=1e-2)
    with packed.untrained() as twin:
        assert twin.next_logits(SEQUENCES).isfinite().any()


def test_an_adapter_on_packed_weights_stays_apart(tmp_path: Path, wide_llama: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra bitsandbytes is not installed")
    peft = pytest.importorskip("peft", reason="the extra peft is not installed")
    from transformers import AutoModelForCausalLM

    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(wide_llama), config).save_pretrained(
        tmp_path / "t"
    )
    lm = load_model(f"{wide_llama}+{tmp_path / 't'}", weights="nf4")
    assert lm.name == "wide-random+t-nf4"
    assert any("lora" in name for name, _ in engine_of(lm).model.named_parameters())


@pytest.mark.parametrize("packing", ["nf4", "int8"])
def test_without_bitsandbytes_the_command_that_gets_it_is_named(
    tiny_llama: Path, packing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(
        WrongUse, match=rf"{packing} weights need the library bitsandbytes.*: pip install bits"
    ):
        load_model(tiny_llama, weights=packing)


def test_the_description_has_the_form_and_a_name_of_its_own(tiny_llama: Path) -> None:
    entry = loading.describe("smollm2-135m-instruct", "nf4")
    assert (entry.name, entry.form) == ("smollm2-135m-instruct-nf4", "nf4 of Q4_1")
    assert is_quantised(entry.form or "")
    assert entry.sources == loading.describe("smollm2-135m-instruct").sources
    assert sources.packed_form("int8", "bfloat16") == "int8"


def test_weights_that_are_packed_already_are_refused(wide_llama: Path, tmp_path: Path) -> None:
    """A folder that states a quantisation is not packed a second time."""
    pytest.importorskip("bitsandbytes", reason="the extra bitsandbytes is not installed")
    lm = load_model(wide_llama, weights="nf4")
    engine_of(lm).model.save_pretrained(tmp_path / "packed")
    lm.tokenizer.save_pretrained(tmp_path / "packed")
    assert load_model(tmp_path / "packed").identity["quantised"]
    with pytest.raises(VsgError, match="are packed already: leave out --weights int8"):
        load_model(tmp_path / "packed", weights="int8")
