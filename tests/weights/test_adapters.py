"""A PEFT adapter on its base: BASE+ADAPTER, merged where that is exact, identified by both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.engines import engine_of
from tests.support.weight_sources import COMMIT
from vsg_core import LanguageModel, load_model
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.weights import hub, loading
from vsg_core.weights.registry import Hub, Local

SEQUENCES = [[3, 4, 5], [6, 7, 8, 9, 10]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_unreachable", None)
    return tmp_path / "hub"


def adapted(base: Path, **settings: Any) -> Any:
    """Put a random LoRA on a model."""
    peft = pytest.importorskip("peft", reason="the extra peft is not installed")
    from transformers import AutoModelForCausalLM

    config = peft.LoraConfig(**{"r": 2, "target_modules": ["q_proj", "down_proj"], **settings})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


@pytest.fixture
def adapter(tmp_path: Path, tiny_llama: Path) -> Path:
    folder = tmp_path / "Tuned"
    adapted(tiny_llama).save_pretrained(folder)
    return folder


def expected(base: Path, ids: list[int], **settings: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = adapted(base, **settings)(torch.tensor([ids])).logits[0, -1]
    return logits


def test_an_adapter_is_applied_and_both_are_identified(tiny_llama: Path, adapter: Path) -> None:
    """In float32 it is merged, so that the model is a plain one."""
    lm = load_model(f"{tiny_llama}+{adapter}")
    assert lm.name == "tiny-random+tuned"
    assert type(engine_of(lm).model).__name__ == "LlamaForCausalLM"
    assert not any("lora" in name for name, _ in engine_of(lm).model.named_parameters())
    for ids, logits in zip(SEQUENCES, lm.next_logits(SEQUENCES), strict=True):
        assert torch.allclose(logits, expected(tiny_llama, ids), atol=1e-5)
    base = load_model(tiny_llama)
    assert not torch.allclose(lm.next_logits(SEQUENCES), base.next_logits(SEQUENCES), atol=1e-2)
    assert lm.identity["sha256"] not in (None, base.identity["sha256"])
    assert lm.identity["source"] == f"folder {tiny_llama} + folder {adapter}"
    entry = loading.describe(f"{tiny_llama}+{adapter}")
    assert loading.weights_id(entry) == lm.identity["sha256"]


def test_the_digest_depends_on_the_adapter_and_on_the_base(
    tiny_llama: Path, other_llama: Path, adapter: Path
) -> None:
    first = loading.weights_id(loading.describe(f"{tiny_llama}+{adapter}"))
    assert loading.weights_id(loading.describe(f"{other_llama}+{adapter}")) != first
    adapted(tiny_llama, lora_alpha=3).save_pretrained(adapter)
    assert loading.weights_id(loading.describe(f"{tiny_llama}+{adapter}")) != first


def test_in_half_precision_the_adapter_stays_apart(tiny_llama: Path, adapter: Path) -> None:
    """Merging would round the sum."""
    lm = load_model(f"{tiny_llama}+{adapter}", dtype="bfloat16")
    assert any("lora" in name for name, _ in engine_of(lm).model.named_parameters())
    off = lm.next_logits(SEQUENCES)[0] - expected(tiny_llama, SEQUENCES[0])
    assert off.abs().max() < 0.1


@pytest.mark.parametrize("embeddings", [False, True])
def test_a_table_that_is_also_the_head_is_not_merged(
    tmp_path: Path, tiny_llama: Path, embeddings: bool
) -> None:
    """Merging what an adapter adds to the table would change the head too."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tied, folder = shutil.copytree(tiny_llama, tmp_path / "tied"), tmp_path / "on-table"
    config = AutoConfig.from_pretrained(tiny_llama, tie_word_embeddings=True)
    with torch.random.fork_rng():
        AutoModelForCausalLM.from_config(config).save_pretrained(tied)
    adapted(tied, target_modules=["embed_tokens"]).save_pretrained(folder, save_embedding_layers=embeddings)
    lm = load_model(f"{tied}+{folder}")
    wanted = expected(tied, SEQUENCES[1], target_modules=["embed_tokens"])
    assert torch.allclose(lm.next_logits(SEQUENCES)[1], wanted, atol=1e-5)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path, tiny_llama: Path, adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(
        VsgError, match=r"does not belong to LlamaForCausalLM: base_model\..*is not in the other"
    ):
        load_model(f"{tiny_llama}+{adapter}")


