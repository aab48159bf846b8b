"""Numbers on a card are read back together; here the processor plays the card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.architectures import tiny
from tests.support.decoding import ids
from tests.support.drawing import property_test
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.generator.engine import transfers
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.mixing.weights import top_k_ids
from vsg_core.generator.model import embeddings
from vsg_core.generator.writing.decoding import Trace, Writer, decode, decode_each
from vsg_core.generator.writing.feedback import FeedbackWriter, raw
from vsg_core.generator.writing.thinking import ThinkingWriter
from vsg_core.generator.writing.writers import ColdStop, ConceptWriter, InputMixtureWriter, TokenWriter

MODEL = "llama"


@pytest.fixture
def card(monkeypatch) -> None:
    """Treat the processor as a device whose numbers must be waited for."""
    monkeypatch.setattr(transfers, "QUEUED", {"cpu"})


WRITERS: dict[str, Callable[[LanguageModel], Writer]] = {
    "greedy": TokenWriter,
    "cold": lambda lm: TokenWriter(lm, cold_stop=ColdStop(1e-6)),
    "sampled": lambda lm: TokenWriter(lm, Mixing(top_k=9), torch.rand(3, 20, generator=torch.Generator())),
    "plain": ConceptWriter,
    "top k": lambda lm: ConceptWriter(lm, Mixing(top_k=5), ColdStop(1e-6)),
    "gumbel": lambda lm: ConceptWriter(lm, Mixing(top_k=5, gumbel=0.5)),
    "mixed": lambda lm: InputMixtureWriter(lm, Mixing(top_k=5)),
    "hidden": lambda lm: FeedbackWriter(lm, raw),
    "thinking": lambda lm: ThinkingWriter(lm, ConceptWriter(lm), ids(2), 5, lambda text: False, 20),
}
every_writer = pytest.mark.parametrize("writer", WRITERS)


def plain(trace: Trace) -> str:
    """Spell all numbers of a trace."""
    return repr(
        (trace.stopped, [{**vars(k), "tokenizer": 0} if hasattr(k, "vector") else k for k in trace.steps])
    )


@every_writer
def test_the_same_is_written(writer, monkeypatch):
    """However numbers are read, they are the same, bit for bit."""
    lm, sequences = tiny(MODEL), [ids(5), ids(3, seed=1), ids(5, seed=2)]
    # A card always takes the product with the whole table.
    monkeypatch.setattr(embeddings, "GATHERED", 0)
    torch.set_printoptions(precision=10)
    try:
        apart = decode(lm, sequences, WRITERS[writer](lm), 7)
        monkeypatch.setattr(transfers, "QUEUED", {"cpu"})
        together = decode(lm, sequences, WRITERS[writer](lm), 7)
        assert list(map(plain, together)) == list(map(plain, apart))
    finally:
        torch.set_printoptions(profile="default")


@every_writer
@pytest.mark.usefixtures("card")
def test_one_read_per_step(writer, monkeypatch):
    """A step of a writer reads once; one that thinks also reads the tokens of its answer.

    In place: with a growing cache, transformers asks whether a mask hides anything.
    """
    lm, sequences = tiny(MODEL), [ids(5), ids(3, seed=1), ids(5, seed=2)]
    monkeypatch.setattr(lm, "end_ids", frozenset())
    monkeypatch.setattr(lm.engine, "paths", replace(engine_of(lm).paths, static=True))
    counts: Counter[str] = Counter()
    read = transfers._read

    def noted(tensors: Any) -> list[list[Any]]:
        counts["reads"] += bool(tensors)
        return read(tensors)

    monkeypatch.setattr(transfers, "_read", noted)

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            counts["others"] += func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal")
            return func(*args, **(kwargs or {}))

    def counted(steps: int) -> Counter[str]:
        counts.clear()
        with Counting():
            decode(lm, sequences, WRITERS[writer](lm), steps)
        return counts.copy()

    few, more = counted(2), counted(5)
    assert more["others"] == few["others"]
    assert more["reads"] - few["reads"] == 3 * (2 if writer == "thinking" else 1)


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("writer", ["greedy", "sampled", "plain", "gumbel", "mixed"])
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_refused(writer, wrong, monkeypatch):
    """The error is that of the logits, though it comes with the next read."""
    lm = tiny(MODEL)
    feed = engine_of(lm).feed

    def spoilt(state: Any, inputs: torch.Tensor) -> Any:
        state = feed(state, inputs)
        state.logits[1, 7] = wrong
        return state

    monkeypatch.setattr(lm.engine, "feed", spoilt)
    with pytest.raises(VsgError, match="the logits of llama contain NaN or infinity"):
        decode(lm, [ids(5), ids(3)], WRITERS[writer](lm), 4)
    assert transfers._put_off.get() is None


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.tensor([4, 999]), r"contains the id 999: the embedding table has rows 0 to 71"),
        (torch.full((2, 32), torch.nan), "contains NaN or infinity: give finite embeddings"),
    ],
)
def test_wrong_inputs_are_refused(inputs, message):
    """They reach the model in a form that does no harm, and the error comes with the next read."""
    lm = tiny(MODEL)
    ((_, state),) = lm.prefill([ids(5), ids(3)])
    with pytest.raises(WrongUse, match=message), transfers.reading_together():
        lm.step(lm.select(state, torch.arange(2)), inputs)
    with pytest.raises(WrongUse, match=message):
        lm.step(state, inputs)


@pytest.mark.usefixtures("card")
def test_an_unknown_hidden_state_is_refused(monkeypatch):
    """A writer of hidden states does not apply where they are NaN."""
    lm = tiny(MODEL)
    monkeypatch.setattr(lm.engine, "hidden_of", lambda seen, batch: torch.full((batch, 32), torch.nan))
    with pytest.raises(NotApplicable, match="hidden state is unknown"):
        decode_each(lm, [ids(5)], {"": FeedbackWriter(lm, raw)}, 3)


@pytest.mark.usefixtures("card")
def test_demands_wait_for_the_next_read():
    """The first that does not hold is raised, once; outside the block at once."""

    def error(text: str) -> Callable[[], Exception]:
        return lambda: VsgError(text)

    with pytest.raises(VsgError, match="first"):
        transfers.demand(torch.tensor(False), error("first"))
    with transfers.reading_together():
        transfers.demand(torch.tensor(True), error("none"))
        transfers.demand(torch.tensor(False), error("second"))
        transfers.demand(torch.tensor(False), error("third"))
        with pytest.raises(VsgError, match="second"):
            transfers.lists()
        assert transfers.lists(torch.tensor([1, 2])) == [[1, 2]]
    with pytest.raises(VsgError, match="fourth"), transfers.reading_together(), transfers.reading_together():
        transfers.demand(torch.tensor(False), error("fourth"))


@pytest.mark.usefixtures("card")
def test_numbers_of_all_kinds_arrive_as_they_are():
    """Including none, NaN and numbers of few bytes before those of many."""
    columns = [
        torch.tensor([True, False, True]),
        torch.tensor([1.5, torch.inf, -0.0]).to(torch.bfloat16),
        torch.tensor([[2**62 + 1, -1]]),
        torch.empty(0),
        torch.tensor([0.1, 1e-300], dtype=torch.float64),
        torch.arange(12.0).reshape(3, 4).T,
    ]
    assert transfers.lists(*columns) == [column.tolist() for column in columns]


@property_test(60)
@given(
    st.lists(
        st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1e-40, 0.5, 3.0, float("-inf")]), min_size=8, max_size=8
    ),
    st.integers(1, 8),
)
def test_the_largest_without_a_look_are_the_same(numbers: list[float], k: int):
    """Of equal numbers those with the lower ids, and 0 equals -0."""
    logits = torch.tensor([numbers, numbers[::-1]])
    expected = top_k_ids(logits, k)
    with pytest.MonkeyPatch.context() as patch, transfers.reading_together():
        patch.setattr(transfers, "QUEUED", {"cpu"})
        assert top_k_ids(logits, k).tolist() == expected.tolist()
