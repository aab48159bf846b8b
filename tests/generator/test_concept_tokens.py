"""Concept tokens in a batch, Cold Stop, and the error-prone cases of reading vectors back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.architectures import CONTEXT, END, ROWS, TOKENS, every_architecture, tiny
from tests.support.drawing import batches, property_test
from vsg_core.errors import WrongUse
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.mixing.presets import PLAIN, STUDY, Mixing
from vsg_core.generator.reading.decomposition import decompose
from vsg_core.generator.reading.frames import completion_frame
from vsg_core.generator.reading.nearest import nearest_tokens
from vsg_core.generator.writing.writers import ColdStop, ConceptWriter, TokenWriter, write_concepts


def bits(entropy: float) -> torch.Tensor:
    """Return logits [vocab] of a distribution over two tokens with an entropy of 0 or 1 bit."""
    row = torch.full((ROWS,), -torch.inf)
    row[3:5] = 0.0
    if entropy == 0:
        row[4] = -100.0
    return row


def cold_steps(
    entropies: Sequence[Sequence[int]], rows: Sequence[int], stop: ColdStop
) -> list[list[str | None]]:
    """Return a writer's reason to stop at each step, when row `rows[i]` meets the entropies `entropies[i]`."""
    writer = ConceptWriter(tiny("llama"), PLAIN, stop)
    return [
        writer(torch.stack([bits(e) for e in step]), torch.tensor(rows), i).stopped
        for i, step in enumerate(zip(*entropies, strict=True))
    ]


def test_cold_steps_must_be_consecutive():
    """A step of high entropy restarts the count."""
    stops = cold_steps([[0, 1, 0, 0, 1, 0, 0]], [0], ColdStop(0.5, steps=2))
    assert [stop for (stop,) in stops] == [None, None, None, "cold", None, None, "cold"]


