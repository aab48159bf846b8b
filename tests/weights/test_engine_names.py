"""The names of records of a second engine, and those that only look like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsg_core.weights import loading
from vsg_core.weights.engine_names import engine_of, is_as_is, model_of, on_second_engine
from vsg_core.weights.registry import Local


@pytest.mark.parametrize(
    ("name", "model", "engine"),
    [
        ("gpt2", "gpt2", "transformers"),
        ("gpt2+llama.cpp", "gpt2", "llama.cpp"),
        ("gpt2+llama.cpp-as-is", "gpt2", "llama.cpp, weights as is"),
        ("gpt2+llama.cpp-1a2b3c4d", "gpt2-1a2b3c4d", "llama.cpp"),
        ("gpt2+llama.cpp-as-is-1a2b3c4d5e6f7a8b", "gpt2-1a2b3c4d5e6f7a8b", "llama.cpp, weights as is"),
        ("gpt2+llama.cpp-1a2b3c4d5e", "gpt2+llama.cpp-1a2b3c4d5e", "transformers"),
        ("gpt2+adapter", "gpt2+adapter", "transformers"),
        ("gpt2+adapter+llama.cpp", "gpt2+adapter", "llama.cpp"),
        ("gpt2+llama.cpp-adapter", "gpt2+llama.cpp-adapter", "transformers"),
        ("gpt2+llama.cpp+adapter", "gpt2+llama.cpp+adapter", "transformers"),
        ("a+llama_cpp", "a+llama_cpp", "transformers"),
        ("llama.cpp", "llama.cpp", "transformers"),
    ],
)  # fmt: skip
def test_a_name_says_model_and_engine(name: str, model: str, engine: str) -> None:
    assert (model_of(name), engine_of(name)) == (model, engine)
    assert on_second_engine(name) == (engine != "transformers")
    assert is_as_is(name) == engine.endswith("as is")


def test_an_adapter_does_not_take_the_name_of_an_engine(
    tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "check_adapter", lambda folder: None)
    adapter = tmp_path / "llama.cpp"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    base = loading.describe(tiny_llama)
    entry = loading._adapted(base, Local(adapter))
    assert entry.name == f"{base.name}+llama.cpp-adapter"
    assert not on_second_engine(entry.name)