def test_virtual_tokens_are_refused(tmp_path: Path, tiny_llama: Path) -> None:
    peft = pytest.importorskip("peft", reason="the extra peft is not installed")
    from transformers import AutoModelForCausalLM

    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_llama), config).save_pretrained(
        tmp_path / "soft"
    )
    with pytest.raises(VsgError, match=r"\(PROMPT_TUNING\) that adds virtual tokens to the prompt"):
        load_model(f"{tiny_llama}+{tmp_path / 'soft'}")


def test_without_peft_the_command_that_gets_it_is_named(
    tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(WrongUse, match=r"an adapter needs the library peft.*: pip install peft$"):
        load_model(f"{tiny_llama}+{written(tmp_path / 'tuned')}")


def written(folder: Path, **files: str) -> Path:
    """Write a folder that looks like an adapter."""
    folder.mkdir()
    about = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "someone/base"})
    for name, text in {"adapter_config.json": about, "adapter_model.safetensors": "", **files}.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "base", "own"),
    [
        ("{base}+{adapter}", "{base}", "{adapter}"),
        ("gpt2+{adapter}", "gpt2", "{adapter}"),
        ("someone/base@v1+{adapter}", "someone--base@v1", "{adapter}"),
        ("gpt2+someone/tuned", "gpt2", "someone/tuned"),
        ("gpt2+someone/tuned@v2", "gpt2", "someone/tuned@v2"),
    ],
)
def test_a_plus_sign_joins_a_base_and_an_adapter(
    tmp_path: Path, tiny_llama: Path, name: str, base: str, own: str
) -> None:
    """The folders' names contain plus signs too."""
    model, tuned = shutil.copytree(tiny_llama, tmp_path / "a+b"), written(tmp_path / "c+d")
    name = name.format(base=model, adapter=tuned)
    entry = loading.describe(name)
    repo, _, revision = own.partition("@")
    assert entry.adapter == (Local(tuned) if "{" in own else Hub(repo, revision or "main"))
    shown = "c-d" if "{" in own else own.replace("/", "--")
    assert entry.name == f"{'a-b' if '{' in base else base}+{shown}"
    assert loading.target_of(entry, name) == name


def test_an_existing_path_with_a_plus_sign_is_that_model(tmp_path: Path, tiny_llama: Path) -> None:
    written(tmp_path / "b")
    model = shutil.copytree(tiny_llama, tmp_path / "a+b")
    assert loading.describe(model).adapter is None


@pytest.mark.parametrize(
    ("file", "message"),
    [("adapter_config.json", "has no adapter_config.json"), ("adapter_model.safetensors", "it has a pickle")],
)
def test_what_is_not_an_adapter_is_named(tmp_path: Path, file: str, message: str) -> None:
    folder = written(tmp_path / "tuned", **{"adapter_model.bin": ""})
    (folder / file).unlink()
    with pytest.raises(VsgError, match=message):
        loading.describe(f"gpt2+{folder}")


def test_an_adapter_in_the_hubs_cache_is_applied_offline(
    cache: Path, tiny_llama: Path, adapter: Path
) -> None:
    home = cache / "models--someone--tuned"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    shutil.copytree(adapter, home / "snapshots" / COMMIT)
    lm = load_model(f"{tiny_llama}+someone/tuned")
    assert lm.name == "tiny-random+someone--tuned"
    assert torch.allclose(lm.next_logits(SEQUENCES)[0], expected(tiny_llama, SEQUENCES[0]), atol=1e-5)
    entry = loading.describe(f"{tiny_llama}+someone/other")
    assert not loading.weights_here(entry)
    with pytest.raises(WeightsUnavailable, match=r"the adapter of .* is unavailable: hub someone/other"):
        load_model(f"{tiny_llama}+someone/other")


def test_an_adapter_in_memory_is_the_same_as_from_its_folder(tiny_llama: Path, adapter: Path) -> None:
    lm = load_model(f"{tiny_llama}+{adapter}")
    brought = LanguageModel(adapted(tiny_llama), lm.tokenizer)
    assert torch.allclose(brought.next_logits(SEQUENCES), lm.next_logits(SEQUENCES), atol=1e-5)
