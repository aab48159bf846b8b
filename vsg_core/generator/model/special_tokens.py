"""A tokenizer's special tokens: which there are, which it puts around a text, and which end an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

from vsg_core.errors import VsgError, first_line_of

# Texts whose tokens are looked for among those of the same text with special tokens around it
PROBES = ("a", "the", "hello", "1", "e", ".", "x y")
# Special tokens, their letters only, that end a text or a turn by their own spelling: a GGUF names only one of them,
# and a base model without a chat template does not name those of its tuned sibling.
ENDS = re.compile(r"eos|endoftext|endofsentence|endofturn(token)?|endofutterance|imend|eot(id)?")


class Around(NamedTuple):
    """The ids that a tokenizer puts before and after a text."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the tokens that the tokenizer marks as special, with their ids; ordinary ones of any name are left out."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marked = {str(token): i for i, token in added.items() if getattr(token, "special", False)}
    named = getattr(tokenizer, "all_special_tokens", [])
    ids = getattr(tokenizer, "all_special_ids", [])
    return marked | {str(token): i for token, i in zip(named, ids, strict=False) if i is not None}


def around(tokenizer: Any) -> Around:
    """Find the ids that the tokenizer puts around every text."""
    special = set(special_tokens(tokenizer).values())
    for probe in chain(PROBES, _words(tokenizer)):
        bare, whole = (ids_of(tokenizer, probe, add) for add in (False, True))
        # A probe that is itself a special token (an unknown word, say) is not distinguishable from those around it.
        if not bare or special & set(bare):
            continue
        for start in range(len(whole) - len(bare) + 1):
            if whole[start : start + len(bare)] == bare:
                return Around(tuple(whole[:start]), tuple(whole[start + len(bare) :]))
    return Around((), ())


def _words(tokenizer: Any) -> Iterator[str]:
    """Spell some of the tokenizer's own tokens, for one that knows none of PROBES."""
    # Not a generator expression, which would list a large vocabulary before the first word is asked for
    for i in islice(sorted(tokenizer.get_vocab().values()), 400):
        yield str(tokenizer.decode([i]))


def ids_of(tokenizer: Any, text: str, special: bool) -> list[int]:
    """Turn text into ids, with the tokenizer's special tokens around it if `special`.

    Raises:
        VsgError: the tokenizer fails, or has no id for a part of the text.
    """
    try:
        ids = list(tokenizer(text, add_special_tokens=special)["input_ids"])
    # Tokenizers are third-party code, some of it written in Rust, with exceptions of its own.
    except Exception as error:
        raise VsgError(
            f"the tokenizer cannot read {_short(text)}: {first_line_of(error)}; give another text or tokenizer"
        ) from error
    if not all(isinstance(i, int) for i in ids):
        raise VsgError(
            f"the tokenizer has no id for a part of {_short(text)} and no unknown token: save it with one"
        )
    return ids


def end_ids(tokenizer: Any, named: frozenset[int], end_of_turn: str | None) -> frozenset[int]:
    """Collect the tokens that end an answer.

    These are the end token of the tokenizer, those that the weights' configuration names, the one that the chat
    template writes after an answer, and special tokens that are spelled as ends (see ENDS). An ordinary token never is
    one by its name.

    Args:
        named: by the configuration.
        end_of_turn: the token that the chat template writes after an answer, if any.
    """
    special = special_tokens(tokenizer)
    spelled = {i for token, i in special.items() if is_end(token)}
    turn = {special[end_of_turn]} if end_of_turn in special else set()
    own = getattr(tokenizer, "eos_token_id", None)
    return named | spelled | turn | ({own} if own is not None else set())


def is_end(token: str) -> bool:
    """Return whether a special token is spelled as the end of a text or turn: </s>, <|im_end|>, <end_of_turn>."""
    letters = "".join(filter(str.isalpha, token.lower()))
    return token == "</s>" or ENDS.fullmatch(letters) is not None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
