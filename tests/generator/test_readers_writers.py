"""Writing concept tokens and reading vectors back, on tiny models of each architecture."""

from __future__ import annotations

import pytest
import torch

from tests.support.architectures import TOKENS, every_architecture, tiny
from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.generator.mixing.distributions import entropy_bits
from vsg_core.generator.mixing.presets import PLAIN, STUDY, Mixing
from vsg_core.generator.mixing.weights import mixture_weights
from vsg_core.generator.reading.decomposition import decompose
from vsg_core.generator.reading.frames import chat_frame, completion_frame, few_shot_frame
from vsg_core.generator.reading.nearest import nearest_tokens
from vsg_core.generator.writing.writers import ColdStop, write_concepts

SEQUENCES = [torch.arange(3, 9), torch.arange(20, 23), torch.tensor([7])]


@every_architecture
def test_a_concept_token_is_the_mixture_of_the_next_distribution(architecture):
    """Vector, components, weights and entropy are those of the logits after the prompt."""
    lm = tiny(architecture)
    logits = lm.next_logits(SEQUENCES)
    weights = mixture_weights(logits, Mixing(top_k=10))
    for i, trace in enumerate(write_concepts(lm, SEQUENCES, 1, Mixing(top_k=10))):
        (concept,) = trace.steps
        torch.testing.assert_close(concept.vector, lm.mix(weights)[i], atol=1e-4, rtol=1e-4)
        assert concept.token_id == int(logits[i].argmax())
        assert sum(concept.mixture.weights) == pytest.approx(1, abs=1e-5)
        assert list(concept.mixture.weights) == sorted(concept.mixture.weights, reverse=True)
        assert concept.entropy == pytest.approx(entropy_bits(logits)[i].item(), abs=1e-3)


@every_architecture
def test_a_concept_token_is_fed_back(architecture):
    """The second one is computed from the logits after the prompt with the first vector appended."""
    lm = tiny(architecture)
    first, second = write_concepts(lm, SEQUENCES[:1], 2, PLAIN)[0].steps
    if lm.engine.is_encoder_decoder:
        ((_, state),) = lm.prefill(SEQUENCES[:1], room=1)
        logits = lm.step(state, first.vector.unsqueeze(0)).logits
    else:
        logits = lm.next_logits([lm.join(SEQUENCES[0], first.vector.unsqueeze(0))])
    expected = lm.mix(mixture_weights(logits))[0]
    torch.testing.assert_close(second.vector, expected, atol=1e-4, rtol=1e-4)


def test_the_norm_is_clipped_to_a_multiple_of_the_mean():
    lm = tiny("llama")
    (concept,) = write_concepts(lm, SEQUENCES[:1], 1, Mixing(temperature=0.01, max_norm=0.5))[0].steps
    assert concept.vector.norm().item() == pytest.approx(0.5 * lm.embedding_norm, rel=1e-4)


def test_cold_stop_ends_after_consecutive_low_entropies():
    """The entropies are far below 100 bits, so the second of two cold steps ends it, and that step is not kept."""
    trace = write_concepts(tiny("llama"), SEQUENCES[:1], 5, PLAIN, ColdStop(entropy=100.0, steps=2))[0]
    assert (len(trace.steps), trace.stopped) == (1, "cold")
    trace = write_concepts(tiny("llama"), SEQUENCES[:1], 5, PLAIN, ColdStop(entropy=1e-9, steps=2))[0]
    assert (len(trace.steps), trace.stopped) == (5, "length")


def test_a_cold_stop_out_of_range_is_named():
    with pytest.raises(WrongUse, match="entropy=0"):
        ColdStop(entropy=0)


@every_architecture
def test_the_nearest_token_has_the_smallest_of_all_distances(architecture):
    """The result is that of torch.cdist on the whole table; a token's own embedding is at distance 0."""
    lm = tiny(architecture)
    noise = torch.randn(40, lm.embedding_table.shape[-1], generator=torch.Generator().manual_seed(0))
    ids, distances = nearest_tokens(lm, noise)
    every = torch.cdist(noise.double(), lm.embedding_table[:TOKENS].double())
    assert ids.tolist() == every.argmin(-1).tolist()
    torch.testing.assert_close(distances.double(), every.amin(-1), atol=1e-5, rtol=1e-5)
    own, zero = nearest_tokens(lm, lm.embed(torch.arange(TOKENS)))
    assert own.tolist() == list(range(TOKENS))
    assert zero.max() == 0
    padded, _ = nearest_tokens(lm, lm.embedding_table[TOKENS:])
    assert (padded < TOKENS).all()


def test_a_sparse_mixture_is_recovered_from_its_vector():
    """Three tokens with their weights, and a single token, are found in a table of 60 rows and 32 dimensions."""
    lm = tiny("llama")
    weights = torch.zeros(2, lm.engine.vocab_size)
    weights[0, [5, 17, 40]] = torch.tensor([0.6, 0.3, 0.1])
    weights[1, 33] = 1.0
    mixed, single = decompose(lm, lm.mix(weights))
    assert mixed.by_token() == pytest.approx({5: 0.6, 17: 0.3, 40: 0.1}, abs=1e-2)
    assert single.by_token() == pytest.approx({33: 1.0}, abs=1e-4)


def test_frames_put_the_vectors_in_the_place_of_a_word():
    """Each frame is its text's embeddings with the vectors in between, and BOS once at its start."""
    lm = tiny("llama")
    vectors = lm.mix(mixture_weights(lm.next_logits(SEQUENCES[:2]), STUDY_SMALL))

    def text(words: str) -> torch.Tensor:
        return lm.embed(lm.tokenize(words, special=False))

    bos = lm.embed(torch.tensor([0]))
    meaning, plain = text("The meaning of"), text(" in plain English is")
    assert torch.equal(lm.join("w5 w6", vectors), torch.cat([bos, text("w5 w6"), vectors]))
    assert torch.equal(completion_frame(lm, vectors), torch.cat([bos, meaning, vectors, plain]))
    framed = few_shot_frame(lm, [("w7", "w8")], vectors)
    example = torch.cat([text("The meaning of"), text(" w7"), text(" in plain English is w8.\n")])
    assert torch.equal(framed, torch.cat([bos, example, meaning, vectors, plain]))


STUDY_SMALL = Mixing(STUDY.temperature, top_k=20, sharpening=STUDY.sharpening)


def test_a_model_without_a_chat_template_has_no_chat_frame():
    with pytest.raises(NotApplicable, match="no chat template"):
        chat_frame(tiny("llama"), torch.zeros(1, 32))
