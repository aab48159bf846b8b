"""When a reply names a word."""

from __future__ import annotations

import pytest

from vsg_core.generator.reading.answers import first_line, mentions


@pytest.mark.parametrize("reply", ["a dog.", "Dog", '"DOGS"', "it's the dog's", "\n\nthe dog"])
def test_a_whole_word_counts_in_any_case_and_plural(reply):
    """Case, punctuation around it and a plural s do not hide a word."""
    assert mentions(reply, ["cat", "dog"])


@pytest.mark.parametrize("reply", ["dogma", "hotdog", "", "a d.o.g", "underdogs"])
def test_a_part_of_a_word_does_not_count(reply):
    """A word inside another is not named."""
    assert not mentions(reply, ["dog"])


def test_words_are_taken_literally():
    """What has a meaning in a pattern stands for itself."""
    assert mentions("costs [X] dollars", ["[X]"])
    assert not mentions("costs X dollars", ["[X]"])


def test_first_line_skips_what_is_empty():
    """White space before the answer is no answer, and what follows it is left out."""
    assert first_line("\n  \n dog\ncat") == " dog"
    assert first_line(" \n") == ""
