"""Folders that people bring and that are not one whole model: each refused in one line that names the reason."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.support.folders import Alter, refusal
from vsg_core.errors import VsgError
from vsg_core.weights import loading


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))


ADAPTER = json.dumps({"base_model_name_or_path": "someone/base", "peft_type": "LORA"})
GONE = {"config.json": None, "model.safetensors": None}


def test_an_adapter_names_its_base_and_how_to_merge_it(altered: Alter) -> None:
    files = {**GONE, "adapter_config.json": ADAPTER, "adapter_model.safetensors": ""}
    message = refusal(altered(files=files))
    assert "is an adapter (LORA) of someone/base, not a whole model" in message
    assert "give BASE+ADAPTER, such as someone/base+/" in message


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.bin", "adapter_model.safetensors"])
def test_an_adapter_next_to_weights_is_not_silently_left_out(altered: Alter, file: str) -> None:
    message = refusal(altered(files={file: ADAPTER}))
    assert "has weights and an adapter" in message
    assert f"move {file} out" in message


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("pytorch_model.bin", "pickles .pytorch_model.bin., which can run code; .* save_pretrained"),
        ("pytorch_model-00001-of-00002.bin", "pickles"),
        ("consolidated.00.pth", "original Llama format"),
        ("consolidated.safetensors", "Mistral's own format"),
        ("tf_model.h5", "TensorFlow weights .tf_model.h5."),
        ("flax_model.msgpack", "Flax"),
        ("model.onnx", "ONNX"),
        ("model.nemo", "NeMo"),
        ("weights.npz", "MLX"),
        ("model.fp16.safetensors", "weights are read from model.safetensors"),
        ("last.ckpt", "pickles"),
        ("__0_0.distcp", "shards of a training run"),
    ],
)
def test_weights_of_another_kind_are_named(altered: Alter, file: str, reason: str) -> None:
    folder = altered(files={"model.safetensors": None, file: "x"})
    with pytest.raises(VsgError, match=reason):
        loading.describe(folder)


def test_an_embedding_model_is_refused(altered: Alter) -> None:
    assert "embedding model of sentence-transformers" in refusal(altered(files={"modules.json": "[]"}))


def test_the_folder_that_is_meant_is_named(tmp_path: Path, tiny_llama: Path) -> None:
    shutil.copytree(tiny_llama, tmp_path / "run" / "checkpoint-500")
    with pytest.raises(VsgError, match=r"give .*run/checkpoint-500"):
        loading.describe(tmp_path / "run")


@pytest.mark.parametrize(
    "file", ["model-00002-of-00002.safetensors", "lora.safetensors", "v_head.safetensors"]
)
def test_safetensors_that_nothing_reads_are_refused(altered: Alter, file: str) -> None:
    assert f"has {file}, which is not read" in refusal(altered(files={file: ""}))


def test_the_second_copy_of_mistral_is_left_alone(altered: Alter) -> None:
    loading.describe(altered(files={"consolidated.safetensors": ""}))


def sharded(folder: Path, **index: str) -> Path:
    """Split the weights into two files with an index, which is then changed."""
    whole = load_file(folder / "model.safetensors")
    names = sorted(whole)
    parts = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for file, held in parts.items():
        save_file({name: whole[name] for name in held}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    listed = {name: file for file, held in parts.items() for name in held} | index
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return folder


def test_shards_load(altered: Alter) -> None:
    assert loading.load_model(sharded(altered())).engine.hidden_size == 16


@pytest.mark.parametrize("file", ["../b.safetensors", "/etc/b.safetensors", "sub/b.safetensors", "b.bin"])
def test_an_index_that_leads_out_of_the_folder_is_refused(altered: Alter, file: str) -> None:
    assert f"lists {file!r}, which is not" in refusal(sharded(altered(), **{"lm_head.weight": file}))


def test_an_index_that_names_what_a_shard_lacks_is_refused(altered: Alter) -> None:
    message = refusal(sharded(altered(), **{"lm_head.weight": "b.safetensors"}))
    assert "lists lm_head.weight, but b.safetensors does not hold it" in message


def test_a_missing_shard_is_named(altered: Alter) -> None:
    folder = sharded(altered())
    (folder / "b.safetensors").unlink()
    assert "has no b.safetensors" in refusal(folder)


def test_a_tensor_in_two_shards_is_refused(altered: Alter) -> None:
    folder = sharded(altered())
    held = load_file(folder / "a.safetensors")["lm_head.weight"]
    whole = {**load_file(folder / "b.safetensors"), "lm_head.weight": held + 1}
    save_file(whole, folder / "b.safetensors", metadata={"format": "pt"})
    assert "has lm_head.weight twice, in a.safetensors and b.safetensors" in refusal(folder)


def test_a_single_file_next_to_an_index_of_others_is_refused(altered: Alter, tiny_llama: Path) -> None:
    folder = sharded(altered())
    shutil.copy(tiny_llama / "model.safetensors", folder)
    assert "has both model.safetensors and model.safetensors.index.json" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError"),
        ("\ufeff{}", "BOM"),
        ('{"a": NaN}', "holds NaN"),
        ('{"vocab_size": 1, "vocab_size": 2}', "'vocab_size' is there twice"),
        ("[" * 100_000, "RecursionError"),
        ("null", "does not contain a JSON object"),
        ('{"model_type": ["llama"]}', "which is not a name"),
    ],
)
def test_a_damaged_configuration_is_one_line(altered: Alter, text: str, reason: str) -> None:
    assert reason in refusal(altered(files={"config.json": text}))


def test_bytes_that_are_not_text_are_one_line(altered: Alter) -> None:
    folder = altered()
    (folder / "config.json").write_bytes(b"\xff\xfe{")
    assert "UnicodeDecodeError" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "is a folder"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to(path.name), "is a link that leads nowhere"),
        (lambda path: path.symlink_to("nowhere"), "is a link that leads nowhere"),
    ],
)
def test_what_is_not_a_file_is_named(
    altered: Alter, name: str, make: Callable[[Path], object], reason: str
) -> None:
    folder = altered(files={name: None})
    make(folder / name)
    assert f"{name} {reason}" in refusal(folder)


def test_an_empty_weight_file_is_named(altered: Alter) -> None:
    folder = altered(files={"model.safetensors": ""})
    assert "model.safetensors is not a complete safetensors file" in refusal(folder)
