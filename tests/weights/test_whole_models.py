"""A folder loads as the model that it names, with every tensor in its place, or is refused in one line."""

from __future__ import annotations

import json
import os
import pty
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    Qwen3_5Config,
    Qwen3_5ForCausalLM,
    Qwen3_5ForConditionalGeneration,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from tests.support.folders import Alter, alter, refusal
from vsg_core.errors import VsgError
from vsg_core.generator import engine
from vsg_core.weights import loading
from vsg_core.weights.forms import folder_form

LAYER = "model.layers.1.self_attn.q_proj"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))


def opened(folder: Path) -> Any:
    return engine.open_model(folder, torch.float32, "cpu")


@pytest.mark.parametrize(
    "kind", [LlamaForSequenceClassification, LlamaModel], ids=lambda kind: str(kind.__name__)
)
def test_a_checkpoint_with_another_head_is_refused_by_name(
    tmp_path: Path, tiny_llama: Path, kind: Any
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "model")
    kind.from_pretrained(tiny_llama).save_pretrained(folder)
    assert f"is {kind.__name__}, not LlamaForCausalLM" in refusal(folder)


@pytest.mark.parametrize(
    "name",
    [
        "LlamaForRewardModel", "LlamaForTokenClassification", "LlamaForQuestionAnswering", "MistralForCausalLM",
        "BertForMaskedLM", "MyLlama",
    ],
)  # fmt: skip
def test_an_architecture_that_would_not_be_loaded_is_refused_by_name(altered: Alter, name: str) -> None:
    assert f"is {name}, not LlamaForCausalLM" in refusal(altered({"architectures": [name]}))


@pytest.mark.parametrize("names", [None, [], ["LLaMAForCausalLM"], "LlamaForCausalLM"])
def test_an_architecture_spelt_in_other_capitals_or_not_named_loads(altered: Alter, names: Any) -> None:
    assert type(opened(altered({"architectures": names}))) is LlamaForCausalLM


@pytest.mark.parametrize("named", [True, False])
def test_a_masked_language_model_is_refused(tmp_path: Path, tiny_llama: Path, named: bool) -> None:
    config = BertConfig(
        vocab_size=18, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    shutil.copy(tiny_llama / "tokenizer.json", tmp_path / "bert")
    folder = alter(tmp_path / "bert", tmp_path / "model", {} if named else {"architectures": None}, {}, {})
    assert "BertForMaskedLM" in refusal(folder)


@pytest.mark.parametrize("kind", ["vit", "clip", "whisper", "llava", "qwen2_vl"])
def test_a_model_of_another_modality_is_refused(altered: Alter, kind: str) -> None:
    folder = altered({"model_type": kind, "architectures": ["SomeModel"]})
    assert "is SomeModel, which is not a language model that predicts the next token" in refusal(folder)


@pytest.fixture(scope="module")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    folder = tmp_path_factory.mktemp("t5") / "model"
    config = T5Config(vocab_size=18, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    shutil.copy(tiny_llama / "tokenizer.json", folder)
    return folder


def test_an_encoder_decoder_loads(tiny_t5: Path) -> None:
    assert type(opened(tiny_t5)) is T5ForConditionalGeneration


def test_an_encoder_alone_is_refused(tmp_path: Path, tiny_t5: Path) -> None:
    folder = shutil.copytree(tiny_t5, tmp_path / "model")
    T5EncoderModel.from_pretrained(tiny_t5).save_pretrained(folder)
    assert "is T5EncoderModel, which is not a language model" in refusal(folder)


def test_fewer_layers_than_the_file_has_are_refused(altered: Alter) -> None:
    message = refusal(altered({"num_hidden_layers": 1}))
    assert "does not take (model.layers.1." in message
    assert message.endswith("and 8 more): config.json sets num_hidden_layers to 1")


def test_more_layers_than_the_file_has_are_refused(altered: Alter) -> None:
    assert "lacks weights of its architecture (model.layers.2." in refusal(altered({"num_hidden_layers": 3}))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{LAYER}.lora_A.weight", "an adapter is not merged: merge_and_unload"),
        (f"{LAYER}.weight_scale", "the weights are quantised"),
        (f"{LAYER}.input_scale", "the weights are quantised"),
        (f"{LAYER}.qweight", "the weights are quantised"),
        ("v_head.summary.weight", "config.json describes another model"),
        ("score.weight", "config.json describes another model"),
        (f"{LAYER}.bias", "config.json describes another model"),
    ],
)
def test_a_tensor_that_nothing_takes_is_named(altered: Alter, name: str, reason: str) -> None:
    message = refusal(altered(tensors={name: torch.ones(1)}))
    assert f"does not take ({name}): {reason}" in message