def test_each_sequence_has_its_own_cold_steps():
    """Counts follow the sequence's number, not its position in the batch."""
    stops = cold_steps([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [7, 2, 0], ColdStop(0.5, steps=2))
    assert stops == [[None, None, None], ["cold", None, None], ["cold", "cold", None]]


def test_an_entropy_at_the_bound_is_not_cold():
    """The entropy must be below the bound."""
    assert cold_steps([[1, 1]], [0], ColdStop(1.0, steps=1)) == [[None], [None]]


@pytest.mark.parametrize("stop", [{"entropy": 0.0}, {"entropy": -1.0}, {"entropy": 0.5, "steps": 0}], ids=str)
def test_a_cold_stop_that_never_or_always_stops_is_refused(stop):
    """The message contains both numbers."""
    with pytest.raises(WrongUse, match=r"ColdStop\(entropy=.*, steps=.*\): give"):
        ColdStop(**stop)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3_text", "t5"])
@property_test(6)
@given(batches(longest=20, most=5), st.floats(1, 5))
def test_cold_stop_does_not_depend_on_the_batch(architecture, batch, bound):
    """Each sequence stops where it stops alone, even if its neighbours leave the batch earlier or later."""
    lm, stop = tiny(architecture), ColdStop(bound, steps=2)
    together = [drawn.tensor(lm) for drawn in batch]
    for trace, sequence in zip(write_concepts(lm, together, 6, STUDY_SMALL, stop), together, strict=True):
        (single,) = write_concepts(lm, [sequence], 6, STUDY_SMALL, stop)
        assert (trace.stopped, len(trace.steps)) == (single.stopped, len(single.steps))


STUDY_SMALL = Mixing(STUDY.temperature, top_k=20, sharpening=STUDY.sharpening, max_norm=STUDY.max_norm)


@every_architecture
def test_concept_tokens_stop_at_the_context(architecture):
    """As with tokens, the last one is written after the last position and not fed back."""
    lm = tiny(architecture)
    trace, shorter = write_concepts(lm, [torch.arange(CONTEXT - 2), torch.arange(CONTEXT - 20)], n=9)
    expected = (9, "length") if lm.engine.is_encoder_decoder else (3, "context")
    assert (len(trace.steps), trace.stopped) == expected
    assert (len(shorter.steps), shorter.stopped) == (9, "length")


def test_end_tokens_are_mixed_like_any_other():
    """A concept token never ends the text: only the requested number, Cold Stop and the context do."""
    lm = tiny("llama")
    row = torch.full((1, ROWS), -torch.inf)
    row[0, END] = 0.0
    written = ConceptWriter(lm)(row, torch.tensor([0]), 0)
    assert written.stopped == [None]
    assert torch.equal(written.inputs, lm.embed(torch.tensor([END])))
    assert TokenWriter(lm)(row, torch.tensor([0]), 0).stopped == ["end"]


def test_a_concept_token_keeps_its_heaviest_components(monkeypatch):
    """Of a mixture with more components than are kept, the heaviest are kept, in order, and never one of weight 0."""
    lm = tiny("llama")
    ((full,),) = [trace.steps for trace in write_concepts(lm, [torch.arange(4)], 1)]
    assert len(full.mixture.token_ids) == TOKENS, "a plain mixture has every token and no padded row"
    monkeypatch.setattr("vsg_core.generator.writing.writers.HEAVIEST", 5)
    ((cut,),) = [trace.steps for trace in write_concepts(lm, [torch.arange(4)], 1)]
    assert cut.mixture == Mixture(full.mixture.token_ids[:5], full.mixture.weights[:5])
    assert torch.equal(cut.vector, full.vector), "what is fed back is the whole mixture"
    assert cut.mixture.spelled(lm, 2) == [
        (lm.token(i), w) for i, w in zip(cut.mixture.token_ids[:2], cut.mixture.weights[:2], strict=True)
    ]


def test_tokens_without_weight_are_not_components():
    """top_k asks for more tokens than have any probability; only those that have some are named."""
    row = torch.full((1, ROWS), -torch.inf)
    row[0, [7, 9]] = torch.tensor([1.0, 2.0])
    for mixing in (Mixing(top_k=10), PLAIN):
        (concept,) = ConceptWriter(tiny("llama"), mixing)(row, torch.tensor([0]), 0).kept
        assert concept.mixture.token_ids == (9, 7)


def test_a_mixture_shorter_than_the_bound_keeps_its_length():
    """The norm is clipped only from above: with the study's bound, and with one of a third of the mean norm."""
    lm, row = tiny("llama"), torch.zeros(1, ROWS).masked_fill(~tiny("llama").is_token, -torch.inf)
    free = ConceptWriter(lm, Mixing())(row, torch.tensor([0]), 0).inputs
    assert free.norm() < 0.3 * lm.embedding_norm, "a mean of random vectors is short"
    for bound in (1.5, 1 / 3):
        assert torch.equal(ConceptWriter(lm, Mixing(max_norm=bound))(row, torch.tensor([0]), 0).inputs, free)


@every_architecture
@property_test(8)
@given(
    st.lists(
        st.tuples(st.integers(0, TOKENS - 1), st.floats(0.1, 1)),
        min_size=1,
        max_size=4,
        unique_by=lambda p: p[0],
    )
)
def test_sparse_mixtures_are_recovered_from_their_vectors(architecture, parts):
    """With up to four tokens in a table of 60 by 24 or 32, the reader finds exactly these and their weights."""
    lm = tiny(architecture)
    weights = torch.zeros(1, ROWS)
    for token, weight in parts:
        weights[0, token] = weight / sum(w for _, w in parts)
    (found,) = decompose(lm, lm.mix(weights))
    torch.testing.assert_close(lm.mix([found]), lm.mix(weights), atol=1e-2, rtol=1e-2)
    assert list(found.weights) == sorted(found.weights, reverse=True)


def test_a_vector_that_no_token_explains_gets_no_padded_row():
    """The vector of a padded row is explained by tokens or not at all."""
    lm = tiny("llama")
    for found in decompose(lm, lm.embedding_table[TOKENS:]):
        assert all(token < TOKENS for token in found.token_ids), f"rows that are no token were found: {found}"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_nearest_token_of_small_and_large_vectors(scale):
    """Noise far inside and far outside the table, also in bfloat16, is compared with every distance in float64."""
    for dtype in (torch.float32, torch.bfloat16):
        lm = tiny("gemma3_text", dtype)
        noise = torch.randn(30, 32, generator=torch.Generator().manual_seed(1)) * scale
        ids, distances = nearest_tokens(lm, noise)
        every = torch.cdist(noise.double(), lm.embedding_table[:TOKENS].double())
        torch.testing.assert_close(distances.double(), every.amin(-1), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(
            every.gather(-1, ids.unsqueeze(-1)).squeeze(-1), every.amin(-1), rtol=1e-6, atol=0
        )


def test_among_equal_rows_the_lowest_id_is_the_nearest():
    """Tokens that share an embedding are common in real tables; the answer must not depend on the batch."""
    lm = tiny("qwen2", torch.float16)
    with torch.no_grad():
        lm.embedding_table[40] = lm.embedding_table[20]
    assert nearest_tokens(lm, lm.embed(torch.tensor([40, 20])))[0].tolist() == [20, 20]


def test_a_frame_for_an_encoder_ends_once():
    """T5 closes a text with </s>, which appears at the end of the whole, not after the first part."""
    lm = tiny("t5")
    vectors = lm.embed(torch.tensor([30, 31]))
    end = lm.embed(torch.tensor([END]))
    assert torch.equal(lm.join("w5 w6", vectors), torch.cat([lm.embed(torch.tensor([5, 6])), vectors, end]))
    framed = nearest_tokens(lm, completion_frame(lm, vectors))[0].tolist()
    assert framed == [1, 1, 1, 30, 31, 1, 1, 1, 1, END]
    assert torch.equal(lm.join("w5 w6"), lm.embed_text("w5 w6"))
