"""Text that a model produced, shown literally: escaped, with what cannot be seen made visible."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

CLIP = 600  # characters of one text shown before the rest is folded away

# Invisible, though Unicode files them under letters, marks or symbols: Hangul fillers, the Braille blank,
# the grapheme joiner, two Khmer vowels, and the variation selectors.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5") | {
    chr(c) for c in range(0xFE00, 0xFE10)
}
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


def is_hidden(char: str) -> bool:
    """Return whether `char` shows nothing, or changes how its neighbours show (bidi marks, joiners, controls)."""
    if " " <= char <= "~" or char in "\n\t":
        return False
    return char in _BLANK or unicodedata.category(char) in _HIDDEN_CATEGORIES


def name_of(char: str) -> str:
    r"""A visible name for a hidden character: its escape, `\r`, `\x00` or `\u200b`."""
    if char in "\r\t":
        return "\\r" if char == "\r" else "\\t"
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str) -> str:
    """`text` with every hidden character replaced by its name: text safe for a terminal and for UTF-8."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(name_of(char) if is_hidden(char) else char for char in text)


def literal(text: object, clip: int = CLIP) -> Markup:
    """HTML that shows `text` exactly: hidden characters named, line ends marked, beyond `clip` folded away.

    An empty text reads "(empty)"; one made of white space only shows each space.
    """
    text = str(text)
    if not text:
        return Markup('<em class="empty">(empty)</em>')
    if len(text) <= clip:
        return _marked(text)
    return Markup('{}<details class="rest"><summary>{} more characters</summary>{}</details>').format(
        _marked(text[:clip]), f"{len(text) - clip:,}", _marked(text[clip:])
    )


def _marked(text: str) -> Markup:
    only_space = not text.strip()
    if not only_space and text.isascii() and text.isprintable():
        return escape(text)
    parts, plain = [], 0
    for place, char in enumerate(text):
        mark = _mark(char, only_space)
        if mark:
            parts += [escape(text[plain:place]), mark]
            plain = place + 1
    return Markup("".join([*parts, escape(text[plain:])]))


def _mark(char: str, only_space: bool) -> str:
    """HTML in place of a character that would not be seen; empty for one that would."""
    if char == "\n":
        return '<span class="nl">↵</span>\n'
    if is_hidden(char):
        return f'<span class="hidden-char">{escape(name_of(char))}</span>'
    if only_space and char in " \t":
        return f'<span class="hidden-char">{"·" if char == " " else name_of(char)}</span>'
    return ""


def markdown_text(text: str) -> str:
    """Return foreign text as Markdown in which nothing is markup, on one line."""
    line = visible(" ".join(text.split()))
    return re.sub(r"([\\`*_\[\]<>&|~])", r"\\\1", line)