def test_tied_weights_that_differ_are_refused(altered: Alter) -> None:
    message = refusal(altered({"tie_word_embeddings": True}))
    assert (
        "ties lm_head.weight to model.embed_tokens.weight, but the weights have both, and they differ"
        in message
    )


def test_a_copy_of_a_tied_table_is_one_table(altered: Alter, tiny_llama: Path) -> None:
    table = load_file(tiny_llama / "model.safetensors")["model.embed_tokens.weight"]
    model = opened(altered({"tie_word_embeddings": True}, tensors={"lm_head.weight": table}))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_two_tensors_for_one_parameter_are_refused(altered: Alter) -> None:
    message = refusal(altered(tensors={"embed_tokens.weight": torch.zeros(18, 16)}))
    assert "both model.embed_tokens.weight of the model" in message


@pytest.mark.parametrize(
    ("config", "shapes"),
    [
        (
            {"vocab_size": 20},
            r"embed_tokens.weight of shape [18, 16], but its config.json describes [20, 16]",
        ),
        ({"num_key_value_heads": 1}, "[16, 16], but its config.json describes [8, 16]"),
        ({"head_dim": 4}, "describes"),
        ({"intermediate_size": 31}, "describes"),
        ({"hidden_size": 8, "head_dim": None}, "describes"),
    ],
)
def test_shapes_that_disagree_are_refused(altered: Alter, config: dict[str, Any], shapes: str) -> None:
    message = refusal(altered(config))
    assert shapes in message or "config.json describes" in message


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn])
def test_packed_weights_that_nothing_unpacks_are_refused(altered: Alter, dtype: torch.dtype) -> None:
    message = refusal(altered(tensors={f"{LAYER}.weight": torch.ones(16, 16).to(dtype)}))
    assert f"{LAYER}.weight as " in message
    assert "no quantization_config" in message


@pytest.mark.parametrize(
    "setting",
    [
        {"hidden_size": 2**40}, {"hidden_size": 2**20}, {"vocab_size": 10**12}, {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 1000}, {"intermediate_size": 10**9}, {"vocab_size": -1}, {"num_attention_heads": 0},
        {"num_hidden_layers": "two"}, {"rope_scaling": {"rope_type": "no such"}}, {"hidden_act": "no such"},
        {"hidden_size": 10**30}, {"vocab_size": 2**62},
    ],
    ids=str,
)  # fmt: skip
def test_an_impossible_configuration_is_refused_at_once(altered: Alter, setting: dict[str, Any]) -> None:
    folder = altered(setting)
    start = time.perf_counter()
    refusal(folder)
    assert time.perf_counter() - start < 3


@pytest.fixture(scope="module")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    folder = tmp_path_factory.mktemp("gpt2") / "model"
    GPT2LMHeadModel(GPT2Config(vocab_size=18, n_embd=16, n_layer=1, n_head=2, n_positions=8)).save_pretrained(
        folder
    )
    shutil.copy(tiny_llama / "tokenizer.json", folder)
    return folder


def test_the_constants_of_an_old_upload_are_left_out(tmp_path: Path, tiny_gpt2: Path) -> None:
    old = {
        "h.0.attn.bias": torch.ones(8, 8).tril().view(1, 1, 8, 8),
        "h.0.attn.masked_bias": torch.tensor(-1e4),
    }
    assert type(opened(alter(tiny_gpt2, tmp_path / "model", {}, {}, old))) is GPT2LMHeadModel


