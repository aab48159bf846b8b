"""What the claims on noise, language and slices count: surprise, new pairs, scripts, lost pieces, phrases."""

from __future__ import annotations

import pytest
import torch

from fixtures.replies import new_pairs, surprisal_bits
from hypotheses.test_harness import lacks_first_piece
from hypotheses.test_language import scripts
from hypotheses.test_noise_content import admits
from tests.architectures import tiny


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_surprisal_is_what_the_library_gives_each_text(architecture):
    """Texts of different lengths, read together, surprise as each does in one pass of transformers' own model."""
    lm = tiny(architecture)
    starts, texts = [[3], [4, 5], [3]], [[7, 8, 9, 10], [11, 12], [13]]
    found = surprisal_bits(lm, [torch.tensor(start) for start in starts], texts)
    for start, text, bits in zip(starts, texts, found, strict=True):
        with torch.no_grad():
            logits = lm.engine.model(torch.tensor([[*start, *text]])).logits[
                0, len(start) - 1 : -1
            ]  # [text, vocab]
        chances = logits.masked_fill(~lm.is_token, -torch.inf).softmax(-1)[range(len(text)), text]
        assert bits == pytest.approx(-chances.log2().mean().item(), abs=1e-3)
    assert surprisal_bits(lm, [], []) == []


def test_new_pairs_are_those_found_nowhere_else():
    """A pair that comes again, in the same text or in another, is new in neither."""
    assert new_pairs([[1, 2, 1, 2], [3, 1, 2], [5]]) == [1 / 3, 1 / 2, 0]


def test_scripts_are_those_of_the_letters():
    """Digits, signs and what could not be decoded have no script; letters of any width are Latin."""
    assert scripts("Zürich 2, ＡＢ!") == {"LATIN"}
    assert scripts("正确 A. Париж \N{REPLACEMENT CHARACTER}") == {"CJK", "LATIN", "CYRILLIC"}
    assert scripts("½ €") == set()


@pytest.mark.parametrize(
    ("reply", "lost"),
    [
        ("ариж, Париж", True),
        (" \N{REPLACEMENT CHARACTER}ж.", True),
        (" Париж, Париж", False),
        (", Париж", False),
        ("арижский", False),
        ("", False),
    ],
)
def test_a_piece_is_lost_where_only_an_end_is_left(reply, lost):
    """An end of the name, as a word by itself and first in the reply, is what tells that its beginning is gone."""
    assert lacks_first_piece("Париж", reply) is lost


def test_phrases_are_found_whatever_their_apostrophes_and_capitals():
    """I Don’t Understand is I don't understand."""
    assert admits("Sorry, I Don’t Understand it.", ["don't understand"])
    assert not admits("I understand.", ["don't understand"])
