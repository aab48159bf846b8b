"""Loading what a user names, and the errors when that fails."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.weight_sources import entry_of, write_gguf
from vsg_core.errors import NotEnoughMemory, VsgError, WeightsUnavailable, WrongUse
from vsg_core.generator import engine
from vsg_core.generator.engine import memory
from vsg_core.weights import gguf_files, loading, sources
from vsg_core.weights.cache import DiskFull
from vsg_core.weights.registry import Wheels


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "Tiny Llama.gguf")


def test_a_folder_loads(tiny_llama: Path) -> None:
    entry = loading.describe(tiny_llama)
    assert (entry.name, entry.family, entry.kind) == ("tiny-random", "llama", "base")
    lm = loading.load_model(tiny_llama, dtype="bfloat16")
    assert lm.dtype == torch.bfloat16
    assert lm.identity["source"] == f"folder {tiny_llama}"


def test_the_sha256_of_a_folder_depends_on_its_bytes_and_not_on_its_path(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    copy = shutil.copytree(tiny_llama, tmp_path / "elsewhere")
    (copy / "notes.md").write_text("unrelated")
    one, two, three = (
        sources.get(loading.describe(folder)).sha256 for folder in (tiny_llama, copy, other_llama)
    )
    assert one == two != three


def test_a_gguf_file_is_converted_once(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = loading.describe(gguf)
    assert (entry.name, entry.family, entry.kind) == ("tiny-llama", "tinyllama", "instruct")
    assert entry.parameters == 16672
    lm = loading.load_model(gguf)
    assert lm.identity["sha256"] == entry.sha256
    assert lm.identity["source"] == f"file {gguf}"
    assert entry.gguf
    about = json.loads((gguf_files.converted(entry.gguf) / gguf_files.META).read_text())
    assert about["sha256"] == entry.sha256
    monkeypatch.setattr(engine, "convert_gguf", lambda *_: pytest.fail("it was converted already"))
    monkeypatch.setattr(gguf_files, "read_header", lambda *_: pytest.fail("it was read already"))
    assert loading.load_model(gguf).name == lm.name


def test_a_new_converter_or_different_bytes_need_a_new_conversion(
    tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = gguf_files.identify(gguf)
    (tmp_path / "other").mkdir()
    other = gguf_files.identify(write_gguf(tmp_path / "other" / gguf.name, seed=1))
    folders = {gguf_files.converted(known), gguf_files.converted(other)}
    monkeypatch.setattr(gguf_files, "CONVERTER", 99)
    assert len(folders | {gguf_files.converted(known)}) == 3


def test_a_users_file_never_takes_a_name_of_the_registry(tmp_path: Path, tiny_llama: Path) -> None:
    assert loading.describe(shutil.copytree(tiny_llama, tmp_path / "gpt2")).name == "gpt2-local"


@pytest.mark.parametrize("kept", [0, 3, 100, 2000, 30_000, -1])
def test_a_truncated_gguf_is_reported(gguf: Path, kept: int) -> None:
    gguf.write_bytes(gguf.read_bytes()[:kept])
    with pytest.raises(
        VsgError, match=r"Tiny Llama.gguf \(.*\) is truncated or not a GGUF file: download it again"
    ):
        loading.describe(gguf)


def test_a_file_that_is_not_a_gguf_is_reported(gguf: Path) -> None:
    gguf.write_text("<html>not found</html>" * 100)
    with pytest.raises(VsgError, match="is truncated or not a GGUF file"):
        loading.describe(gguf)


@pytest.mark.parametrize("name", ["Tiny.GGUF", "tiny", "tiny.bin", "n" * 250 + ".gguf"])
def test_a_gguf_is_known_by_its_first_bytes(tmp_path: Path, name: str, cache: Path) -> None:
    path = write_gguf(tmp_path / name)
    entry = loading.describe(path)
    assert entry.gguf
    assert entry.name.startswith(("tiny", "n" * 150))
    assert loading.load_model(path, progress=False).identity["source"] == f"file {path}"


def test_a_folder_stands_for_its_only_gguf(tmp_path: Path, tiny_llama: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    write_gguf(folder / "Tiny-Q4.GGUF")
    (folder / "config.json").write_text("{}")
    entry = loading.describe(folder)
    assert (entry.name, str(entry.sources[0])) == ("tiny-q4", f"file {folder / 'Tiny-Q4.GGUF'}")
    assert loading.target_of(entry, folder) == str(folder)
    write_gguf(folder / "other.gguf", seed=1)
    with pytest.raises(
        VsgError, match=r"has 2 GGUF files .*: give the path of one of Tiny-Q4.GGUF, other.gguf"
    ):
        loading.describe(folder)
    shutil.copytree(tiny_llama, folder, dirs_exist_ok=True)
    assert loading.describe(folder).name == "downloads", "safetensors come first"


def test_a_folder_may_be_given_from_inside(
    tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := shutil.copytree(tiny_llama, tmp_path / "Here") / "sub").mkdir()
    monkeypatch.chdir(folder)
    for text in ("..", "../", "../../Here"):
        entry = loading.describe(text)
        assert (entry.name, loading.target_of(entry, text)) == ("here", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    assert loading.describe(".").name == "here"


@pytest.mark.parametrize("text", ["/", "~nobody-here/x", "a\0b", "x" * 5000, "", "/dev/null", "/dev/zero"])
def test_a_path_that_is_no_model_is_one_line(text: str) -> None:
    with pytest.raises(VsgError) as raised:
        loading.describe(text)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_model_says_so(tiny_llama: Path) -> None:
    with pytest.raises(
        WrongUse, match=r"model.safetensors is a file, but not a GGUF file: give .* model's folder"
    ):
        loading.describe(tiny_llama / "model.safetensors")


def test_a_missing_gguf_is_reported(tmp_path: Path) -> None:
    with pytest.raises(VsgError, match=r"there is no file .*none.gguf"):
        loading.describe(tmp_path / "none.gguf")


def test_a_gguf_that_transformers_cannot_read_is_reported(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("GGUF model with architecture mamba9 is not supported yet.\nSee also")

    monkeypatch.setattr(engine, "convert_gguf", refuse)
    with pytest.raises(VsgError, match=r"transformers cannot convert .*: GGUF model .* not supported yet\.$"):
        loading.load_model(gguf)
    assert not list((cache / "models").iterdir())


def test_weights_changed_since_they_were_fetched_are_not_converted(gguf: Path, cache: Path) -> None:
    entry = entry_of(gguf, Wheels("1.0", "*", ()))
    assert entry.gguf
    stored = gguf_files.stored(entry.gguf)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(gguf.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(
        VsgError, match=rf"sha256 of {stored} is \w+, but the registry pins {entry.sha256}: delete"
    ):
        sources.get(entry)


@pytest.mark.parametrize(
    "full",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("I/O error: no space (os error 28)")],
)
def test_a_full_disk_while_converting_leaves_nothing(
    gguf: Path, cache: Path, full: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_: Path, folder: Path, progress: bool) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise full

    monkeypatch.setattr(engine, "convert_gguf", fill)
    with pytest.raises(
        DiskFull, match=r"disk full while converting Tiny Llama.gguf: .* free in .* 66.7 kB needed"
    ):
        loading.load_model(gguf)
    assert not list((cache / "models").iterdir())


def test_too_little_disk_space_is_reported_before_converting(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsg_core.weights.cache._free", lambda folder: 1000)
    with pytest.raises(DiskFull, match=r"too full for converting .*: 66.7 kB needed, 1.0 kB free"):
        loading.load_model(gguf)


def test_leftovers_of_a_killed_conversion_are_removed(gguf: Path, cache: Path) -> None:
    known = gguf_files.identify(gguf)
    left = cache / "models" / f".{gguf_files.converted(known).name}.abc"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    loading.load_model(gguf)
    assert [path.name for path in (cache / "models").iterdir()] == [gguf_files.converted(known).name]


def test_a_folder_without_a_config_is_reported(tmp_path: Path) -> None:
    with pytest.raises(VsgError, match=r"has no config.json: give a folder that save_pretrained wrote"):
        loading.describe(tmp_path)


def test_a_folder_without_safetensors_is_reported(tmp_path: Path, tiny_llama: Path) -> None:
    shutil.copy(tiny_llama / "config.json", tmp_path)
    with pytest.raises(VsgError, match=r"has no model.safetensors: only complete safetensors are loaded"):
        loading.describe(tmp_path)


def test_a_folder_without_a_tokenizer_is_reported(tmp_path: Path, tiny_llama: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(VsgError, match=r"has no tokenizer: save it there with tokenizer.save_pretrained"):
        loading.describe(folder)


def test_missing_weights_are_not_filled_in_at_random(tmp_path: Path, tiny_llama: Path) -> None:
    """Otherwise transformers fills them in with a mere warning, and two loads of the same bytes differ."""
    folder = shutil.copytree(tiny_llama, tmp_path / "holes")
    whole = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in whole.items() if "layers.1.mlp" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(VsgError, match=r"holes lacks weights of its architecture \(.*mlp.* and 2 more\)"):
        loading.load_model(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.json", "[]", "does not contain a JSON object"),
        ("config.json", '{"model_type": "no such"}', "cannot be loaded"),
        ("tokenizer.json", '{"version": "1.0", ', "cannot be loaded"),
        ("model.safetensors.index.json", "{}", "lists no files"),
    ],
)
def test_files_that_do_not_fit_together_are_one_line(
    tmp_path: Path, tiny_llama: Path, file: str, text: str, message: str
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "odd")
    (folder / file).write_text(text)
    with pytest.raises(VsgError, match=message) as raised:
        loading.load_model(folder)
    assert "\n" not in str(raised.value)


def test_truncated_safetensors_are_reported(tmp_path: Path, tiny_llama: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(VsgError, match=r"model.safetensors is not a complete safetensors file"):
        loading.describe(folder)


def test_missing_weights_name_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(WeightsUnavailable) as caught:
        loading.load_model("gpt2", fetch=False)
    assert caught.value.command == "vsg models fetch gpt2"
    assert (
        str(caught.value) == "the weights of gpt2 are not on this machine; to get them: vsg models fetch gpt2"
    )


@pytest.mark.parametrize(("dtype", "device"), [("int3", "auto"), (None, "abacus"), (None, "meta")])
def test_a_wrong_dtype_or_device_is_wrong_use(tiny_llama: Path, dtype: str | None, device: str) -> None:
    with pytest.raises(WrongUse, match=r"int3|abacus|meta"):
        loading.load_model(tiny_llama, dtype=dtype, device=device)


def test_too_little_memory_is_reported_before_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 10**9)
    monkeypatch.setattr(sources, "get", lambda *_, **__: pytest.fail("it was fetched"))
    with pytest.raises(NotEnoughMemory) as caught:
        loading.load_model("mistral-7b-instruct-v0.2", dtype="bfloat16")
    assert "needs about 17.7 GB of memory (14.5 GB of weights), cpu has 1.0 GB free" in str(caught.value)


def test_the_memory_for_a_folder_is_estimated_from_its_headers(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    with pytest.raises(NotEnoughMemory, match=r"tiny-random needs about 300\.\d MB .*, cpu has 1.0 kB free"):
        loading.load_model(tiny_llama)


def test_a_memory_limit_on_a_parent_group_counts(tmp_path: Path) -> None:
    proc, group = tmp_path / "cgroup", tmp_path / "mount" / "pod" / "container"
    group.mkdir(parents=True)
    proc.write_text("0::/pod/container\n")
    for folder, limit in ((group, "max"), (group.parent, "1000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("700\n")
        (folder / "memory.stat").write_text("anon 600\ninactive_file 100\n")
    assert memory.cgroup_free(proc, tmp_path / "mount") == [400]
    assert memory.cgroup_free(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("name", "family", "kind"),
    [
        ("someone/Qwen3-4B-it", "qwen", "instruct"),
        ("TinyLlama/TinyLlama-2-chat", "tinyllama", "instruct"),
        ("someone/unheard-of", "other", "base"),
    ],
)
def test_a_hub_id_that_is_not_downloaded_is_described_by_its_name(name: str, family: str, kind: str) -> None:
    entry = loading.describe(name)
    assert (entry.family, entry.kind) == (family, kind)
    assert not replace(entry).gguf
