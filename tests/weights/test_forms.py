"""The form of weights, from GGUF headers, safetensors and configurations, and how it is put into words."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, GGUFWriter, LlamaFileType
from safetensors.torch import load_file, save_file

from tests.support.weight_sources import write_gguf
from vsg_core.errors import VsgError
from vsg_core.vocabulary import form_bits, form_text, is_quantised
from vsg_core.weights import gguf_files, loading, sources
from vsg_core.weights.forms import WeightsForm, folder_form, gguf_form


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("form", "words", "quantised"),
    [
        ("Q4_K_M", "4-bit", True),
        ("Q4_1", "4-bit", True),
        ("IQ2_XXS", "2-bit", True),
        ("TQ1_0", "1-bit", True),
        ("Q8_0", "8-bit", True),
        ("MXFP4_MOE", "4-bit", True),
        ("f8_e4m3", "8-bit", True),
        ("gptq 4-bit", "4-bit", True),
        ("float16", "16-bit", False),
        ("bfloat16", "16-bit", False),
        ("float32", "32-bit", False),
        ("awq", "awq", False),
    ],
)
def test_a_form_in_words(form: str, words: str, quantised: bool) -> None:
    assert form_text(form) == words
    assert is_quantised(form) == quantised


def test_every_form_of_llama_cpp_states_its_bits() -> None:
    names = [gguf_form(known.name, []) for known in LlamaFileType if known.name != "GUESSED"]
    assert all(form_bits(name) for name in names), names
    assert {"Q4_K_M", "float16", "bfloat16", "float32"} <= set(names)


def test_a_gguf_without_a_type_has_the_type_of_most_weights() -> None:
    assert gguf_form(None, [("F32", 10), ("Q4_0", 600), ("Q6_K", 500), ("F32", 100)]) == "Q4_0"
    assert gguf_form("GUESSED", [("BF16", 1)]) == "bfloat16"


def retyped(source: Path, target: Path, file_type: LlamaFileType) -> Path:
    """Copy a GGUF with a different type in its header."""
    reader, writer = GGUFReader(source), GGUFWriter(target, "llama")
    writer.add_file_type(file_type)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_the_header_states_the_form_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = retyped(write_gguf(tmp_path / "a.gguf"), tmp_path / "tiny-f16.gguf", LlamaFileType.MOSTLY_Q4_K_M)
    entry = loading.describe(path)
    assert (entry.form, entry.quantised) == ("Q4_K_M", True)


def test_a_gguf_of_another_form_than_the_registry_states_is_refused(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf")
    entry = replace(loading.describe(gguf), form="Q4_1")
    with pytest.raises(VsgError, match=r"holds float32 weights, but the registry states Q4_1"):
        sources.get(entry)


@pytest.mark.parametrize("noted", [True, False])
def test_the_form_of_a_conversion_is_that_of_its_gguf(tmp_path: Path, noted: bool) -> None:
    """A conversion made before the form was noted takes it from the GGUF."""
    gguf = write_gguf(tmp_path / "tiny.gguf")
    entry = loading.describe(gguf)
    assert entry.gguf
    sources.get(entry)
    note = gguf_files.converted(entry.gguf) / gguf_files.META
    about = json.loads(note.read_text())
    # Different from the float32 of the converted weights.
    about["form"] = "Q8_0"
    if not noted:
        del about["form"]
    note.write_text(json.dumps(about))
    expected = "Q8_0" if noted else "float32"
    assert loading.describe(gguf).form == expected
    identity = loading.load_model(gguf).identity
    assert (identity["form"], identity["file"], identity["tied"]) == (expected, "tiny.gguf", False)


@pytest.mark.parametrize(("dtype", "form"), [(torch.bfloat16, "bfloat16"), (torch.float16, "float16")])
def test_safetensors_have_the_type_of_most_weights(
    tmp_path: Path, tiny_llama: Path, dtype: torch.dtype, form: str
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    weights = {name: each.to(dtype) for name, each in load_file(folder / "model.safetensors").items()}
    weights["model.norm.weight"] = weights["model.norm.weight"].float()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert folder_form(folder).form == form
    assert loading.describe(folder).form == form


@pytest.mark.parametrize(
    ("declared", "form"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq 4-bit"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes 8-bit"),
        ({"quant_method": "fp8"}, "fp8"),
    ],
)
def test_a_declared_quantisation_is_the_form(
    tmp_path: Path, tiny_llama: Path, declared: dict[str, object], form: str
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": declared}))
    assert folder_form(folder).form == form
    assert folder_form(folder).quantised


@pytest.mark.parametrize(("stated", "tied"), [(True, True), (False, False), (None, None)])
def test_tied_comes_from_the_configuration_or_else_from_a_missing_head(
    tmp_path: Path, tiny_llama: Path, stated: bool | None, tied: bool | None
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    if stated is not None:
        config["tie_word_embeddings"] = stated
    (folder / "config.json").write_text(json.dumps(config))
    has_head = "lm_head.weight" in load_file(folder / "model.safetensors")
    assert folder_form(folder) == WeightsForm(
        "float32", not has_head if tied is None else tied, "model.safetensors"
    )
