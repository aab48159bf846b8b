"""The engine that computes in llama.cpp, compared with transformers in float64 on the same weights."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.architectures import CONTEXT, END, ROWS, WINDOW, tiny
from tests.support.engines import engine_of
from vsg_core.errors import NotEnoughMemory, VsgError, WrongUse
from vsg_core.generator import llama_cpp
from vsg_core.generator.engine.protocol import Engine, HeadTable, LayerStates, PositionTable
from vsg_core.generator.llama_cpp import LlamaCpp, write_float32_gguf
from vsg_core.weights.gguf_files import converted
from vsg_core.weights.llama_cpp_files import float32_gguf
from vsg_core.weights.registry import entries

pytest.importorskip("llama_cpp", reason="the extra llamacpp is not installed")

ARCHITECTURES = ["llama", "llama tied", "qwen2", "qwen2 tied", "gemma3_text"]
# Of log-probabilities, from float64. Llama.cpp rounds gemma's activation function to float16.
CLOSE = {"gemma3_text": 2e-2}
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny models as safetensors, each with its GGUF file inside."""
    found = {}
    for architecture in ARCHITECTURES:
        folder = found[architecture] = tmp_path_factory.mktemp(architecture.replace(" ", "-"))
        engine_of(tiny(architecture)).model.save_pretrained(folder)
        write_float32_gguf(folder, folder / "model.gguf")
    return found


@pytest.fixture
def engine(architecture: str, folders: dict[str, Path]) -> Iterator[LlamaCpp]:
    engine = opened(folders[architecture])
    yield engine
    engine.close()


@pytest.fixture
def llama(folders: dict[str, Path]) -> Iterator[LlamaCpp]:
    engine = opened(folders["llama"])
    yield engine
    engine.close()


def opened(folder: Path, **options: Any) -> LlamaCpp:
    return LlamaCpp(folder / "model.gguf", folder, threads=1, **options)


@cache
def exact_model(architecture: str) -> Any:
    return engine_of(tiny(architecture, torch.float64)).model


def exact(architecture: str, inputs: Tensor) -> Tensor:
    """Log-probabilities [vocab] after ids [seq] or vectors [seq, hidden], by transformers in float64."""
    model = exact_model(architecture)
    named = {"inputs_embeds": inputs.double()} if inputs.is_floating_point() else {"input_ids": inputs}
    with torch.no_grad():
        logits = model(**{name: value.unsqueeze(0) for name, value in named.items()}).logits
    return logits[0, -1].log_softmax(-1)


def logprobs(state: Any) -> Tensor:
    return state.logits.double().log_softmax(-1)


def assert_close(architecture: str, found: Tensor, inputs: Tensor) -> None:
    assert (found - exact(architecture, inputs)).abs().max() < CLOSE.get(architecture, 2e-5)


def ids(length: int, seed: int = 0) -> Tensor:
    return torch.randint(ROWS, (length,), generator=torch.Generator().manual_seed(100 * seed + length))


def after(engine: LlamaCpp, sequences: Sequence[Tensor], room: int = 0, keep: bool = True) -> Any:
    """The one state after sequences that fit into one batch, its rows in their order."""
    [(rows, state)] = engine.start(sequences, room, keep)
    assert keep or len(sequences) == len(rows)
    if rows.tolist() == list(range(len(sequences))):
        return state
    return engine.select(state, rows.argsort())


@every_architecture
def test_logits_are_those_of_transformers(engine: LlamaCpp, architecture: str) -> None:
    sequences = [ids(length) for length in (1, 7, 3, 7, 2)]
    state = after(engine, sequences)
    assert state.lengths == [1, 7, 3, 7, 2]
    assert state.logits.shape == (5, engine.vocab_size)
    for found, sequence in zip(logprobs(state), sequences, strict=True):
        assert_close(architecture, found, sequence)


