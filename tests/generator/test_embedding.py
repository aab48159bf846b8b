"""Ids, mixtures and vectors as embeddings: exactly what the model itself looks up, on every architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given

from tests.support.architectures import ARCHITECTURES, ROWS, TOKENS, as_input, every_architecture, tiny
from tests.support.drawing import Drawn, distributions, property_test, sequences
from tests.support.engines import engine_of
from vsg_core.errors import VsgError
from vsg_core.weights import registry

every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)


def test_every_architecture_of_the_registry_has_a_tiny_model():
    """A model with a new architecture in the registry needs a tiny one in tests/support/architectures.py."""
    missing = {entry.architecture for entry in registry.entries()} - {
        name.split()[0] for name in ARCHITECTURES
    }
    assert not missing, f"add a tiny random model of {sorted(map(str, missing))} to tests/architectures.py"


@every_dtype
@every_architecture
def test_a_one_hot_mixture_is_the_models_own_embedding(architecture, dtype):
    """All weight on one token gives, bit for bit, what the model's embedding module gives for its id."""
    lm = tiny(architecture, dtype)
    mixed = lm.mix(torch.eye(ROWS)[:TOKENS])  # [tokens, hidden]
    own = engine_of(lm).model.get_input_embeddings()(torch.arange(TOKENS)).detach()
    different = (mixed != own).any(-1).nonzero().flatten().tolist()
    assert mixed.dtype == dtype
    assert not different, f"tokens {different} of {architecture} embed differently"


@every_architecture
def test_embeddings_are_those_that_the_model_computes_from_ids(architecture):
    """Ids passed as `lm.embed(ids)` give bit for bit the logits of the ids: no scale or position is applied twice."""
    lm = tiny(architecture)
    ids = torch.tensor([5, 7, 7, 30, 59])
    model = engine_of(lm).model
    answer = {"decoder_input_ids": torch.tensor([[1]])} if lm.engine.is_encoder_decoder else {}
    with torch.no_grad():
        from_ids = model(**as_input(lm, list(ids)), **answer).logits
        from_embeddings = model(**as_input(lm, list(lm.embed(ids))), **answer).logits
    assert torch.equal(from_ids, from_embeddings), (
        f"{architecture}: logits of embeddings are not those of ids"
    )


@every_architecture
def test_the_table_holds_every_row_as_the_model_embeds_it(architecture):
    """`embedding_table` is the embedding module applied to every id, padded rows included."""
    lm = tiny(architecture)
    assert torch.equal(lm.embedding_table, lm.embed(torch.arange(ROWS)))
    assert lm.embedding_table.shape[0] == lm.engine.vocab_size == ROWS
    assert not lm.embedding_table.requires_grad


@every_architecture
@property_test()
@given(distributions(TOKENS))
def test_a_mixture_is_the_weighted_sum(architecture, weights):
    """A mixture is the sum of the model's own embeddings times their weights, computed in float64 for comparison."""
    lm = tiny(architecture)
    probabilities = torch.nn.functional.pad(weights, (0, ROWS - TOKENS)).unsqueeze(0)
    by_hand = weights @ lm.embed(torch.arange(TOKENS)).double()
    torch.testing.assert_close(lm.mix(probabilities)[0].double(), by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gemma3_text"])
def test_the_mixture_of_a_row_does_not_depend_on_its_batch(architecture):
    """A row mixes to the same vector alone, next to a one-hot row and next to one that spreads over all tokens."""
    lm = tiny(architecture)
    spread = torch.full((ROWS,), 1 / TOKENS).masked_fill(~lm.is_token, 0)
    rows = torch.stack([torch.eye(ROWS)[3], spread, torch.eye(ROWS)[3] / 2 + torch.eye(ROWS)[4] / 2])
    alone = torch.cat([lm.mix(row.unsqueeze(0)) for row in rows])
    torch.testing.assert_close(lm.mix(rows), alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["one token first", "all tokens first"])
def test_a_row_that_needs_the_whole_table_is_found_anywhere_in_its_batch(order, monkeypatch):
    """With more tokens than are gathered in only one of the rows, each row is still the sum of all its tokens."""
    monkeypatch.setattr("vsg_core.generator.model.embeddings.GATHERED", 3)
    lm = tiny("llama")
    rows = torch.stack([torch.eye(ROWS)[3], (~lm.is_token).float().sub(1).abs() / TOKENS])[order]
    torch.testing.assert_close(lm.mix(rows), rows @ lm.embedding_table, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (torch.eye(ROWS)[TOKENS:], "rows that only pad the embedding table"),
        (torch.full((1, ROWS), 1 / ROWS), "rows that only pad the embedding table"),
        (torch.full((1, ROWS), float("nan")), "NaN"),
        (torch.eye(ROWS)[:1] * 2 - torch.eye(ROWS)[1:2], "negative"),
    ],
    ids=["padded row", "weight everywhere", "NaN", "negative"],
)
def test_weights_that_are_not_a_mixture_of_tokens_are_refused(weights, says):
    """NaN, negative weights and weight on a row that is not a token are each reported in one line."""
    with pytest.raises(VsgError, match=says):
        tiny("qwen2").mix(weights)


