"""Reading vectors back: nearest tokens by three measures, the identity prompt, interleaved generation."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from tests.architectures import TOKENS, every_architecture, tiny, tokenizer
from vsg_core import LanguageModel
from vsg_core.errors import WrongUse
from vsg_core.interleaving import interleave
from vsg_core.mixture import Mixing
from vsg_core.readers import identity_frame, nearest_tokens
from vsg_core.writers import write_concepts

SEQUENCES = [torch.arange(3, 9), torch.arange(20, 23), torch.tensor([7])]


@pytest.mark.parametrize("by", ["cosine", "centred"])
@every_architecture
def test_the_nearest_by_angle_is_the_nearest_of_all_angles(architecture, by):
    """Against every angle in float64, the table's mean taken from both where it is centred; padded rows never count."""
    lm = tiny(architecture)
    table = lm.embedding_table[:TOKENS].double()
    noise = torch.randn(40, table.shape[-1], generator=torch.Generator().manual_seed(0))
    middle = table.mean(0) if by == "centred" else torch.zeros(1).double()
    every = 1 - torch.cosine_similarity(
        (noise.double() - middle).unsqueeze(1), (table - middle).unsqueeze(0), dim=-1
    )
    ids, distances = nearest_tokens(lm, noise, by)
    assert ids.tolist() == every.argmin(-1).tolist()
    torch.testing.assert_close(distances.double(), every.amin(-1), atol=1e-5, rtol=1e-5)


def test_measures_differ_by_length_and_by_what_all_tokens_share():
    """A long vector along token 5 is that token by angle; by distance the token with the longest embedding may win."""
    lm = tiny("llama")
    ids = torch.arange(TOKENS)
    assert nearest_tokens(lm, 0.01 * lm.embed(ids), "cosine")[0].tolist() == ids.tolist()
    assert nearest_tokens(lm, 0.01 * lm.embed(ids), "l2")[0].tolist() != ids.tolist()
    middle = lm.embed(ids).mean(0)
    shrunk = middle + 0.01 * (lm.embed(ids) - middle)
    assert nearest_tokens(lm, shrunk, "centred")[0].tolist() == ids.tolist()
    assert nearest_tokens(lm, shrunk, "cosine")[0].tolist() != ids.tolist()


def test_centring_takes_out_what_all_tokens_share():
    """In a table far off its origin, as real ones are, against every centred angle in float64."""
    model = deepcopy(tiny("llama").engine.model)
    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        weight.mul_(torch.linspace(0.1, 3.0, len(weight)).unsqueeze(1)).add_(5.0)  # of many lengths
    lm = LanguageModel(model, tokenizer())
    table = lm.embedding_table[:TOKENS].double()
    noise = torch.randn(200, 32, generator=torch.Generator().manual_seed(0)) + 5.0
    angles = torch.cosine_similarity(
        (noise.double() - table.mean(0)).unsqueeze(1), (table - table.mean(0)).unsqueeze(0), dim=-1
    )
    ids, distances = nearest_tokens(lm, noise, "centred")
    assert ids.tolist() == angles.argmax(-1).tolist()
    torch.testing.assert_close(distances.double(), 1 - angles.amax(-1), atol=1e-5, rtol=1e-4)


def test_an_unknown_measure_is_named():
    with pytest.raises(WrongUse, match="by is 'angle': give one of l2, cosine, centred"):
        nearest_tokens(tiny("llama"), torch.zeros(1, 32), "angle")


def test_the_identity_prompt_has_the_vector_for_its_question_mark():
    """Patchscopes' prompt with the vectors between its last semicolon and an arrow, BOS once."""
    lm = tiny("llama")
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))

    def text(words: str, special: bool = False) -> torch.Tensor:
        return lm.embed(lm.tokenize(words, special=special))

    shown = text("cat->cat; 1135->1135; hello->hello; ", special=True)
    assert torch.equal(identity_frame(lm, vectors), torch.cat([shown, vectors, text("->")]))


def test_interleaving_goes_on_from_what_was_read_back():
    """Two rounds of two: the second round's vectors are those after the prompt with the first round's tokens."""
    lm = tiny("llama")
    mixing = Mixing(temperature=0.6, top_k=20)
    for sequence, written in zip(SEQUENCES, interleave(lm, SEQUENCES, 2, 2, mixing), strict=True):
        (first,) = write_concepts(lm, [sequence], 2, mixing)
        read = nearest_tokens(lm, torch.stack([concept.vector for concept in first.steps]))[0]
        (second,) = write_concepts(lm, [torch.cat([sequence, read])], 2, mixing)
        assert written.ids[:2] == read.tolist()
        for one, other in zip(written.concepts, [*first.steps, *second.steps], strict=True):
            torch.testing.assert_close(one.vector, other.vector, atol=1e-4, rtol=1e-4)


def test_one_vector_at_a_time_is_greedy_decoding():
    """Where every mixture is nearly its top token, reading each back at once leaves nothing of it."""
    lm = tiny("gpt2")
    written = interleave(lm, SEQUENCES, 1, 5, Mixing(temperature=0.01))
    for trace, greedy in zip(written, lm.generate(SEQUENCES, 5), strict=True):
        assert trace.ids[: len(greedy.ids)] == greedy.ids


def test_interleaving_past_the_context_is_refused():
    """The line says which sequence and how long it has become; so does one of no vectors a round."""
    lm = tiny("llama")
    with pytest.raises(WrongUse, match="sequence 0 has 41 tokens"):
        interleave(lm, [torch.arange(3, 41), torch.arange(3)], 3, 2)
    with pytest.raises(WrongUse, match="n is 0"):
        interleave(lm, SEQUENCES, 0, 2)
