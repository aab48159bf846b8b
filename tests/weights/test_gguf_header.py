"""GGUF files that are not a whole language model: refused for the true reason, before anything large is allocated."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.weight_sources import write_gguf
from vsg_core.errors import NotEnoughMemory, VsgError
from vsg_core.generator.engine import memory
from vsg_core.weights import gguf_files, loading
from vsg_core.weights.gguf_header import check_model, scan

TOO_MANY = 2**60


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True, scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what conversion imports, so that only what it allocates is counted."""
    gguf_files.check_convertible(write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf"))


def refusal(path: Path) -> str:
    """Return why the model is refused; the line must name the file, and nothing large may be allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(VsgError) as raised:
            loading.load_model(path, progress=False)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message


def other_file(path: Path, kind: str, architecture: str = "llama", tensors: tuple[str, ...] = ("x",)) -> Path:
    """Write a GGUF that is not a model."""
    writer = GGUFWriter(path, architecture)
    writer.add_type(kind)
    for name in tensors:
        writer.add_tensor(name, np.zeros((2, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("kind", "architecture", "tensors", "reason"),
    [
        ("imatrix", "llama", ("blk.0.attn_q.weight.in_sum2",), "is an importance matrix"),
        ("adapter", "llama", ("blk.0.attn_q.weight.lora_a",), "is an adapter, not a model"),
        ("model", "llama", ("blk.0.attn_q.weight.lora_a",), "is an adapter, not a model"),
        ("mmproj", "clip", ("v.patch_embd.weight",), "is the projector of a multimodal model"),
        ("model", "clip", ("v.patch_embd.weight",), "is the projector of a multimodal model"),
        ("model", "controlvector", ("direction.1",), "is a control vector"),
        ("tarball", "llama", ("x",), "has general.type 'tarball'"),
        ("model", "llama", (), "has a vocabulary and no weights"),
        ("model", "llama", ("blk.0.attn_q.weight",), "has no token_embd.weight"),
    ],
)
def test_what_is_not_a_language_model_is_named(
    tmp_path: Path, kind: str, architecture: str, tensors: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal(other_file(tmp_path / "other.gguf", kind, architecture, tensors))


def test_a_part_of_a_split_file_gives_the_command_that_joins_it(tmp_path: Path) -> None:
    def split(writer: GGUFWriter, shapes: object) -> None:
        writer.add_uint16("split.no", 1)
        writer.add_uint16("split.count", 3)

    second = write_gguf(tmp_path / "my model-00002-of-00003.gguf", adjust=split)
    assert "is part 2 of 3 of a split GGUF: get my model-00001-of-00003.gguf too" in refusal(second)
    for part in (1, 3):
        write_gguf(tmp_path / f"my model-0000{part}-of-00003.gguf", adjust=split)
    first, joined = tmp_path / "my model-00001-of-00003.gguf", tmp_path / "my model.gguf"
    assert f"`llama-gguf-split --merge '{first}' '{joined}'` and give {joined}" in refusal(second)
    with pytest.raises(VsgError, match="is part 2 of 3 of a split GGUF: join them"):
        loading.describe(tmp_path)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "is big-endian: .*`gguf-convert-endian "),
        (b"GGUF" + struct.pack("<IQQ", 1, 1, 1), "of GGUF version 1, and versions 2 and 3 are read"),
        (b"GGUF" + struct.pack("<IQQ", 4, 1, 1), "of GGUF version 4"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, TOO_MANY), "states 1,152,921,504,606,846,976 header fields"),
        (b"GGUF" + struct.pack("<IQQ", 3, TOO_MANY, 0), "states 1,152,921,504,606,846,976 tensors"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2**62), "bytes of a key"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 1, 1, 1, b"k", 9, 4, TOO_MANY), "elements of k"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 1, 1, 1, b"k", 9, 8, TOO_MANY), "elements of k"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 1, 1, 1, b"k", 9, 9, 1), "array of the unknown type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 1, 1, b"k", 77), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"t", 2**31), "2147483648 dimensions"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"lmgg", "is a GGML file"),
        (b"PK\3\4", "not a GGUF file: .*begins with"),
    ],
)
def test_a_damaged_start_is_one_line(tmp_path: Path, start: bytes, reason: str) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(start + bytes(200))
    with pytest.raises(VsgError, match=reason):
        loading.describe(path)
    refusal(path)


def tensor_table(path: Path, name: bytes, change: Callable[[int, int, bytearray], None]) -> Path:
    """Change the header's entry of a tensor: `change` gets where its dimensions and its type begin."""
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
    (dimensions,) = struct.unpack_from("<I", content, at)
    change(at + 4, at + 4 + 8 * dimensions, content)
    path.write_bytes(content)
    return path


def test_an_unknown_tensor_type_is_named_with_its_number(tmp_path: Path) -> None:
    path = tensor_table(
        write_gguf(tmp_path / "new.gguf"),
        b"output.weight",
        lambda shape, kind, content: struct.pack_into("<I", content, kind, 99),
    )
    message = refusal(path)
    assert "output.weight" in message
    assert "has the tensor type 99, which gguf " in message
    assert "truncated" not in message


def test_a_type_that_cannot_be_dequantised_is_named(tmp_path: Path) -> None:
    path = tensor_table(
        write_gguf(tmp_path / "ints.gguf"),
        b"output.weight",
        lambda shape, kind, content: struct.pack_into("<I", content, kind, GGMLQuantizationType.I32),
    )
    assert "output.weight in" in (message := refusal(path))
    assert "is of type I32, which cannot be converted to float32" in message


@pytest.mark.parametrize("size", [2**40, 2**63, 2**64 - 1])
def test_a_tensor_larger_than_the_file_is_one_line(tmp_path: Path, size: int) -> None:
    path = tensor_table(
        write_gguf(tmp_path / "huge.gguf"),
        b"output.weight",
        lambda shape, kind, content: struct.pack_into("<Q", content, shape + 8, size),
    )
    assert "truncated or not a GGUF file: download it again (output.weight ends at byte" in refusal(path)


def test_overlapping_tensors_are_refused(tmp_path: Path) -> None:
    path = tensor_table(
        write_gguf(tmp_path / "over.gguf"),
        b"output.weight",
        lambda shape, kind, content: struct.pack_into("<Q", content, kind + 4, 0),
    )
    assert "overlaps another tensor" in refusal(path)


def resized(key: str, value: float) -> Callable[[GGUFWriter, object], None]:
    def adjust(writer: GGUFWriter, shapes: object) -> None:
        writer.kv_data[0][f"llama.{key}"].value = value

    return adjust


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("block_count", 3, "states 3 layers (llama.block_count), but has no tensor of layer 1 (blk.1.*)"),
        ("block_count", 2**31 - 1, "has no tensor of layer 1 "),
        ("embedding_length", 64, "states llama.embedding_length 64, but token_embd.weight has 32 columns"),
        ("feed_forward_length", 2**30, "needs about"),
        ("vocab_size", 2**30, "needs about"),
        ("feed_forward_length", 48, "has the shape [32, 64] in the file, and its header describes [32, 48]"),
        ("attention.head_count_kv", 4, "k_proj.weight has the shape [32, 32] in the file"),
        ("attention.head_count", 0, "states llama.attention.head_count 0"),
        (
            "attention.layer_norm_rms_epsilon",
            float("nan"),
            "states llama.attention.layer_norm_rms_epsilon nan",
        ),
    ],
)
def test_a_header_that_does_not_fit_the_tensors_is_refused(
    tmp_path: Path, cache: Path, key: str, value: float, reason: str
) -> None:
    message = refusal(write_gguf(tmp_path / "wrong.gguf", adjust=resized(key, value)))
    assert reason in message
    assert not (cache / "models").exists() or not list((cache / "models").iterdir())