@pytest.mark.parametrize(("special", "ends"), [([1], {1, END}), ([], {END}), (None, {1})])
def test_ends_are_those_that_transformers_takes(
    folders: dict[str, Path], tmp_path: Path, special: list[int] | None, ends: set[int]
) -> None:
    """Ends of the plain configuration count only if they are special, or if the one for generation names none."""
    shutil.copytree(folders["llama"], tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"eos_token_id": 1}))
    generation = {"eos_token_id": None if special is None else END}
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps(generation))
    with closing(opened(tmp_path / "model", special=special or ())) as engine:
        assert engine.end_ids == ends


@every_architecture
def test_ids_and_their_embeddings_give_the_same_logits(engine: LlamaCpp, architecture: str) -> None:
    sequence = ids(9)
    vectors = engine.embed(sequence)
    model = engine_of(tiny(architecture)).model
    assert vectors.equal(model.get_input_embeddings()(sequence).detach())
    assert engine.table()[sequence].equal(vectors)
    assert after(engine, [sequence]).logits.equal(after(engine, [vectors]).logits)


@every_architecture
def test_mixtures_are_read_as_vectors(engine: LlamaCpp, architecture: str) -> None:
    mixture = engine.table()[:4].mean(0)
    sequence = torch.cat([engine.embed(ids(4)), mixture.unsqueeze(0)])
    # In the same batch ids are looked up.
    state = after(engine, [sequence, ids(5)])
    assert_close(architecture, logprobs(state)[0], sequence)
    assert_close(architecture, logprobs(state)[1], ids(5))
    state = engine.step(state, torch.stack([mixture, engine.embed(torch.tensor(3))]))
    assert_close(architecture, logprobs(state)[0], torch.cat([sequence, mixture.unsqueeze(0)]))
    assert_close(architecture, logprobs(state)[1], torch.cat([ids(5), torch.tensor([3])]))


@every_architecture
def test_steps_give_what_one_pass_does_beyond_the_attention_window(
    engine: LlamaCpp, architecture: str
) -> None:
    whole = [ids(3 * WINDOW), ids(3 * WINDOW, seed=1)]
    state = after(engine, [whole[0][:2], whole[1][:2]], room=3 * WINDOW)
    for place in range(2, 3 * WINDOW):
        state = engine.step(state, torch.stack([each[place] for each in whole]))
    for found, sequence in zip(logprobs(state), whole, strict=True):
        assert_close(architecture, found, sequence)


@every_architecture
def test_the_hidden_state_is_what_the_head_sees(engine: LlamaCpp, architecture: str) -> None:
    assert isinstance(engine, HeadTable)
    state = after(engine, [ids(4), ids(6)])
    assert (state.hidden @ engine.head_table().T - state.logits).abs().max() < 1e-4


@every_architecture
def test_hidden_states_by_layer_are_those_of_transformers(engine: LlamaCpp, architecture: str) -> None:
    assert isinstance(engine, LayerStates)
    sequences = [ids(6), ids(4)]
    found = engine.last_hidden_states(sequences)
    for row, sequence in zip(found, sequences, strict=True):
        with torch.no_grad():
            states = exact_model(architecture)(
                input_ids=sequence.unsqueeze(0), output_hidden_states=True
            ).hidden_states
        wanted = torch.stack([state[0, -1] for state in states])
        assert (row - wanted).abs().max() < CLOSE.get(architecture, 2e-5)


def test_it_is_an_engine(llama: LlamaCpp) -> None:
    engine: Engine = llama
    assert (engine.vocab_size, engine.predicted, engine.hidden_size) == (ROWS, ROWS, 32)
    assert (engine.context, engine.end_ids, engine.is_encoder_decoder) == (CONTEXT, {END}, False)
    assert (engine.identity.name, engine.identity.form, engine.identity.threads) == ("llama.cpp", "F32", 1)
    assert "=" not in engine.identity.kernels
    assert engine.identity.version.startswith(llama_cpp.VERSION)
    assert llama.device_name.startswith("cpu (")
    assert isinstance(llama, PositionTable)
    assert engine.bytes_per_position() == 2 * 4 * 2 * 2 * 8