def test_a_mask_that_is_not_causal_is_refused(tmp_path: Path, tiny_gpt2: Path) -> None:
    folder = alter(tiny_gpt2, tmp_path / "model", {}, {}, {"h.0.attn.bias": torch.ones(1, 1, 8, 8)})
    assert "has h.0.attn.bias, which differs from what GPT2LMHeadModel computes" in refusal(folder)


DEEP = {
    "vocab_size": 18, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
    "first_k_dense_replace": 99, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}  # fmt: skip


@pytest.mark.parametrize(("layers", "loads"), [(61, True), (60, False)])
def test_a_layer_that_predicts_further_tokens_is_left_out_and_no_other(
    tmp_path: Path, tiny_llama: Path, layers: int, loads: bool
) -> None:
    """The library leaves out layer 61 of DeepSeek V3, which is not part of the next token's logits."""
    config = DeepseekV3Config(**DEEP, num_hidden_layers=layers)
    DeepseekV3ForCausalLM(config).save_pretrained(tmp_path / "deep")
    shutil.copy(tiny_llama / "tokenizer.json", tmp_path / "deep")
    further = {"model.layers.61.eh_proj.weight": torch.ones(16, 32)}
    folder = alter(tmp_path / "deep", tmp_path / "model", {"num_nextn_predict_layers": 1}, {}, further)
    if loads:
        assert opened(folder).config.num_hidden_layers == layers
    else:
        assert "does not take (model.layers.61.eh_proj.weight)" in refusal(folder)


def test_the_text_model_of_one_that_reads_images_loads_by_itself(tmp_path: Path, tiny_llama: Path) -> None:
    """Its logits for text are those of the whole model."""
    text = {
        "vocab_size": 18, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "linear_num_value_heads": 2, "linear_num_key_heads": 2,
        "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    }  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "depth": 1, "num_heads": 2, "out_hidden_size": 16}
    whole = Qwen3_5ForConditionalGeneration(Qwen3_5Config(text_config=text, vision_config=vision)).eval()
    whole.save_pretrained(tmp_path / "model")
    alone, ids = opened(tmp_path / "model").eval(), torch.arange(6).unsqueeze(0)
    assert type(alone) is Qwen3_5ForCausalLM
    with torch.no_grad():
        assert torch.equal(alone(input_ids=ids).logits, whole(input_ids=ids).logits)


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_rotary_frequencies_of_the_file_must_be_those_of_the_configuration(
    altered: Alter, base: float
) -> None:
    frequencies = base ** -(torch.arange(0, 8, 2) / 8)
    folder = altered(tensors={"model.layers.0.self_attn.rotary_emb.inv_freq": frequencies})
    if base == 10_000.0:
        assert opened(folder).config.num_hidden_layers == 2
    else:
        assert "rotary_emb.inv_freq, which differs" in refusal(folder)


@pytest.mark.parametrize(
    "method", ["gptq", "awq", "compressed-tensors", "torchao", "hqq", "quanto", "aqlm", "vptq"]
)
def test_a_quantised_checkpoint_names_the_package_or_the_hardware(altered: Alter, method: str) -> None:
    stated = {
        "quant_method": method,
        "bits": 4,
        "group_size": 32,
        "quant_type": "int4_weight_only",
        "weights": "int4",
    }
    folder = altered(
        {"quantization_config": stated}, tensors={f"{LAYER}.qweight": torch.ones(2, dtype=torch.int32)}
    )
    message = refusal(folder)
    assert f"quantised by {method}, which cannot be loaded" in message
    assert "pip install" in message or "GPU" in message


@pytest.mark.parametrize(
    ("config", "files", "reason"),
    [
        ({"quantization_config": {"quant_method": "magic"}}, {}, "'magic', which transformers does not know"),
        ({"quantization_config": {"bits": 4}}, {}, "None, which transformers does not know"),
        ({"quantization_config": "awq"}, {}, "'awq', which is not an object"),
        ({"quantization": {"bits": 4}}, {}, "in quantization, which is not read"),
        ({"compression_config": {"format": "x"}}, {}, "in compression_config, which is not read"),
        ({"vision_config": {"quantization_config": {"bits": 4}}}, {}, "vision_config.quantization_config"),
        ({}, {"quantize_config.json": "{}"}, "quantize_config.json states a quantisation"),
        ({}, {"hf_quant_config.json": "{}"}, "hf_quant_config.json states a quantisation"),
    ],
)
def test_a_quantisation_that_is_not_read_is_refused(
    altered: Alter, config: dict[str, Any], files: dict[str, str | None], reason: str
) -> None:
    packed = {f"{LAYER}.qweight": torch.ones(2, dtype=torch.int32)}
    assert reason in refusal(altered(config, files, packed))


def test_a_quantisation_of_dense_weights_is_refused(altered: Alter) -> None:
    message = refusal(altered({"quantization_config": {"quant_method": "fp8"}}))
    assert "states fp8 weights, but all tensors are dense (F32)" in message


@pytest.mark.parametrize(
    ("stated", "form", "quantised"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq 4-bit", True),
        ({"quant_method": "fp8"}, "fp8", True),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes 4-bit", True),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"input_activations": {"num_bits": 16},
          "weights": {"num_bits": 8}}}}, "compressed-tensors 8-bit", True),
        ({"quant_method": "aqlm"}, "aqlm", True),
    ],
)  # fmt: skip
def test_the_form_of_packed_weights_states_their_bits(
    altered: Alter, stated: dict[str, Any], form: str, quantised: bool
) -> None:
    found = folder_form(altered({"quantization_config": stated}))
    assert (found.form, found.quantised) == (form, quantised)


