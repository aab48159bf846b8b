"""Vectors of two nouns, noise in their place, and the frames that ask for them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

from fixtures.readings import (
    ALONE_TOP,
    NOISE,
    NOISE_WITH_PROMPT,
    VECTOR,
    WITH_PROMPT,
    copying,
    embed_pairs,
    noise_as_long_as,
    read_own,
)
from tests.architectures import tiny
from vsg_core.errors import NotApplicable
from vsg_core.mixture import STUDY
from vsg_core.writers import write_concepts

DATA = Path(__file__).parent.parent / "fixtures" / "data"
PAIRS = [(f"w{i}", f"w{i + 1}") for i in range(3, 23)] * 5


@pytest.fixture(scope="module")
def lm():
    return tiny("llama")


def test_pairs_of_single_tokens(lm):
    """Others are left out; a mixture is 0.6 and 0.4 of its own two embeddings; too few pairs are no test."""
    vectors = embed_pairs(lm, [("w1 w2", "w3"), *PAIRS, ("w3", "w4 w5")])
    assert vectors.pairs == PAIRS
    first, second = (lm.embed(lm.tokenize(word, special=False)) for word in PAIRS[7])
    torch.testing.assert_close(vectors.mixture[7:8], 0.6 * first + 0.4 * second)
    torch.testing.assert_close(vectors.even[7:8], (first + second) / 2)
    with pytest.raises(NotApplicable, match="only 99 of 100 pairs"):
        embed_pairs(lm, [("w1 w2", "w3"), *PAIRS[1:]])


def test_noise_is_as_long_as_what_it_replaces():
    """Row by row, whatever the lengths; the same each time; no two rows alike."""
    vectors = torch.diag(torch.tensor([1.0, 5.0, 0.01]))
    noise = noise_as_long_as(vectors)
    torch.testing.assert_close(noise.norm(dim=-1), vectors.norm(dim=-1))
    assert torch.equal(noise, noise_as_long_as(vectors))
    directions = torch.nn.functional.normalize(noise, dim=-1)
    assert (directions @ directions.T - torch.eye(3)).abs().max() < 0.999


def test_copying_frame_puts_the_vector_where_its_examples_have_the_word(lm):
    """With a word's own embedding it is the text of a further example, up to where the answer stands."""
    word = lm.tokenize("w9", special=False)
    text = "The meaning of w4 in plain English is w4.\nw7\nThe meaning of w9 in plain English is"
    found = copying(lm, ["w4"])(lm.embed(word), "w7\n")
    torch.testing.assert_close(found, lm.embed(lm.tokenize(text)))


def test_own_concept_tokens_are_read_one_by_one_as_in_a_batch(lm):
    """Each arm's probability is that of the concept token's heaviest component, with its prompt or without."""
    prompts, frame = ["w5 w9", "w7", "w11 w3 w8"], copying(lm, ["w4", "w6"])
    concepts = [write_concepts(lm, [lm.tokenize(prompt)], mixing=STUDY)[0].steps[0] for prompt in prompts]
    noise = noise_as_long_as(torch.stack([concept.vector for concept in concepts]))
    for one, prompt, concept, random in zip(
        read_own(lm, prompts, frame), prompts, concepts, noise, strict=True
    ):
        heaviest = concept.token_ids[0]
        top = lm.embed(torch.tensor(heaviest))
        shown = {
            VECTOR: (concept.vector, ""), NOISE: (random, ""), ALONE_TOP: (top, ""),
            WITH_PROMPT: (concept.vector, f"{prompt}\n"), NOISE_WITH_PROMPT: (random, f"{prompt}\n"),
        }  # fmt: skip
        for arm, (vector, before) in shown.items():
            likely = lm.next_logits([frame(vector.unsqueeze(0), before)]).softmax(-1)[0]
            assert one.top[arm] == pytest.approx(likely[heaviest].item(), abs=1e-5)
            assert one.named[arm] == int(likely.argmax())


def test_no_noun_comes_twice():
    """Naming a noun is evidence of its own vector only: no other pair, and no example, has it."""
    data = tomllib.loads((DATA / "noun_pairs.toml").read_text())
    words = [word for pair in [*data["pairs"], *data["example_pairs"]] for word in pair]
    assert len(words) == len(set(words)) == 246
    assert not set(data["examples"]) & {word for pair in data["pairs"] for word in pair}


def test_placeholders_half_the_list_away_share_no_words():
    """A shuffled pair is a wrong pair."""
    entries = [
        {word, *senses}
        for word, senses in tomllib.loads((DATA / "placeholders.toml").read_text())["placeholders"]
    ]
    half = len(entries) // 2
    assert len(entries) == 60
    assert not [
        own & other
        for own, other in zip(entries, entries[half:] + entries[:half], strict=True)
        if own & other
    ]