def test_selected_rows_go_on_apart(llama: LlamaCpp) -> None:
    state = after(llama, [ids(3), ids(5)])
    before = state.logits.clone()
    branches = llama.select(state, torch.tensor([1, 0, 1]))
    assert branches.lengths == [5, 3, 5]
    assert branches.logits.equal(before[[1, 0, 1]])
    llama.step(branches, torch.tensor([7, 8, 9]))
    for found, start, token in zip(logprobs(branches), (5, 3, 5), (7, 8, 9), strict=True):
        assert_close("llama", found, torch.cat([ids(start), torch.tensor([token])]))
    # The state they come from is as it was.
    assert state.logits.equal(before)
    llama.step(state, torch.tensor([4, 4]))
    assert_close("llama", logprobs(state)[1], torch.cat([ids(5), torch.tensor([4])]))


def test_rows_of_several_states_are_gathered(llama: LlamaCpp) -> None:
    first, second = after(llama, [ids(3), ids(5)]), after(llama, [ids(4)])
    state = llama.gather([(second, torch.tensor([0])), (first, torch.tensor([1, 1]))])
    assert state.lengths == [4, 5, 5]
    llama.step(state, torch.tensor([1, 2, 3]))
    for found, start, token in zip(logprobs(state), (4, 5, 5), (1, 2, 3), strict=True):
        assert_close("llama", found, torch.cat([ids(start), torch.tensor([token])]))


def test_no_rows_are_a_state_too(llama: LlamaCpp) -> None:
    state = llama.select(after(llama, [ids(3)]), torch.tensor([], dtype=torch.long))
    assert llama.step(state, torch.tensor([], dtype=torch.long)).logits.shape == (0, ROWS)


def test_released_rows_are_used_again(llama: LlamaCpp) -> None:
    state = after(llama, [ids(4)])
    wanted = state.logits.clone()
    held = taken(llama)
    for _ in range(3):
        state.release()
        state.release()
        assert taken(llama) == held - 2
        state = after(llama, [ids(4)])
        assert state.logits.equal(wanted)
        assert taken(llama) == held
    state.release()
    with pytest.raises(VsgError, match="released"):
        llama.step(state, torch.tensor([1]))


def test_a_dropped_state_is_released(llama: LlamaCpp) -> None:
    state = after(llama, [ids(4), ids(4, seed=1)])
    del state
    gc.collect()
    kept = after(llama, [ids(3)])
    assert kept.lengths == [3]
    # A row that is alone takes two sequences.
    assert taken(llama) == 2


def test_a_state_that_is_only_read_holds_nothing(llama: LlamaCpp) -> None:
    state = after(llama, [ids(4)], keep=False)
    assert_close("llama", logprobs(state)[0], ids(4))
    assert taken(llama) == 0
    with pytest.raises(VsgError, match="read only"):
        llama.step(state, torch.tensor([1]))


def taken(engine: LlamaCpp) -> int:
    return sum(int(context.taken.sum()) for context in engine._store._contexts)