@pytest.fixture(params=["terminal", "closed"])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[str]]:
    """Give the process a terminal, or an input that is closed."""
    main, other = pty.openpty()
    with os.fdopen(other, encoding="utf-8") as given:
        if request.param == "closed":
            given.close()
        monkeypatch.setattr("sys.stdin", given)
        yield given
    os.close(main)


CODE = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"


@pytest.mark.parametrize(
    ("config", "tokenizer", "loads"),
    [
        (
            {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}},
            {},
            False,
        ),
        ({"auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}, {}, True),
        ({"auto_map": {"AutoModelForCausalLM": "code.M"}, "architectures": ["MyLlama"]}, {}, False),
        ({"model_type": "mine"}, {}, False),
        ({}, {"auto_map": {"AutoTokenizer": [None, "code.T"]}, "tokenizer_class": "Mine"}, False),
        ({}, {"auto_map": ["code.T", None], "tokenizer_class": "Mine"}, False),
        (
            {},
            {"auto_map": {"AutoTokenizer": ["code.T", None]}, "tokenizer_class": "PreTrainedTokenizerFast"},
            True,
        ),
        ({"attn_implementation": "someone/kernel"}, {}, False),
    ],
)
def test_code_of_a_folder_is_neither_run_nor_offered(
    altered: Alter, terminal: IO[str], config: dict[str, Any], tokenizer: dict[str, Any], loads: bool
) -> None:
    """Asking would block here: nothing answers on the terminal."""
    folder = altered(
        config, {"code.py": CODE, "processor_config.json": '{"auto_map": {"AutoProcessor": "code.P"}}'}
    )
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | tokenizer))
    start = time.perf_counter()
    if loads:
        loading.load_model(folder)
    else:
        refusal(folder)
    assert time.perf_counter() - start < 3
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "LlamaTokenizer"])
def test_a_tokenizer_class_that_does_not_fit_its_file_is_refused(
    tiny_llama: Path, tmp_path: Path, name: str
) -> None:
    """The library would build another tokenizer from the vocabulary alone, and every text would have other ids."""
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": name}))
    with pytest.raises(VsgError, match=r"correct tokenizer_class in tokenizer_config\.json"):
        loading.load_model(folder)
