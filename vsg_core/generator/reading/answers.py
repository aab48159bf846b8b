"""Decide whether a reply mentions a word."""

from __future__ import annotations

import re
from collections.abc import Iterable


def mentions(reply: str, words: Iterable[str]) -> bool:
    """Return whether the reply has one of the words as a whole word, in any case, alone or with a plural s."""
    return any(re.search(rf"(?<!\w){re.escape(word)}(?:e?s)?(?!\w)", reply, re.IGNORECASE) for word in words)


def first_line(reply: str) -> str:
    """The first line of a reply that is not blank; empty if all are."""
    return next((line for line in reply.splitlines() if line.strip()), "")