def test_nothing_is_lost_where_memory_holds_only_some_states(folders: dict[str, Path]) -> None:
    roomy = opened(folders["llama"])
    # Two sequences of the smallest size.
    tight = opened(folders["llama"], budget=2 * 256 * roomy.bytes_per_position())
    assert tight.max_rows(5) == 2
    found = []
    for engine in (roomy, tight):
        states = [after(engine, [ids(3, seed=n), ids(6, seed=n)]) for n in range(4)]
        for token in (5, 6):
            for state in states:
                engine.step(state, torch.tensor([token, token]))
        branch = engine.select(states[0], torch.tensor([1]))
        engine.step(branch, torch.tensor([7]))
        found.append(torch.cat([*(state.logits for state in states), branch.logits]))
    assert found[0].equal(found[1])
    with pytest.raises(NotEnoughMemory, match="3 sequences of 256 positions"):
        tight.select(states[0], torch.tensor([0, 0, 0]))
    roomy.close()
    tight.close()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model wide enough for the library's own kernels, for long sequences."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("wide")
    config = LlamaConfig(
        vocab_size=512, hidden_size=128, intermediate_size=192, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=700, initializer_range=0.08,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    write_float32_gguf(folder, folder / "model.gguf")
    return folder


def test_a_sequence_grows_beyond_its_room(wide: Path) -> None:
    from transformers import LlamaForCausalLM

    engine = opened(wide)
    whole = torch.randint(512, (2, 300), generator=torch.Generator().manual_seed(0))
    state = after(engine, [whole[0, :254], whole[1, :250]])
    for place in range(46):
        tokens = torch.stack([whole[0, 254 + place], whole[1, 250 + place]])
        state = engine.step(state, tokens)
    assert state.lengths == [300, 296]
    with torch.no_grad():
        wanted = LlamaForCausalLM.from_pretrained(wide).double()(whole).logits.log_softmax(-1)
    assert (logprobs(state)[0] - wanted[0, 299]).abs().max() < 2e-5
    assert (logprobs(state)[1] - wanted[1, 295]).abs().max() < 2e-5
    engine.close()


def test_a_row_has_the_bits_that_it_has_alone(wide: Path) -> None:
    """Whatever else is in the batch, and however long it is."""
    engine = opened(wide)
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 2, 2, 3, 8, 9, 10, 40, 41, 255, 256, 600]
    sequences = [torch.randint(512, (length,), generator=generator) for length in lengths]
    tokens = torch.randint(512, (3, len(lengths)), generator=generator)

    def run(rows: list[int]) -> Tensor:
        state = after(engine, [sequences[row] for row in rows], room=3)
        found = [state.logits]
        for step in tokens:
            found.append(engine.step(state, step[rows]).logits)
        return torch.stack(found, dim=1)

    together = run(list(range(len(lengths))))
    for rows in ([0], [5], [11], [1, 3], [2, 7, 8], [9, 10], [4, 5, 6, 11]):
        assert run(rows).equal(together[rows]), [lengths[row] for row in rows]
    engine.close()


def test_a_common_beginning_is_read_once_with_the_same_bits(wide: Path) -> None:
    engine = opened(wide)
    generator = torch.Generator().manual_seed(2)
    beginning = torch.randint(512, (21,), generator=generator)
    ends = [torch.randint(512, (length,), generator=generator) for length in (1, 4, 4, 5, 9, 30)]
    sequences = [torch.cat([beginning, end]) for end in ends]
    for each in (sequences, [engine.embed(sequence) for sequence in sequences]):
        engine.meter.reset()
        together = after(engine, each, keep=False).logits
        assert engine.meter.tokens < sum(map(len, each)) - 80
        for row, sequence in enumerate(each):
            assert after(engine, [sequence], keep=False).logits[0].equal(together[row])
    engine.close()


def test_the_context_ends(llama: LlamaCpp) -> None:
    state = after(llama, [ids(CONTEXT - 1)])
    assert llama.context_left(state, 0) == 1
    llama.step(state, torch.tensor([3]))
    assert_close("llama", logprobs(state)[0], torch.cat([ids(CONTEXT - 1), torch.tensor([3])]))
    assert llama.context_left(state, 0) == 0
    with pytest.raises(VsgError, match=f"fills the {CONTEXT} positions"):
        llama.step(state, torch.tensor([3]))


def test_other_states_change_no_bit(llama: LlamaCpp) -> None:
    tokens = torch.tensor([5, 6])
    alone = llama.step(after(llama, [ids(5), ids(8)]), tokens).logits
    others = [after(llama, [ids(n, seed=n), ids(n, seed=n + 1)]) for n in range(3, 9)]
    beside = after(llama, [ids(5), ids(8)])
    for other in others:
        llama.step(other, torch.tensor([1, 2]))
    assert llama.step(beside, tokens).logits.equal(alone)