@every_architecture
def test_weights_of_named_tokens_mix_as_those_of_the_whole_vocabulary(architecture):
    """`mix(weights, ids)` is the mixture with these weights at these ids; a padded row among them is refused."""
    lm = tiny(architecture)
    ids, weights = torch.tensor([[5, 9, 3], [50, 4, 59]]), torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    whole = torch.zeros(2, ROWS).scatter(1, ids, weights)
    torch.testing.assert_close(lm.mix(weights, ids), lm.mix(whole))
    assert torch.equal(lm.mix(weights, ids)[1], lm.embed(ids)[1, 0]), "a one-hot mixture is exact"
    with pytest.raises(VsgError, match="rows that only pad the embedding table"):
        lm.mix(weights, ids.masked_fill(ids == 3, TOKENS))


def test_measures_of_the_table_leave_padded_rows_out():
    """Standard deviation and mean norm are computed over the rows of tokens."""
    lm = tiny("qwen2")
    rows = lm.embed(torch.arange(TOKENS))
    assert lm.is_token.tolist() == [True] * TOKENS + [False] * (ROWS - TOKENS)
    assert lm.embedding_std == pytest.approx(rows.std().item())
    assert lm.embedding_norm == pytest.approx(rows.norm(dim=-1).mean().item())


def test_rows_that_a_gguf_names_as_padding_are_not_tokens():
    """A GGUF's tokenizer lists padded rows as [PAD57], [PAD58]; these are not tokens, but a word [PAD] is."""
    lm = tiny("qwen2")
    known = lm.tokenizer.get_vocab()
    padded = {f"[PAD{TOKENS + 1}]": TOKENS + 1, "[PAD]": TOKENS + 2, "[PAD3]": TOKENS + 3}
    facts: dict[str, Any] = {
        "get_vocab": lambda self: known | padded,
        "chat_template": None,
        "all_special_ids": [],
    }
    named = type("Named", (), facts)()
    tokens = type(lm)(engine_of(lm).model, named, end_ids=()).is_token[TOKENS:].tolist()
    assert tokens[1:4] == [False, True, True], "only [PADi] at row i is padding"


@property_test()
@given(sequences(), sequences())
def test_join_puts_text_ids_and_vectors_one_after_another(first: Drawn, second: Drawn):
    """Parts of any form become one sequence of embeddings, in order."""
    lm = tiny("gemma3_text", torch.bfloat16)
    parts = [first.tensor(lm), second.tensor(lm)]
    by_hand = [part if part.is_floating_point() else lm.embed(part) for part in parts]
    assert torch.equal(lm.join(*parts), torch.cat(by_hand))
    assert torch.equal(lm.join(by_hand[0].float(), parts[1]), torch.cat(by_hand)), "float32 vectors fit too"
