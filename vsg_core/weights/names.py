"""Names of models: readable in every script, and usable as names of files on every system."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from vsg_core.vocabulary import ACROSS

# The embedded model: small, and available from a package index.
DEFAULT_MODEL = "smollm2-135m-instruct"
# Bytes of a name before its endings: a file name has at most 255, of which digest, extension and a temporary suffix
# take up to 40.
LONGEST = 160
# Hexadecimal digits of a digest in a name.
DIGITS = 8
# Names that Windows reserves for devices, with any extension.
DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
# It joins emoji, and letters of some scripts.
JOINER = "\u200d"


def slug(text: str) -> str:
    """Return a name for a text: lower case, with letters, digits and symbols of any script.

    Latin punctuation, spaces and what cannot be seen become hyphens. A text of more than LONGEST bytes is cut and
    ends with a digest of the whole.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    name = re.sub("\0+", "-", "".join(char if _kept(char) else "\0" for char in plain))
    name = name.strip("-." + JOINER)
    while name and unicodedata.category(name[0]).startswith("M"):
        name = name[1:].lstrip("-.")
    name = _shortened(name) or "model"
    return f"{name}-local" if name == ACROSS or DEVICES.fullmatch(name) else name


def is_name(text: str) -> bool:
    """Return whether a text can name the files of a model or claim; every `slug` can."""
    return (
        len(text) > 0
        and all(_kept(char) or char.isalnum() or char in "+@" for char in text)
        and text[0] not in ".-+@"
        and len(text.encode("utf-8", "surrogatepass")) <= LONGEST + 40
    )


def with_digest(name: str, weights: str, digits: int = DIGITS) -> str:
    """Return a name with the beginning of the digest, or of the revision, of the model's weights."""
    return f"{name}-{weights[:digits]}"


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit, which never names other bytes, and not a branch or a tag."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def _kept(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in "._-"
    return unicodedata.category(char)[0] in "LMNS" or char == JOINER


def _shortened(name: str) -> str:
    encoded = name.encode("utf-8", "replace")
    if len(encoded) <= LONGEST:
        return name
    start = encoded[: LONGEST - DIGITS - 1].decode("utf-8", "ignore").rstrip("-." + JOINER)
    return f"{start}-{hashlib.sha256(encoded).hexdigest()[:DIGITS]}"


def shown(text: object) -> str:
    """Return a text on one line: control characters, and bytes that are not UTF-8, as escapes."""
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") else ascii(char)[1:-1]
        for char in str(text)
    )
