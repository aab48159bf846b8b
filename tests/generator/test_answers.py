"""Deciding whether a reply names a word."""

from __future__ import annotations

import pytest

from vsg_core.generator.reading.answers import first_line, mentions


@pytest.mark.parametrize("reply", ["a dog.", "Dog", '"DOGS"', "it's the dog's", "\n\nthe dog"])
def test_a_whole_word_counts_in_any_case_and_plural(reply):
    """Case, punctuation and a plural s do not hide a word."""
    assert mentions(reply, ["cat", "dog"])


@pytest.mark.parametrize("reply", ["dogma", "hotdog", "", "a d.o.g", "underdogs"])
def test_part_of_a_word_does_not_count(reply):
    """A word inside a longer word is not named."""
    assert not mentions(reply, ["dog"])


def test_a_plural_or_another_case_can_be_refused():
    """The month of May is not the verb may, and an answer may have to be exactly as written."""
    assert mentions("in May.", ["May"], plural=False, any_case=False)
    assert not mentions("it may be", ["May"], any_case=False)
    assert mentions("two Dogs", ["Dog"], any_case=False)
    assert not mentions("two dogs", ["dog"], plural=False)
    assert mentions("a DOG", ["dog"], plural=False)


def test_words_are_taken_literally():
    """Characters that are special in regular expressions match themselves."""
    assert mentions("costs [X] dollars", ["[X]"])
    assert not mentions("costs X dollars", ["[X]"])


def test_the_first_line_skips_empty_lines():
    """White space before the answer is not an answer, and what follows the answer is left out."""
    assert first_line("\n  \n dog\ncat") == " dog"
    assert first_line(" \n") == ""