def test_memory_is_checked_by_what_the_header_describes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 70 kB may describe a model of many gigabytes."""
    path = write_gguf(tmp_path / "small.gguf", adjust=resized("feed_forward_length", 2**28))
    monkeypatch.setattr(memory, "available", lambda device: 50 * 10**9)
    with pytest.raises(NotEnoughMemory, match=r"converting small.gguf needs about 124\.0 GB"):
        loading.load_model(path, progress=False)


def more(name: str, shape: tuple[int, ...]) -> Callable[[GGUFWriter, dict[str, tuple[int, ...]]], None]:
    def adjust(writer: GGUFWriter, shapes: dict[str, tuple[int, ...]]) -> None:
        shapes[name] = shape

    return adjust


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("rope_freqs.weight", (8,), "does not read for llama (rope_freqs.weight: its positions are scaled)"),
        ("blk.0.attn_q_norm.weight", (32,), "(blk.0.attn_q_norm.weight)"),
        ("blk.1.attn_norm.weight", (32,), "has tensors of layer 1 (blk.1.*), but states 1 layers"),
    ],
)
def test_every_tensor_is_taken_or_the_file_is_refused(
    tmp_path: Path, cache: Path, name: str, shape: tuple[int, ...], reason: str
) -> None:
    assert reason in refusal(write_gguf(tmp_path / "more.gguf", adjust=more(name, shape)))
    assert not (cache / "models").exists() or not list((cache / "models").iterdir())


def setting(key: str, value: Any) -> Callable[[GGUFWriter, object], None]:
    def adjust(writer: GGUFWriter, shapes: object) -> None:
        (writer.add_string if isinstance(value, str) else writer.add_float32)(key, value)

    return adjust


def test_a_setting_that_transformers_leaves_out_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "scaled.gguf", adjust=setting("llama.rope.scaling.factor", 4.0))
    assert "sets llama.rope.scaling.factor to 4.0, which transformers" in refusal(path)
    path = write_gguf(tmp_path / "logits.gguf", adjust=setting("llama.logit_scale", 0.5))
    assert "sets llama.logit_scale to 0.5" in refusal(path)
    path = write_gguf(
        tmp_path / "a.gguf", adjust=lambda writer, _: writer.add_bool("llama.attention.causal", False)
    )
    assert "sets llama.attention.causal to False" in refusal(path)
    without = write_gguf(
        tmp_path / "b.gguf",
        adjust=lambda writer, _: writer.kv_data[0].pop("llama.attention.layer_norm_rms_epsilon"),
    )
    assert "does not set the epsilon of its norms" in refusal(without)
    path = write_gguf(tmp_path / "plain.gguf", adjust=setting("llama.rope.scaling.type", "none"))
    gguf_files.check_convertible(path)


def test_a_tokenizer_that_is_not_built_is_named(tmp_path: Path) -> None:
    def of_kind(kind: str) -> Callable[[GGUFWriter, object], None]:
        def adjust(writer: GGUFWriter, shapes: object) -> None:
            writer.kv_data[0]["tokenizer.ggml.model"].value = kind

        return adjust

    assert "has a tokenizer of the kind 'rwkv'" in refusal(
        write_gguf(tmp_path / "a.gguf", adjust=of_kind("rwkv"))
    )
    path = write_gguf(tmp_path / "b.gguf", adjust=setting("tokenizer.ggml.pre", "new-rule"))
    assert "splits text by the rule 'new-rule'" in refusal(path)
    without = write_gguf(
        tmp_path / "c.gguf", adjust=lambda writer, shapes: writer.kv_data[0].pop("tokenizer.ggml.model")
    )
    assert "has no tokenizer" in refusal(without)
    without = write_gguf(
        tmp_path / "d.gguf", adjust=lambda writer, shapes: writer.kv_data[0].pop("tokenizer.ggml.merges")
    )
    assert "has no tokenizer.ggml.merges" in refusal(without)

    def beyond(writer: GGUFWriter, shapes: object) -> None:
        writer.kv_data[0]["tokenizer.ggml.eos_token_id"].value = 5000

    message = refusal(write_gguf(tmp_path / "e.gguf", adjust=beyond))
    assert "sets tokenizer.ggml.eos_token_id to 5000, but its tokenizer has 99 tokens" in message


def of_architecture(name: str, writer: GGUFWriter) -> None:
    fields = writer.kv_data[0]
    for key in [key for key in fields if key.startswith("llama.")]:
        fields[key.replace("llama", name)] = fields.pop(key)
    fields["general.architecture"].value = name


def test_head_and_table_are_apart_where_the_file_has_both(tmp_path: Path) -> None:
    """For Falcon the configuration that transformers makes says that they are one, whatever the file holds."""

    def falcon(writer: GGUFWriter, shapes: dict[str, tuple[int, ...]]) -> None:
        of_architecture("falcon", writer)
        fields = writer.kv_data[0]
        fields["falcon.attention.layer_norm_epsilon"] = fields.pop("falcon.attention.layer_norm_rms_epsilon")
        fields["falcon.attention.head_count_kv"].value = 1
        for part in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_norm"):
            shapes.pop(f"blk.0.{part}.weight")
        shapes |= {
            "blk.0.attn_qkv.weight": (64, 32), "blk.0.attn_norm.bias": (32,), "output_norm.bias": (32,),
            "blk.0.ffn_up.weight": (128, 32), "blk.0.ffn_down.weight": (32, 128),
        }  # fmt: skip

    path = write_gguf(tmp_path / "bird.gguf", adjust=falcon)
    lm = loading.load_model(path, progress=False)
    stored = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    assert not lm.identity["tied"]
    assert np.array_equal(lm.head_table.numpy(), stored["output.weight"])

    def other_epsilon(writer: GGUFWriter, shapes: dict[str, tuple[int, ...]]) -> None:
        falcon(writer, shapes)
        writer.kv_data[0]["falcon.attention.layer_norm_epsilon"].value = 1e-3

    message = refusal(write_gguf(tmp_path / "crow.gguf", adjust=other_epsilon))
    assert "sets falcon.attention.layer_norm_epsilon to 0.001, and transformers" in message


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    message = refusal(
        write_gguf(tmp_path / "new.gguf", adjust=lambda writer, shapes: of_architecture("hyena", writer))
    )
    assert "is a hyena model, an architecture that transformers" in message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_header_with_any_damaged_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Only errors that users can act on, and never more memory than the file."""
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    if not path.exists():
        write_gguf(path)
        path.with_suffix(".whole").write_bytes(path.read_bytes())
    content = bytearray(path.with_suffix(".whole").read_bytes())
    header = len(content) - 4 * 16672
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        check_model(scan(path))
    except VsgError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()