def test_batches_of_any_size_are_computed_in_order_of_length(llama: LlamaCpp) -> None:
    llama._store.budget = 3 * 256 * llama.bytes_per_position()
    lengths = [4, 2, 9, 2, 5, 7, 1]
    seen = []
    for rows, state in llama.start([ids(length, seed=n) for n, length in enumerate(lengths)]):
        seen += rows.tolist()
        for row, found in zip(rows.tolist(), logprobs(state), strict=True):
            assert_close("llama", found, ids(lengths[row], seed=row))
    assert seen == [6, 1, 3, 0, 4, 5, 2]


def test_passes_and_positions_are_counted(llama: LlamaCpp) -> None:
    llama.meter.reset()
    state = after(llama, [ids(4), ids(6)])
    # The last position of each is read twice, since all others are read in pairs.
    assert (llama.meter.passes, llama.meter.tokens) == (2, 12)
    llama.step(state, torch.tensor([1, 2]))
    assert (llama.meter.passes, llama.meter.tokens) == (3, 14)
    assert llama.meter.forward_seconds > 0


def test_a_closed_engine_cannot_be_used(llama: LlamaCpp) -> None:
    state = after(llama, [ids(4)])
    llama.close()
    with pytest.raises(VsgError, match="the model is closed"):
        llama.step(state, torch.tensor([1]))
    with pytest.raises(VsgError, match="the model is closed"):
        after(llama, [ids(4)])
    state.release()


def test_a_dropped_engine_is_closed(folders: dict[str, Path]) -> None:
    engine = opened(folders["llama"])
    state, weights = after(engine, [ids(4)]), engine._weights
    del engine
    gc.collect()
    with pytest.raises(VsgError, match="the model is closed"):
        assert weights.model
    state.release()


def test_nothing_is_printed(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    engine = opened(folders["llama"])
    after(engine, [ids(4)])
    engine.close()
    engine.close()
    assert capfd.readouterr() == ("", "")


def test_what_llama_cpp_computes_otherwise_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    engine_of(tiny("gpt2")).model.save_pretrained(tmp_path / "gpt2")
    with pytest.raises(VsgError, match=r"the architecture gpt2, which is not written for llama\.cpp"):
        write_float32_gguf(tmp_path / "gpt2", tmp_path / "model.gguf")
    copy = tmp_path / "llama"
    copy.mkdir()
    for path in folders["llama"].glob("*"):
        (copy / path.name).symlink_to(path)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").unlink()
    config["rope_parameters"] = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(VsgError, match="sets rope_parameters to 'linear'"):
        write_float32_gguf(copy, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_a_file_of_another_model_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF, not")
    with pytest.raises(VsgError, match=r"llama\.cpp cannot open .*broken\.gguf"):
        LlamaCpp(tmp_path / "broken.gguf", folders["llama"])


def test_the_library_must_be_there_in_the_known_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp.library, "version", lambda _: "0.3.1")
    with pytest.raises(WrongUse, match=r"needs llama-cpp-python 0\.3\.36, not 0\.3\.1: pip install"):
        llama_cpp.check_library()


def test_the_embedded_model_predicts_what_transformers_does() -> None:
    """Its ids and a mixture of vectors, within rounding: float64 is 2e-5 away, and transformers in float32 5e-5."""
    from transformers import AutoModelForCausalLM

    [gguf] = [entry.gguf for entry in entries() if entry.name == "smollm2-135m-instruct"]
    assert gguf is not None
    folder = converted(gguf)
    if not folder.is_dir():
        pytest.skip("the weights of smollm2-135m-instruct are not in the cache")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    engine = LlamaCpp(float32_gguf(folder), folder, threads=1)
    sequence = torch.randint(1000, 40000, (12,), generator=torch.Generator().manual_seed(0))
    mixed = torch.cat([engine.embed(sequence), engine.embed(sequence).mean(0, keepdim=True)])
    state = after(engine, [sequence, mixed])
    with torch.no_grad():
        wanted = [model(input_ids=sequence.unsqueeze(0)), model(inputs_embeds=mixed.unsqueeze(0))]
    for found, output in zip(logprobs(state), wanted, strict=True):
        assert (found - output.logits[0, -1].double().log_softmax(-1)).abs().max() < 2e-4
    engine.close()
