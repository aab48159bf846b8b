"""The nearest tokens of vectors, by three measures."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from tests.support.architectures import TOKENS, every_architecture, tiny, tokenizer
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import WrongUse
from vsg_core.generator.reading.nearest import nearest_tokens


@pytest.mark.parametrize("by", ["cosine", "centred"])
@every_architecture
def test_the_nearest_token_by_angle_is_the_nearest_of_all(architecture, by):
    """The result is the best of all angles in float64, with the mean subtracted if centred; padded rows never count."""
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


def test_measures_treat_length_and_the_common_mean_differently():
    """A short vector along a token is that token by angle, but by distance a token with a short embedding can win."""
    lm = tiny("llama")
    ids = torch.arange(TOKENS)
    assert nearest_tokens(lm, 0.01 * lm.embed(ids), "cosine")[0].tolist() == ids.tolist()
    assert nearest_tokens(lm, 0.01 * lm.embed(ids), "l2")[0].tolist() != ids.tolist()
    middle = lm.embed(ids).mean(0)
    shrunk = middle + 0.01 * (lm.embed(ids) - middle)
    assert nearest_tokens(lm, shrunk, "centred")[0].tolist() == ids.tolist()
    assert nearest_tokens(lm, shrunk, "cosine")[0].tolist() != ids.tolist()


def test_centring_removes_what_all_tokens_share():
    """In a table far from the origin, as real ones are, the result is the best of all centred angles in float64."""
    model = deepcopy(engine_of(tiny("llama")).model)
    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        # Rows of many lengths.
        weight.mul_(torch.linspace(0.1, 3.0, len(weight)).unsqueeze(1)).add_(5.0)
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
