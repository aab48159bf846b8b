"""Whether a reply names a word."""

from __future__ import annotations

import re
from collections.abc import Iterable


def names(reply: str, words: Iterable[str]) -> bool:
    """Whether one of the words stands in the reply as a whole word, in any case, alone or in its plural with s."""
    return any(re.search(rf"(?<!\w){re.escape(word)}(?:e?s)?(?!\w)", reply, re.IGNORECASE) for word in words)


def first_line(reply: str) -> str:
    """The first line of a reply that says anything."""
    return next((line for line in reply.splitlines() if line.strip()), "")
