"""The float32 GGUF file for llama.cpp is written once, and completely or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vsg_core.errors import VsgError
from vsg_core.generator.llama_cpp import writing
from vsg_core.weights.llama_cpp_files import float32_gguf


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_written_once_per_weights(tiny_llama: Path, other_llama: Path) -> None:
    path = float32_gguf(tiny_llama)
    written = path.stat().st_mtime_ns
    assert float32_gguf(tiny_llama) == path
    assert path.stat().st_mtime_ns == written
    assert float32_gguf(other_llama) != path


def test_every_number_is_kept(tiny_llama: Path) -> None:
    from gguf import GGUFReader

    found = {
        tensor.name: torch.from_numpy(tensor.data.copy())
        for tensor in GGUFReader(float32_gguf(tiny_llama)).tensors
    }
    weights = load_file(tiny_llama / "model.safetensors")
    assert found["token_embd.weight"].equal(weights["model.embed_tokens.weight"])
    assert found["blk.1.ffn_down.weight"].equal(weights["model.layers.1.mlp.down_proj.weight"])
    # The same numbers in another order.
    assert (
        found["blk.0.attn_q.weight"]
        .flatten()
        .sort()[0]
        .equal(weights["model.layers.0.self_attn.q_proj.weight"].flatten().sort()[0])
    )
    assert len(found) == len(weights)


def test_a_failure_leaves_nothing(tiny_llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, name: str) -> torch.Tensor:
        raise VsgError(f"no {name}")

    monkeypatch.setattr(writing, "read_tensor", fail)
    with pytest.raises(VsgError, match="no "):
        float32_gguf(tiny_llama)
    assert not list((cache / "llama.cpp").iterdir())
