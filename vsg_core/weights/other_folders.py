"""Folders that hold something other than one whole model in safetensors: adapters, pickles, other frameworks."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from vsg_core.errors import VsgError
from vsg_core.generator.engine.headers import INDEX, SINGLE, read_json

ADAPTER = "adapter_config.json"
ADAPTERS = [ADAPTER, "adapter_model*", "adapters.safetensors", "adapters.npz", "pytorch_adapter.bin"]
MERGE = "give BASE+ADAPTER, such as {base}+{folder}"
CONVERT = "open it with AutoModelForCausalLM where you trust it, and save_pretrained to a new folder"
# What sentence-transformers adds to the language model that it pools.
EMBEDDING = ["modules.json", "config_sentence_transformers.json"]
# Files by which a folder without model.safetensors is recognised, in this order; {} is the file.
OTHERS = {
    "model_index.json": "it is a pipeline of diffusers ({}), not a language model",
    "consolidated*.pth": "it has the original Llama format ({}): convert it with transformers' convert script",
    "consolidated*.safetensors": "it has Mistral's own format ({}): download the model.safetensors files too",
    "pytorch_model*.bin": "it has pickles ({}), which can run code; only safetensors are loaded: " + CONVERT,
    "tf_model*.h5": "it has TensorFlow weights ({}); only safetensors are loaded",
    "saved_model.pb": "it has TensorFlow weights ({}); only safetensors are loaded",
    "*.ckpt.index": "it has TensorFlow weights ({}); only safetensors are loaded",
    "flax_model*.msgpack": "it has Flax weights ({}); only safetensors are loaded",
    "*.onnx": "it has an ONNX graph ({}); only safetensors are loaded",
    "openvino_model.xml": "it has an OpenVINO graph ({}); only safetensors are loaded",
    "*.nemo": "it has a NeMo archive ({}): export it to transformers first",
    "weights*.npz": "it has MLX weights ({}); only safetensors are loaded",
    "*.distcp": "it has the shards of a training run ({}): save_pretrained the whole model to a new folder",
    "shard-*.safetensors": "it has the shards of a distributed run ({}): save_pretrained the whole model",
    "*.safetensors": f"it has {{}}, but weights are read from {SINGLE} or {INDEX}",
    "*.pt": "it has pickles ({}), which can run code; only safetensors are loaded: " + CONVERT,
    "*.pth": "it has pickles ({}), which can run code; only safetensors are loaded: " + CONVERT,
    "*.ckpt": "it has pickles ({}), which can run code; only safetensors are loaded: " + CONVERT,
    "*.bin": "it has pickles ({}), which can run code; only safetensors are loaded: " + CONVERT,
}


def check_kind(folder: Path, names: list[str]) -> None:
    """Refuse a folder that holds an adapter, an embedding model, or only files that are not loaded.

    Args:
        names: the names of everything in the folder.

    Raises:
        VsgError: the message names what was found and what to do.
    """
    if adapters := _matching(names, ADAPTERS):
        raise VsgError(_adapter(folder, names, adapters[0]))
    if extras := _matching(names, EMBEDDING):
        raise VsgError(
            f"{folder} is an embedding model of sentence-transformers ({extras[0]}): it has no next token"
        )
    if SINGLE in names or INDEX in names:
        return
    for pattern, what in OTHERS.items():
        if found := _matching(names, [pattern]):
            raise VsgError(f"{folder} is not a folder of safetensors: {what.format(found[0])}")
    if "config.json" not in names and (inner := _inner(folder, names)):
        raise VsgError(f"{folder} has no config.json, but its folder {inner} does: give {folder / inner}")


def check_unread(folder: Path, names: list[str], read: set[str]) -> None:
    """Refuse safetensors that no part of loading would read: they may be part of the model.

    Args:
        read: the files that make up the model.

    Raises:
        VsgError: there is one, other than Mistral's second copy of the same weights.
    """
    files = [name for name in _matching(names, ["*.safetensors"]) if name not in read]
    if unread := [name for name in files if not fnmatch(name, "consolidated*.safetensors")]:
        listed = INDEX if INDEX in names else SINGLE
        raise VsgError(
            f"{folder} has {unread[0]}, which is not read ({listed} does not list it): move it out of the folder "
            "if the model is whole without it"
        )


def _adapter(folder: Path, names: list[str], file: str) -> str:
    """Say which base model an adapter needs, and how to merge it."""
    about = read_json(folder / ADAPTER) if ADAPTER in names else {}
    base, kind = about.get("base_model_name_or_path"), about.get("peft_type")
    what = f"an adapter ({kind or file}) of {base or 'a base model that it does not name'}"
    if "config.json" in names and (SINGLE in names or INDEX in names):
        return (
            f"{folder} has weights and {what}: which of the two models is meant is unclear; move the adapter to a "
            f"folder of its own and give BASE+ADAPTER, or move {file} out of the folder to judge the base model"
        )
    return f"{folder} is {what}, not a whole model: {MERGE.format(base=base or 'BASE', folder=folder)}"


def _inner(folder: Path, names: list[str]) -> str | None:
    return next((name for name in names if (folder / name / "config.json").is_file()), None)


def _matching(names: list[str], patterns: list[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name.lower(), pattern) for pattern in patterns)]
