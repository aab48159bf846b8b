"""The surface of an engine: transformers' satisfies it, and a LanguageModel uses nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any, Protocol

import pytest
import torch
from torch import Tensor

from tests.support.architectures import END, ROWS, WORDS, every_architecture, tiny
from tests.support.decoding import ids
from tests.support.engines import engine_of
from vsg_core import LanguageModel, Mixing, Writer, decode_each, decompose, nearest_tokens, think
from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.generator.engine import Identity, Meter, Paths, TransformersEngine, capability, protocol
from vsg_core.generator.engine.protocol import Engine, State
from vsg_core.generator.reading.microscope import microscope_record
from vsg_core.generator.writing.feedback import FeedbackWriter, norm_matched, raw
from vsg_core.generator.writing.writers import ColdStop, ConceptWriter, InputMixtureWriter, TokenWriter

TEXTS = ["w5 w7 w9", "w20", "w31 w32 w33 w34 w35"]
SEQUENCES = [ids(5), ids(3, seed=1), ids(5, seed=2)]
SOFT = Mixing(temperature=0.6, top_k=20)
CAPABILITIES = list(protocol.NAMES)


class SecondState:
    """A state that shows what the protocol has, and no cache and no mask."""

    def __init__(self, own: State) -> None:
        self._own = own

    @property
    def logits(self) -> Tensor:
        return self._own.logits

    @logits.setter
    def logits(self, logits: Tensor) -> None:
        self._own.logits = logits

    @property
    def hidden(self) -> Tensor:
        return self._own.hidden

    @hidden.setter
    def hidden(self, hidden: Tensor) -> None:
        self._own.hidden = hidden

    @property
    def lengths(self) -> list[int]:
        return self._own.lengths

    @lengths.setter
    def lengths(self, lengths: list[int]) -> None:
        self._own.lengths = lengths

    def release(self) -> None:
        self._own.release()


def own(state: State) -> State:
    assert isinstance(state, SecondState)
    return state._own


class SecondEngine:
    """The members of `Engine` and no others, so that any other use fails."""

    def __init__(self, inner: TransformersEngine) -> None:
        self._inner = inner
        self.identity = Identity("second", "1", "F32", "float32", 1, "none")
        self.paths = "one way"
        self.device_name = "a device"
        self.context, self.hidden_size = inner.context, inner.hidden_size
        self.vocab_size, self.is_encoder_decoder = inner.vocab_size, inner.is_encoder_decoder
        self.device, self.devices, self.end_ids = inner.device, inner.devices, inner.end_ids
        self.bytes_per_position = inner.bytes_per_position

    # These change: in float64, with the first pass, and of a twin.
    @property
    def dtype(self) -> torch.dtype:
        return self._inner.dtype

    @property
    def predicted(self) -> int:
        return self._inner.predicted

    @property
    def meter(self) -> Meter:
        return self._inner.meter

    def table(self) -> Tensor:
        return self._inner.table()

    def embed(self, input_ids: Tensor) -> Tensor:
        return self._inner.embed(input_ids)

    def start(
        self, sequences: Sequence[Tensor], room: int = 0, keep: bool = True
    ) -> Iterator[tuple[Tensor, SecondState]]:
        for rows, state in self._inner.start(sequences, room, keep):
            yield rows, SecondState(state)

    def step(self, state: State, inputs: Tensor) -> State:
        assert inputs.dim() == (2 if inputs.is_floating_point() else 1)
        self._inner.step(own(state), inputs)
        return state

    def select(self, state: State, rows: Tensor) -> SecondState:
        return SecondState(self._inner.select(own(state), rows))

    def gather(self, pieces: Sequence[tuple[State, Tensor]]) -> SecondState:
        return SecondState(self._inner.gather([(own(state), rows) for state, rows in pieces]))

    def joins(self, positions: int) -> bool:
        return self._inner.joins(positions)

    def max_rows(self, positions: int) -> int:
        return self._inner.max_rows(positions)

    def context_left(self, state: State, row: int) -> int:
        return self._inner.context_left(own(state), row)

    def close(self) -> None:
        """The inner one belongs to other tests."""


class AbleEngine(SecondEngine):
    """The members of all capabilities too."""

    def last_hidden_states(self, sequences: Sequence[Tensor]) -> Tensor:
        return self._inner.last_hidden_states(sequences)

    def final_states(self, sequences: Sequence[Tensor]) -> Tensor:
        return self._inner.final_states(sequences)

    def lens(self, hidden_states: Tensor) -> Tensor:
        return self._inner.lens(hidden_states)

    def head_table(self) -> Tensor:
        return self._inner.head_table()

    def position_table(self) -> Tensor | None:
        return self._inner.position_table()

    def in_float64(self) -> AbstractContextManager[None]:
        return self._inner.in_float64()

    def rounded(self, bits: int) -> AbstractContextManager[None]:
        return self._inner.rounded(bits)

    def untrained(self, seed: int, initial: Mapping[str, object]) -> AbleEngine:
        return AbleEngine(self._inner.untrained(seed, initial))

    def library_scores(self, inputs: Tensor, **options: object) -> Tensor:
        return self._inner.library_scores(inputs, **options)

    def gradients_after(
        self, state: State, inputs: Tensor, loss: Callable[[State], Tensor]
    ) -> tuple[Tensor, Tensor]:
        return self._inner.gradients_after(own(state), inputs, lambda after: loss(SecondState(after)))


def as_protocols(engine: TransformersEngine | AbleEngine) -> Engine:
    """The types agree, which mypy checks."""
    _: tuple[
        protocol.LayerStates, protocol.LogitLens, protocol.HeadTable, protocol.PositionTable, protocol.Float64,
        protocol.RoundedWeights, protocol.UntrainedTwin, protocol.LibraryScores, protocol.Gradients,
    ] = (engine, engine, engine, engine, engine, engine, engine, engine, engine)  # fmt: skip
    return engine


def test_transformers_satisfies_every_protocol():
    engine = as_protocols(engine_of(tiny("llama")))
    assert isinstance(engine, Engine)
    assert all(capability(engine, wanted) is engine for wanted in CAPABILITIES)
    known = {each for each in vars(protocol).values() if getattr(each, "_is_protocol", False)}
    assert known - {Engine, State, Protocol} == set(CAPABILITIES), "every capability has a name"


def test_an_engine_says_what_it_is():
    identity = tiny("llama").engine.identity
    assert (identity.name, identity.version) == ("transformers", version("transformers"))
    assert (identity.form, identity.dtype, identity.threads) == ("F32", "float32", torch.get_num_threads())
    assert torch.__version__ in identity.kernels
    half = tiny("llama", torch.bfloat16).engine.identity
    assert (half.form, half.dtype) == ("BF16", "bfloat16")


@pytest.mark.parametrize("wanted", CAPABILITIES, ids=lambda wanted: wanted.__name__)
def test_what_an_engine_cannot_do_is_refused(wanted):
    engine = SecondEngine(engine_of(tiny("llama")))
    expected = f"second gives no {protocol.NAMES[wanted]}: run with --engine transformers"
    with pytest.raises(NotApplicable) as refused:
        capability(engine, wanted)
    assert str(refused.value) == expected


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("hidden states by layer", lambda lm: lm.hidden_states(TEXTS)),
        ("logit lens", lambda lm: lm.final_states(TEXTS)),
        ("logit lens", lambda lm: lm.lens(torch.zeros(32))),
        ("table of the head", lambda lm: lm.head_table),
        ("table of positions", lambda lm: lm.position_table),
        ("float64", lambda lm: lm.in_float64().__enter__()),
        ("rounded weights", lambda lm: lm.rounded(4).__enter__()),
        ("untrained twin", lambda lm: lm.untrained()),
        ("scores of the library's own generate", lambda lm: lm.library_scores(TEXTS)),
        ("gradients", lambda lm: lm.gradients_after(None, torch.zeros(1), torch.zeros(1, 1, 32), max)),
    ],
)
def test_a_claim_that_needs_more_does_not_apply(name, use):
    lm = LanguageModel(SecondEngine(engine_of(tiny("llama"))), tiny("llama").tokenizer)
    with pytest.raises(NotApplicable, match=f"^second gives no {name}: run with --engine transformers$"):
        use(lm)


def test_an_engine_is_not_checked_and_takes_no_paths(monkeypatch):
    monkeypatch.setattr(TransformersEngine, "check", lambda *_: pytest.fail("an engine knows its own paths"))
    lm = tiny("llama")
    assert LanguageModel(engine_of(lm), lm.tokenizer).engine is lm.engine
    with pytest.raises(WrongUse, match="paths are for a transformers model, and an engine is given"):
        LanguageModel(engine_of(lm), lm.tokenizer, paths=Paths())


def test_a_state_of_another_engine_is_refused():
    lm = tiny("llama")
    ((_, state),) = LanguageModel(SecondEngine(engine_of(lm)), lm.tokenizer).prefill([ids(3)])
    with pytest.raises(WrongUse, match="the state is a SecondState of another engine"):
        lm.step(state, ids(1))


def test_a_released_state_has_no_memory():
    lm = tiny("llama")
    ((_, state),) = lm.prefill([ids(3)])
    state.release()
    assert not any(isinstance(each, Tensor) and each.numel() for each in vars(state).values())


def test_end_tokens_of_an_engine_are_those_of_its_configuration():
    lm = tiny("llama")
    assert lm.engine.end_ids == {END}
    engine = SecondEngine(engine_of(lm))
    engine.end_ids = frozenset({7, ROWS + 1})
    assert LanguageModel(engine, lm.tokenizer).end_ids == {7, END}


def surface(lm: LanguageModel) -> dict[str, Any]:
    """What every engine can do, by way of the public members of a LanguageModel, its writers and its readers."""
    numbers: dict[str, Any] = {
        name: getattr(lm, name)
        for name in (
            "device", "dtype", "vocab_size", "is_encoder_decoder", "end_ids", "text_notes", "has_chat",
            "embedding_table", "embedding_norms", "embedding_norm", "embedding_std", "is_token", "token_ids",
        )
    }  # fmt: skip
    table = lm.embedding_table[lm.is_token]
    joined = lm.join("w4", table[5:7], ids(2))
    numbers |= {
        "next": lm.next_logits([*TEXTS, *SEQUENCES, joined]),
        "mixed": lm.mix(lm.next_logits(TEXTS).softmax(-1)),
        "noise": lm.noise(2, scale=0.5),
        "noise like": lm.noise_like(table[:3]),
        "random": lm.random_tokens(4),
        "nearest": nearest_tokens(lm, table[3:6] + lm.noise(3, scale=0.1)),
        "decomposed": decompose(lm, (table[4:5] + table[9:10]) / 2),
        "opened": [lm.answer_of(prompt, [5, 6]) for prompt in (TEXTS[0], joined, SEQUENCES[0])],
        "stepped": list(stepped(lm)),
        "greedy": lm.generate([*SEQUENCES, joined], 6),
        "sampled": lm.generate(TEXTS, 6, SOFT),
        "microscope": microscope_record(lm)["mixing"],
    }
    writers: dict[str, Writer] = {
        "soft": ConceptWriter(lm, SOFT, ColdStop(0.5)),
        "mixed inputs": InputMixtureWriter(lm, SOFT),
        "greedy": TokenWriter(lm),
    }
    numbers["written"] = decode_each(lm, SEQUENCES, writers, 5)
    numbers["thoughts"] = think(lm, SEQUENCES, writers, WORDS[0], steps=3, answer_tokens=2)
    return numbers


def stepped(lm: LanguageModel) -> Iterator[tuple[Tensor, Tensor, list[int], int]]:
    """Logits, hidden states, lengths and what is left of the context, of branches that take turns."""
    for _, state in lm.prefill(SEQUENCES, room=4):
        several = torch.arange(len(state.logits)).repeat(2)
        yield lm.logits_after(state, several, ids(len(several))), state.hidden, state.lengths, 0
        branch = lm.select(state, several)
        vectors = lm.embed(ids(len(several), seed=3)) + lm.noise(len(several))
        for after in (lm.step(branch, vectors), lm.step(state, ids(len(state.logits)))):
            yield after.logits, after.hidden, list(after.lengths), lm.context_left(after, 0)
        if lm.most_rows(state, 1):
            both = lm.gather([(state, torch.tensor([0])), (branch, torch.tensor([1, 1]))])
            yield lm.step(both, ids(3)).logits, both.hidden, both.lengths, lm.most_rows(both, 1)


def more(lm: LanguageModel) -> dict[str, Any]:
    """What only some engines can do; the reason where the model cannot."""
    uses: dict[str, Callable[[], Any]] = {
        "hidden states": lambda: lm.hidden_states([*TEXTS, *SEQUENCES]),
        "final states": lambda: lm.final_states(SEQUENCES),
        "lens": lambda: lm.lens(lm.final_states(SEQUENCES)),
        "head": lambda: lm.head_table,
        "positions": lambda: lm.position_table,
        "float64": lambda: within(lm, lm.in_float64()),
        "rounded": lambda: within(lm, lm.rounded(4)),
        "after": lambda: lm.next_logits(TEXTS),
        "untrained": lambda: twin_of(lm),
        "library scores": lambda: lm.library_scores(SEQUENCES, repetition_penalty=1.5),
        "gradients": lambda: gradients(lm),
        "fed back": lambda: decode_each(
            lm, SEQUENCES, {"": FeedbackWriter(lm, raw), "to length": FeedbackWriter(lm, norm_matched(lm))}, 3
        ),
    }
    return {name: result(use) for name, use in uses.items()}


def result(use: Callable[[], Any]) -> Any:
    try:
        return use()
    except NotApplicable as error:
        return str(error)


def within(lm: LanguageModel, block: AbstractContextManager[None]) -> Any:
    with block:
        return lm.next_logits(TEXTS), lm.embedding_table.clone()


def twin_of(lm: LanguageModel) -> Any:
    with lm.untrained(3) as twin:
        return twin.next_logits(TEXTS), twin.end_ids, twin.meter is lm.meter


def gradients(lm: LanguageModel) -> Any:
    ((_, state),) = lm.prefill([SEQUENCES[0]], room=3)
    vectors = lm.embed(ids(2, 2, seed=4))
    return lm.gradients_after(
        state, torch.tensor([0, 0]), vectors, lambda logits, rows: -logits.log_softmax(-1)[:, 7] * (1 + rows)
    )


def assert_equal(found: Any, expected: Any) -> None:
    """Equal in every bit, through lists, dictionaries and dataclasses."""
    if isinstance(expected, Tensor):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_equal(found[name], expected[name])
    elif isinstance(expected, (list, tuple)):
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif hasattr(expected, "__dataclass_fields__"):
        assert_equal(vars(found) | {"tokenizer": None}, vars(expected) | {"tokenizer": None})
    else:
        assert found == expected


@every_architecture
def test_a_language_model_uses_nothing_else(architecture):
    """On an engine that hides the rest, the whole surface gives the same numbers, bit for bit."""
    lm = tiny(architecture)
    second = LanguageModel(SecondEngine(engine_of(lm)), lm.tokenizer, name=lm.name)
    assert_equal(surface(second), surface(lm))


@every_architecture
def test_it_uses_no_more_of_a_capability(architecture):
    lm = tiny(architecture)
    able = AbleEngine(engine_of(lm))
    as_protocols(able)
    assert_equal(more(LanguageModel(able, lm.tokenizer, name=lm.name)), more(lm))
