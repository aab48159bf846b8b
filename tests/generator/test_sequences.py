"""Text in place of ids, random vectors and tokens, and what a model caches and when it releases it."""

from __future__ import annotations

from functools import cached_property

import pytest
import torch

from tests.support.architectures import TOKENS, every_architecture, tiny
from tests.support.engines import engine_of
from vsg_core import LanguageModel, Prompt, presets, think, write_concepts, write_hidden_states
from vsg_core.errors import WrongUse
from vsg_core.generator.writing.decoding import decode
from vsg_core.generator.writing.writers import TokenWriter

TEXTS = ["w5 w6 w7", "w9", "w20 w21"]


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_architecture
def test_text_gives_the_results_of_its_ids(architecture: str):
    """Special tokens are added once, as by lm.tokenize; text, ids and embeddings share a batch."""
    lm = tiny(architecture)
    ids = [lm.tokenize(text) for text in TEXTS]
    assert torch.equal(lm.next_logits(TEXTS), lm.next_logits(ids))
    mixed: list[Prompt] = [TEXTS[0], ids[1], lm.embed(ids[2])]
    torch.testing.assert_close(lm.next_logits(mixed), lm.next_logits(ids), atol=1e-4, rtol=1e-4)
    assert lm.generate(TEXTS, 4) == lm.generate(ids, 4)
    assert torch.equal(lm.library_scores(TEXTS), lm.library_scores(ids))


def test_hidden_states_and_writers_take_text():
    lm = tiny("llama")
    ids = [lm.tokenize(text) for text in TEXTS]
    assert torch.equal(lm.hidden_states(TEXTS), lm.hidden_states(ids))
    for write in (
        lambda sequences: decode(lm, sequences, TokenWriter(lm), 3),
        lambda sequences: [
            [concept.mixture for concept in trace.steps] for trace in write_concepts(lm, sequences, 2)
        ],
        lambda sequences: [
            [state.token_id for state in trace.steps] for trace in write_hidden_states(lm, sequences, 2)
        ],
        lambda sequences: think(lm, sequences, {"t": TokenWriter(lm)}, " w3", steps=2, answer_tokens=2),
    ):
        assert write(TEXTS) == write(ids)


@pytest.mark.parametrize("call", ["next_logits", "generate", "hidden_states", "library_scores"])
def test_a_single_text_in_place_of_a_list_is_refused(call: str):
    """Its letters would be taken for sequences."""
    with pytest.raises(WrongUse, match="'w5 w6' is one text: give a list"):
        getattr(tiny("llama"), call)("w5 w6")


def test_noise_equals_a_hand_made_draw():
    """They are equal to the last digit, and the generator continues as after the hand-made draw."""
    lm, ours, theirs = tiny("qwen2"), seeded(), seeded()
    for scale in (0.5, 1.0, 4.0):
        by_hand = torch.randn(3, 5, 32, generator=theirs) * (scale * lm.embedding_std)
        assert torch.equal(lm.noise(3, 5, generator=ours, scale=scale), by_hand)
    by_hand = torch.randn(7, 32, generator=theirs).to(torch.zeros(1)) * lm.embedding_std
    assert torch.equal(lm.noise(7, generator=ours), by_hand)
    assert torch.equal(lm.noise(2), lm.noise(2)), "seed 0 by default"
    assert tiny("qwen2", torch.bfloat16).noise(2).dtype == torch.bfloat16


def test_noise_has_the_norms_of_given_vectors():
    """Each row has its norm, no two rows are alike, and all equal a hand-made draw to the last digit."""
    lm = tiny("qwen2")
    vectors = torch.diag(torch.tensor([1.0, 5.0, 0.01]))
    noise = lm.noise_like(vectors, seeded())
    torch.testing.assert_close(noise.norm(dim=-1), vectors.norm(dim=-1))
    by_hand = torch.randn(3, 3, generator=seeded())
    by_hand = by_hand * (vectors.norm(dim=-1, keepdim=True) / by_hand.norm(dim=-1, keepdim=True))
    assert torch.equal(noise, by_hand)
    directions = torch.nn.functional.normalize(noise, dim=-1)
    assert (directions @ directions.T - torch.eye(3)).abs().max() < 0.999


def test_random_tokens_are_tokens_and_equal_a_hand_made_draw():
    lm = tiny("qwen2")
    assert lm.token_ids == list(range(TOKENS))
    drawn = lm.random_tokens(200, 9, generator=seeded())
    by_hand = torch.tensor(lm.token_ids)[torch.randint(TOKENS, (200, 9), generator=seeded())]
    assert torch.equal(drawn, by_hand)
    assert drawn.unique().tolist() == lm.token_ids, "every token can be drawn, but no padded row"


def test_nothing_cached_survives_a_change_of_dtype():
    """Each cached property, whatever its name and type, is recomputed in float64 and again afterwards."""
    lm = tiny("qwen2", torch.bfloat16)
    names = {
        name
        for owner in type(lm).__mro__
        for name, member in vars(owner).items()
        if isinstance(member, cached_property)
    }
    assert {"embedding_table", "embedding_std", "embedding_norm", "embedding_norms", "is_token"} <= names
    for name in names:
        getattr(lm, name)
    # Deliberately stale values.
    lm.__dict__.update(embedding_std=-1.0, embedding_norm=-1.0)
    with lm.in_float64():
        assert not names & vars(lm).keys()
        assert lm.embedding_std > 0 < lm.embedding_norm
        assert lm.embedding_table.dtype == torch.float64
        lm.__dict__.update(embedding_std=-1.0)
    assert lm.embedding_std > 0


def test_a_model_is_closed_after_an_error_too():
    """The twin's weights are released, those of the model are not."""
    lm, twin = tiny("llama"), tiny("llama").untrained()

    def fail_inside() -> None:
        with twin as entered:
            assert entered is twin
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert engine_of(twin).model is None
    assert engine_of(lm).model is not None


def test_the_tokens_that_end_an_answer_can_be_given():
    lm = tiny("llama")
    assert LanguageModel(engine_of(lm).model, lm.tokenizer, end_ids=()).end_ids == frozenset()
    (endless,) = LanguageModel(engine_of(lm).model, lm.tokenizer, end_ids=()).generate(["w5"], 30)
    assert len(endless.ids) == 30


def test_presets_are_the_published_settings():
    assert presets.PRESETS["study"] is presets.STUDY
    assert presets.SOFT_THINKING.top_n == 10
