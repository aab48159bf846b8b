"""Decide whether a reply mentions a word."""

from __future__ import annotations

import re
from collections.abc import Iterable


def mentions(reply: str, words: Iterable[str], *, plural: bool = True, any_case: bool = True) -> bool:
    """Return whether the reply has one of the words as a whole word.

    Args:
        plural: a plural s may follow the word.
        any_case: the case of its letters does not matter.
    """
    ending = "(?:e?s)?" if plural else ""
    flags = re.IGNORECASE if any_case else re.NOFLAG
    return any(re.search(rf"(?<!\w){re.escape(word)}{ending}(?!\w)", reply, flags) for word in words)


def first_line(reply: str) -> str:
    """The first line of a reply that is not blank; empty if all are."""
    return next((line for line in reply.splitlines() if line.strip()), "")
